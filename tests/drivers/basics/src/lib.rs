//! What a driver needs beside interrupts: pool, registers, strings, its parameters in the
//! registry, its device's properties.
//!
//! DriverEntry reads the parameters (`parameters`) and START_DEVICE looks at the device
//! (`hardware`); the checks compare what they found.

#![no_std]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::float_arithmetic,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]
#![forbid(unsafe_code)]

#[cfg(not(windows))]
extern crate std;

mod broken;
mod hardware;
mod parameters;
mod pool;

use dirql::{
    device::Device,
    driver::{Driver, Routines, Stop},
    irp::{Dispatched, Irp},
    irql::{Passive, UpToDispatch},
    pool::Tag,
    registry::ServiceKey,
    resources::Resources,
    spin_lock::SpinLock,
    start_io::Packet,
    status::{NtError, Result},
};
use test_driver::{Failed, Outcome};
use uuid::Uuid;

use hardware::Seen;

/// The tag of this driver's pool.
const TAG: Tag = Tag::new(*b"Basi");

/// The device extension.
#[derive(Debug)]
struct Basics {
    /// What START_DEVICE saw in the registers.
    seen: SpinLock<Option<Seen>>,
    /// The registers, for a check that ends them wrongly.
    kept: SpinLock<Option<hardware::Registers>>,
}

impl Driver for Basics {
    const ROUTINES: Routines<Self> = Routines::new();

    const INTERFACE: Option<Uuid> =
        Some(Uuid::from_u128(0x6b5f_9d7a_0a0e_4bb1_8f6e_5f8d_2f1c_0007));

    fn driver_entry(irql: &mut Passive, service: &ServiceKey<'_>) -> Result<()> {
        parameters::read(irql, service);
        Ok(())
    }

    fn add_device(_irql: &mut Passive) -> Result<Self> {
        Ok(Self {
            seen: SpinLock::new(None),
            kept: SpinLock::new(None),
        })
    }

    fn start_device(
        device: &Device<Self>,
        irql: &mut Passive,
        resources: &Resources<'_>,
    ) -> Result<()> {
        let (registers, seen) = hardware::look(irql, &resources.memory(0)?)?;
        device.seen.with(irql, |_, place| *place = Some(seen));
        device.kept.with(irql, |_, place| *place = Some(registers));
        Ok(())
    }

    fn stop_device(device: &Device<Self>, irql: &mut Passive, _why: Stop) -> Option<Packet> {
        device.seen.with(irql, |_, seen| *seen = None);
        // Dropped here, at PASSIVE_LEVEL, where a mapping may be.
        let _registers = device.kept.with(irql, |_, kept| kept.take());
        None
    }

    fn device_control(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        test_driver::answer(irql, irp, |irql, number, arguments| {
            run(device, irql, number, arguments)
        })
    }
}

fn run(
    device: &Device<Basics>,
    irql: &mut UpToDispatch,
    number: u32,
    arguments: [u64; 4],
) -> Outcome {
    let mut passive = irql.try_passive().ok_or(Failed::here())?;
    let irql = passive.token();
    match number {
        1 => pool::boxes(irql),
        2 => pool::arrays(irql, arguments),
        3 => hardware::registers(device, irql),
        4 => hardware::properties(device, irql),
        5 => parameters::numbers(irql),
        6 => parameters::texts(irql),
        7 => parameters::refused(irql),
        8 => parameters::missing(irql),
        9 => broken::drops_too_high(device, irql),
        10 => broken::panics(arguments),
        _ => Err(NtError::STATUS_INVALID_DEVICE_REQUEST.into()),
    }
}

dirql::driver_entry!(Basics);
