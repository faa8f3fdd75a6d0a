//! Row 4: DPCs of the driver's own, ordinary and threaded. Queueing one that is queued already
//! says so: its routine runs once for both.
//!
//! The full example is the test driver `dpc`.

pub mod uart;

use dirql::{
    device::Device,
    dpc::{CustomDpc, CustomThreadedDpc, Dpc, Importance, Placement, Queued, Target, ThreadedDpc},
    driver::{DpcForIsr, Driver, Routines, Stop},
    interrupt::Interrupt,
    irp::{Dispatched, Irp},
    irql::{Dispatch, Passive, Threaded, UpToDispatch},
    resources::Resources,
    start_io::Packet,
    status::{NtError, Result},
};
use uart::Uart;
use uuid::Uuid;

pin_project_lite::pin_project! {
    /// The device extension.
    #[derive(Debug)]
    pub struct Queuer {
        #[pin]
        interrupt: Interrupt<Uart>,
        #[pin]
        urgent: Dpc<Urgent>,
        #[pin]
        patient: ThreadedDpc<Patient>,
    }
}

impl Driver for Queuer {
    const ROUTINES: Routines<Self> = Routines::new().dpc_for_isr();

    const INTERFACE: Option<Uuid> = None;

    fn add_device(_irql: &mut Passive) -> Result<Self> {
        Ok(Self {
            interrupt: Interrupt::new(),
            urgent: Dpc::new(),
            patient: ThreadedDpc::new(),
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
        // At the head of its queue, and always on the first processor.
        let placement = Placement::new()
            .with_importance(Importance::High)
            .with_target(Target::Index(0));
        pinned.urgent.initialize(device, irql, placement)?;
        pinned.patient.initialize(device, irql, Placement::new())?;
        pinned
            .interrupt
            .connect(device, irql, &line, uart, |irql, uart| uart.enable(irql))?;
        Ok(())
    }

    fn stop_device(device: &Device<Self>, irql: &mut Passive, _why: Stop) -> Option<Packet> {
        device.interrupt.synchronize(irql, |_, uart| uart.silence());
        // Flushed: afterwards neither routine runs. REMOVE would do it too.
        device.urgent.stop(irql);
        device.patient.stop(irql);
        drop(device.interrupt.disconnect(irql));
        None
    }

    fn device_control(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        let result = match device.urgent.queue() {
            Some(Queued::Now | Queued::Already) => Ok(0),
            None => Err(NtError::STATUS_DEVICE_NOT_READY),
        };
        irp.complete(irql, result)
    }
}

/// Runs at DISPATCH_LEVEL.
#[derive(Debug)]
pub struct Urgent;

impl CustomDpc for Urgent {
    type Extension = Queuer;

    fn run(device: &Device<Queuer>, irql: &mut Dispatch) {
        let events = device
            .interrupt
            .synchronize(irql, |_, uart| uart.take_events());
        if events.is_some_and(|events| events.received > 0) {
            let _queued = device.patient.queue();
        }
    }
}

/// Runs at PASSIVE_LEVEL, before every thread.
#[derive(Debug)]
pub struct Patient;

impl CustomThreadedDpc for Patient {
    type Extension = Queuer;

    fn run(device: &Device<Queuer>, irql: &mut Threaded) {
        let _events = device
            .interrupt
            .synchronize(irql, |_, uart| uart.take_events());
    }
}

impl DpcForIsr for Queuer {
    fn dpc_for_isr(device: &Device<Self>, _irql: &mut Dispatch) {
        let _queued = device.urgent.queue();
    }
}

dirql::driver_entry!(Queuer);
