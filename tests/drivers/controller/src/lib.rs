//! A driver without PnP: two device objects behind one controller object.
//!
//! The edu device plays an old disk controller: there is one, and requests for two
//! devices go through it. The controller object says whose turn it is; each turn is a
//! critical section that programs the registers. What the ISR shares lies in the
//! controller extension (`shared`).
//!
//! A factorial keeps the controller until its interrupt has come: ControllerControl
//! returns KeepObject and DpcForIsr frees it. A look at the liveness register is done at
//! once: ControllerControl returns DeallocateObject.

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

mod requests;
mod shared;

use dirql::{
    interrupt::Interrupt,
    irp::{Dispatched, Irp},
    irql::{Dispatch, Passive, UpToDispatch},
    legacy::{
        AllocatedController, Allocation, Controller, DeviceName, HardwareResources, KeptController,
        LegacyDevice, LegacyDriver, PciId,
    },
    registry::ServiceKey,
    spin_lock::SpinLock,
    start_io::Packet,
    status::{NtError, Result},
    unicode,
};
use test_driver::EduBar;

use shared::Shared;

/// The extension of each device object.
#[derive(Debug)]
struct Unit {
    number: usize,
}

pin_project_lite::pin_project! {
    /// The controller extension.
    #[derive(Debug)]
    struct Hardware {
        #[pin]
        interrupt: Interrupt<Shared>,
        // Whose turn it is, while the hardware works for it. Written by ControllerControl,
        // taken by DpcForIsr.
        under_way: SpinLock<Option<UnderWay>>,
        // The parameter `FailStart`: the hardware is refused when all is set up.
        fails_start: bool,
    }
}

/// What the controller is kept for.
#[derive(Debug)]
struct UnderWay {
    controller: KeptController,
    packet: Packet,
    unit: usize,
}

impl LegacyDriver for Unit {
    type Controller = Hardware;

    const HARDWARE: PciId = PciId {
        vendor: 0x1234,
        device: 0x11e8,
    };

    const DEVICES: &'static [DeviceName] = &[
        DeviceName {
            device: unicode!(r"\Device\EduUnit0"),
            link: unicode!(r"\DosDevices\EduUnit0"),
        },
        DeviceName {
            device: unicode!(r"\Device\EduUnit1"),
            link: unicode!(r"\DosDevices\EduUnit1"),
        },
    ];

    fn driver_entry(irql: &mut Passive, service: &ServiceKey<'_>) -> Result<Hardware> {
        let fails_start =
            service.parameters(irql, |irql, key| key.dword(irql, unicode!("FailStart")));
        Ok(Hardware {
            interrupt: Interrupt::new(),
            under_way: SpinLock::new(None),
            // Usually there is no such parameter.
            fails_start: fails_start.is_ok_and(|value| value != 0),
        })
    }

    fn create_device(_irql: &mut Passive, number: usize) -> Result<Self> {
        Ok(Self { number })
    }

    fn start(
        controller: &Controller<Self>,
        irql: &mut Passive,
        resources: &HardwareResources<'_>,
    ) -> Result<()> {
        let memory = resources.memory(irql, 0)?;
        let line = resources.interrupt(irql)?;
        let shared = Shared::new(EduBar::map(irql, &memory)?);
        let interrupt = controller.pinned().project_ref().interrupt;
        interrupt.connect_legacy(controller, irql, &line, shared, |_, _| ())?;
        if controller.fails_start {
            return Err(NtError::STATUS_DEVICE_CONFIGURATION_ERROR);
        }
        Ok(())
    }

    fn stop(controller: &Controller<Self>, irql: &mut Passive) {
        controller
            .interrupt
            .synchronize(irql, |_, shared| shared.silence());
        drop(controller.interrupt.disconnect(irql));
    }

    fn device_control(
        device: &LegacyDevice<Self>,
        irql: &mut UpToDispatch,
        irp: Irp,
    ) -> Dispatched {
        requests::device_control(device, irql, irp)
    }

    fn start_io(device: &LegacyDevice<Self>, irql: &mut Dispatch, packet: Packet) {
        device.allocate_controller(irql, packet);
    }

    fn controller_control(
        device: &LegacyDevice<Self>,
        irql: &mut Dispatch,
        controller: AllocatedController<'_>,
        packet: Packet,
    ) -> Allocation {
        requests::controller_control(device, irql, controller, packet)
    }

    fn dpc_for_isr(controller: &Controller<Self>, irql: &mut Dispatch) {
        requests::finish(controller, irql);
    }
}

dirql::legacy_driver_entry!(Unit);
