//! Row 3: DpcForIsr. The ISR may have come several times before it runs, and may come again on
//! another processor while it does: it takes all that was counted, in one critical section.
//!
//! The full example is the test driver `interrupt`.

pub mod uart;

use core::sync::atomic::{AtomicU32, Ordering};

use dirql::{
    device::Device,
    driver::{DpcForIsr, Driver, Routines, Stop},
    interrupt::Interrupt,
    irp::{Dispatched, Irp},
    irql::{Dispatch, Passive, UpToDispatch},
    resources::Resources,
    start_io::Packet,
    status::{NtError, Result},
};
use uart::{Events, Uart};
use uuid::Uuid;

pin_project_lite::pin_project! {
    /// The device extension.
    #[derive(Debug)]
    pub struct Listener {
        #[pin]
        interrupt: Interrupt<Uart>,
        // Bytes received so far: read by anybody, so no lock.
        received: AtomicU32,
    }
}

impl Driver for Listener {
    const ROUTINES: Routines<Self> = Routines::new().dpc_for_isr();

    const INTERFACE: Option<Uuid> = None;

    fn add_device(_irql: &mut Passive) -> Result<Self> {
        Ok(Self {
            interrupt: Interrupt::new(),
            received: AtomicU32::new(0),
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

    fn device_control(_device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        irp.complete(irql, Err(NtError::STATUS_INVALID_DEVICE_REQUEST))
    }
}

impl DpcForIsr for Listener {
    fn dpc_for_isr(device: &Device<Self>, irql: &mut Dispatch) {
        let events = device
            .interrupt
            .synchronize(irql, |_, uart| uart.take_events());
        // The device was stopped meanwhile, or an earlier run has had them all.
        let Some(Events {
            received: received @ 1..,
            ..
        }) = events
        else {
            return;
        };
        device.received.fetch_add(received, Ordering::Relaxed);
    }
}

dirql::driver_entry!(Listener);
