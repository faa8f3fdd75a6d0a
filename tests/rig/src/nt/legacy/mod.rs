//! Drivers without PnP: loaded for themselves, with no AddDevice, they find and claim
//! their hardware and create named device objects that are opened by name.
//!
//! `model=legacy` loads the driver under test so. The hardware is known to the bus before
//! it is loaded, as on Windows, but nobody is asked to drive it; after DriverEntry each of
//! the driver's device objects is a device of the command channel, in the order of their
//! creation.

pub(crate) mod controller;
pub(crate) mod hardware;
pub(crate) mod names;

use alloc::vec::Vec;

use rig_protocol::IrqKind;

use crate::machine::log::log;
use crate::machine::pci::PciFunction;
use crate::machine::stop::refuse;
use crate::nt::device::{self, Device};
use crate::nt::driver::Driver;
use crate::nt::options::{self, Model};
use crate::nt::pnp::State;
use crate::nt::{bus, load, node};

/// Numbers of the devices that are hardware, behind those that can be opened.
const FIRST_HARDWARE: usize = 0x100;

/// Whether the driver under test is one without PnP.
pub(crate) fn is_model() -> bool {
    options::get().model == Model::Legacy
}

/// Loads the driver and makes its device objects known.
pub(crate) fn start(functions: Vec<PciFunction>) {
    if options::get().irq != IrqKind::Intx {
        refuse(format_args!(
            "A driver without PnP has lines only: model=legacy needs irq=intx."
        ));
    }
    let bus_driver = bus::create_driver();
    for (index, function) in functions.into_iter().enumerate() {
        super::enumerate(bus_driver, FIRST_HARDWARE + index, function);
    }
    let driver = load::load();
    if driver.add_device().is_some() {
        refuse(format_args!(
            "The driver has an AddDevice routine, so it is no driver without PnP."
        ));
    }
    add_devices(driver);
}

/// Each device object of the driver's becomes a device that can be opened.
fn add_devices(driver: Driver) {
    let Some(hardware) = hardware::claimed_by(driver) else {
        refuse(format_args!("The driver has claimed no hardware."));
    };
    let devices = device::of_driver(driver);
    for (index, device) in devices.into_iter().enumerate() {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let node = node::add(
            index,
            hardware.function(),
            device,
            hardware.memory(),
            hardware.interrupt(),
        );
        node.set_state(State::Started);
        log!(
            "Device {index} is {}, on the hardware at {}.",
            names::of(device),
            node.location()
        );
    }
}

/// The driver is being unloaded: its device objects are devices no more.
pub(crate) fn forget_devices() {
    if !is_model() {
        return;
    }
    for node in node::all() {
        if !node.state().is_unassigned() {
            node.set_state(State::Removed);
        }
    }
}

/// Whether a device can be opened by name.
pub(crate) fn is_linked(device: Device) -> bool {
    names::is_linked(device)
}

/// Checks what the driver left behind.
pub(crate) fn assert_nothing_left() {
    controller::assert_nothing_left();
    hardware::assert_nothing_left();
    names::assert_nothing_left();
}
