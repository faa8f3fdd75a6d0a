//! Row 12: several messages. Either one lock and one state over all of them, or one lock for
//! each message with a state of its own: both are types, and the wrong lock for some data
//! cannot be taken, because nobody chooses a lock.
//!
//! The full example is the test driver `messages`.

use dirql::{
    device::Device,
    driver::{DpcForIsr, Driver, Routines, Stop},
    interrupt::{
        Claim, Interrupt, ServiceRoutine,
        messages::{MessageInterrupts, Refused},
    },
    irp::{Dispatched, Irp},
    irql::{Dirql, Dispatch, Passive, UpToDispatch},
    resources::Resources,
    start_io::Packet,
    status::{NtError, Result},
};
use uuid::Uuid;

/// Messages that the driver wants.
const WANTED: usize = 4;

/// What the ISR of one message has counted.
#[derive(Debug, Default)]
pub struct Counted(u32);

impl ServiceRoutine for Counted {
    fn service(&mut self, _irql: &mut Dirql) -> Claim {
        self.0 = self.0.saturating_add(1);
        Claim::OursRequestDpc
    }
}

/// All of them, for a system that has only one message to grant.
#[derive(Debug)]
pub struct All([Counted; WANTED]);

impl ServiceRoutine for All {
    fn service(&mut self, irql: &mut Dirql) -> Claim {
        let [first, ..] = &mut self.0;
        first.service(irql)
    }
}

pin_project_lite::pin_project! {
    /// The device extension.
    #[derive(Debug)]
    pub struct Counters {
        // Four locks: the ISRs run at the same time.
        #[pin]
        each: MessageInterrupts<Counted, WANTED>,
        // One lock.
        #[pin]
        all: Interrupt<All>,
    }
}

impl Driver for Counters {
    const ROUTINES: Routines<Self> = Routines::new().dpc_for_isr();

    const INTERFACE: Option<Uuid> = None;

    fn add_device(_irql: &mut Passive) -> Result<Self> {
        Ok(Self {
            each: MessageInterrupts::new(),
            all: Interrupt::new(),
        })
    }

    fn start_device(
        device: &Device<Self>,
        irql: &mut Passive,
        resources: &Resources<'_>,
    ) -> Result<()> {
        let line = resources.interrupt()?;
        let pinned = device.pinned().project_ref();
        let states = [const { Counted(0) }; WANTED];
        // Too few granted: the states come back, and go under one lock.
        if let Err(Refused { states, .. }) =
            pinned
                .each
                .connect(device, irql, &line, states, |_message, _, _| ())
        {
            pinned
                .all
                .connect(device, irql, &line, All(states), |_, _| ())?;
        }
        Ok(())
    }

    fn stop_device(device: &Device<Self>, irql: &mut Passive, _why: Stop) -> Option<Packet> {
        let _states = device.each.disconnect(irql);
        let _state = device.all.disconnect(irql);
        None
    }

    fn device_control(_device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        irp.complete(irql, Err(NtError::STATUS_INVALID_DEVICE_REQUEST))
    }
}

impl DpcForIsr for Counters {
    /// The critical section names the message; it gets that one's state, under its lock.
    fn dpc_for_isr(device: &Device<Self>, irql: &mut Dispatch) {
        for message in 0..WANTED {
            let _counted = device
                .each
                .synchronize(message, irql, |_, counted| core::mem::take(counted));
        }
    }
}

dirql::driver_entry!(Counters);
