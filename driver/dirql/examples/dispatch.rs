//! Row 5: dispatch routines. The kernel calls them at DISPATCH_LEVEL or below and promises no more;
//! a critical section can be entered all the same, and what needs PASSIVE_LEVEL looks first.
//!
//! The full example is the test driver `basics`.

pub mod uart;

use dirql::{
    device::Device,
    driver::{DpcForIsr, Driver, Routines, Stop},
    interrupt::Interrupt,
    irp::{Buffers, Dispatched, Irp},
    irql::{Dispatch, Passive, UpToDispatch},
    resources::Resources,
    start_io::Packet,
    status::{NtError, Result},
    wait,
};
use uart::Uart;
use uuid::Uuid;

/// `CTL_CODE(FILE_DEVICE_UNKNOWN, 0x800, METHOD_BUFFERED, FILE_READ_DATA)`: what has come in.
const EVENTS: u32 = 0x22_6000;
/// The next one: waits until the device has settled.
const SETTLE: u32 = 0x22_6004;

pin_project_lite::pin_project! {
    /// The device extension.
    #[derive(Debug)]
    pub struct Asker {
        #[pin]
        interrupt: Interrupt<Uart>,
    }
}

impl Driver for Asker {
    const ROUTINES: Routines<Self> = Routines::new().dpc_for_isr();

    const INTERFACE: Option<Uuid> = None;

    fn add_device(_irql: &mut Passive) -> Result<Self> {
        Ok(Self {
            interrupt: Interrupt::new(),
        })
    }

    fn start_device(
        device: &Device<Self>,
        irql: &mut Passive,
        resources: &Resources<'_>,
    ) -> Result<()> {
        let uart = Uart::map(irql, resources)?;
        let line = resources.interrupt()?;
        let pinned = device.pinned().project_ref();
        pinned
            .interrupt
            .connect(device, irql, &line, uart, |irql, uart| uart.enable(irql))?;
        Ok(())
    }

    fn stop_device(device: &Device<Self>, irql: &mut Passive, _why: Stop) -> Option<Packet> {
        device.interrupt.synchronize(irql, |_, uart| uart.silence());
        drop(device.interrupt.disconnect(irql));
        None
    }

    fn device_control(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        match irp.control_code() {
            Some(EVENTS) => events(device, irql, irp),
            Some(SETTLE) => settle(irql, irp),
            _ => irp.complete(irql, Err(NtError::STATUS_INVALID_DEVICE_REQUEST)),
        }
    }
}

fn events(device: &Device<Asker>, irql: &mut UpToDispatch, mut irp: Irp) -> Dispatched {
    if let Err(error) = irp.expect_output::<[u32; 2]>() {
        return irp.complete(irql, Err(error));
    }
    let events = device
        .interrupt
        .synchronize(irql, |_, uart| uart.take_events());
    let reply = events.ok_or(NtError::STATUS_DEVICE_NOT_READY);
    let written = reply.and_then(|events| irp.write_output(&[events.received, events.sent]));
    irp.complete(irql, written)
}

fn settle(irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
    let result = match irql.try_passive() {
        Some(mut passive) => {
            wait::delay(passive.token(), 10);
            Ok(0)
        }
        None => Err(NtError::STATUS_DEVICE_BUSY),
    };
    irp.complete(irql, result)
}

impl DpcForIsr for Asker {
    fn dpc_for_isr(device: &Device<Self>, irql: &mut Dispatch) {
        let _events = device
            .interrupt
            .synchronize(irql, |_, uart| uart.take_events());
    }
}

dirql::driver_entry!(Asker);
