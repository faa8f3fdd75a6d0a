//! Row 11: a passive-level interrupt. Its ISR runs in a thread, an event takes the place of the
//! spin lock, and a critical section may wait; only PASSIVE_LEVEL can enter one.
//!
//! The full example is the test driver `passive`.

pub mod uart;

use dirql::{
    device::Device,
    driver::{Driver, Routines, Stop},
    interrupt::passive::{PassiveClaim, PassiveInterrupt, PassiveServiceRoutine},
    irp::{Dispatched, Irp},
    irql::{Passive, PassiveSection, UpToDispatch},
    resources::Resources,
    start_io::Packet,
    status::{NtError, Result},
    wait,
    work_item::{WorkItem, WorkRoutine},
};
use uart::Uart;
use uuid::Uuid;

/// The state of the ISR: a device behind a slow bus.
#[derive(Debug)]
pub struct Slow {
    uart: Uart,
}

impl Slow {
    /// A critical section that waits: it says so in its signature.
    fn settle(&mut self, irql: &mut PassiveSection) {
        self.uart.silence();
        wait::delay(irql, 1);
    }
}

impl PassiveServiceRoutine for Slow {
    fn service(&mut self, _irql: &mut PassiveSection) -> PassiveClaim {
        if self.uart.acknowledge() {
            PassiveClaim::OursQueueWork
        } else {
            PassiveClaim::NotOurs
        }
    }
}

pin_project_lite::pin_project! {
    /// The device extension.
    #[derive(Debug)]
    pub struct Patient {
        #[pin]
        interrupt: PassiveInterrupt<Slow>,
        // What the ISR queues: the DPC of such an interrupt.
        #[pin]
        work: WorkItem<Drain>,
    }
}

impl Driver for Patient {
    const ROUTINES: Routines<Self> = Routines::new();

    const INTERFACE: Option<Uuid> = None;

    fn add_device(_irql: &mut Passive) -> Result<Self> {
        Ok(Self {
            interrupt: PassiveInterrupt::new(),
            work: WorkItem::new(),
        })
    }

    fn start_device(
        device: &Device<Self>,
        irql: &mut Passive,
        resources: &Resources<'_>,
    ) -> Result<()> {
        let slow = Slow {
            uart: Uart::map(irql, resources)?,
        };
        let line = resources.interrupt()?;
        let pinned = device.pinned().project_ref();
        // What the ISR queues is ready before there is an ISR.
        pinned.work.initialize(device, irql)?;
        let work = pinned
            .work
            .ready()
            .ok_or(NtError::STATUS_DEVICE_NOT_READY)?;
        pinned
            .interrupt
            .connect(device, irql, &line, work, slow, |_, _| ())?;
        Ok(())
    }

    fn stop_device(device: &Device<Self>, irql: &mut Passive, _why: Stop) -> Option<Packet> {
        device
            .interrupt
            .synchronize(irql, |irql, slow| slow.settle(irql));
        drop(device.interrupt.disconnect(irql));
        device.work.stop(irql);
        None
    }

    /// At DISPATCH_LEVEL there is no way in, so this looks first.
    fn device_control(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        let result = match irql.try_passive() {
            Some(mut passive) => device
                .interrupt
                .synchronize(passive.token(), |_, slow| slow.uart.send(b'!', 0))
                .map(|()| 0)
                .ok_or(NtError::STATUS_DEVICE_NOT_READY),
            None => Err(NtError::STATUS_DEVICE_BUSY),
        };
        irp.complete(irql, result)
    }
}

/// Runs at PASSIVE_LEVEL, after the ISR.
#[derive(Debug)]
pub struct Drain;

impl WorkRoutine for Drain {
    type Extension = Patient;

    fn run(device: &Device<Patient>, irql: &mut Passive) {
        let _events = device
            .interrupt
            .synchronize(irql, |_, slow| slow.uart.take_events());
    }
}

dirql::driver_entry!(Patient);
