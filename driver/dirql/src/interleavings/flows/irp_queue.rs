//! Requests in cancel-safe queues, reached for by several: who takes the next one, who takes a
//! particular one, who cancels it, who closes its file, and who removes the device.
//!
//! What is asked for: each request is completed once; one that nobody takes is completed by the
//! queue when it is cancelled, when its file is closed or its device goes.

use std::rc::Rc;

use pin_project_lite::pin_project;
use uuid::Uuid;

use crate::{
    device::Device,
    driver::{Driver, Routines, Stop},
    interleavings::{
        explore::{Bounds, explore},
        machine::{Machine, Threads},
        mistake::{Mistake, Seed},
        tracked::Ground,
    },
    irp::{Dispatched, Irp},
    irp_queue::{IrpContext, IrpQueue},
    irql::{Passive, UpToDispatch},
    resources::Resources,
    start_io::Packet,
    status::Result,
    sys,
};

pin_project! {
    struct Extension {
        #[pin]
        queue: IrpQueue,
        #[pin]
        context: IrpContext,
        ground: Ground,
    }
}

impl Driver for Extension {
    const ROUTINES: Routines<Self> = Routines::new();
    const INTERFACE: Option<Uuid> = None;

    fn add_device(_: &mut Passive) -> Result<Self> {
        Ok(Self {
            queue: IrpQueue::new(),
            context: IrpContext::new(),
            ground: Ground::new(),
        })
    }

    fn start_device(device: &Device<Self>, irql: &mut Passive, _: &Resources<'_>) -> Result<()> {
        device.pinned().project_ref().queue.initialize(device, irql)
    }

    fn stop_device(_: &Device<Self>, _: &mut Passive, _: Stop) -> Option<Packet> {
        None
    }

    /// Puts the request into the queue, with the context if that is free.
    fn device_control(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        device.ground.touch();
        let context = device.pinned().project_ref().context;
        irp.pend(|irp| {
            let Err(refused) = device.queue.insert_with(irql, irp, context) else {
                return;
            };
            if let Err(refused) = device.queue.insert(irql, refused.irp) {
                refused.complete(irql);
            }
        })
    }

    /// Takes requests out of the queue: the one with the context, and the next.
    fn create(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        device.ground.touch();
        if let Some(taken) = device.context.remove(irql) {
            taken.complete(irql, Ok(0));
        }
        if let Some(taken) = device.queue.remove_next(irql) {
            taken.complete(irql, Ok(0));
        }
        irp.complete(irql, Ok(0))
    }
}

/// Two requests are queued while one is cancelled and others are taken; then `end` comes.
fn flow(end: impl FnOnce(&Machine)) {
    const FILE: usize = 0x1000;
    let machine = Machine::new::<Extension>(2);
    let mut threads = Threads::new(&[]);
    assert_eq!(machine.pnp(sys::IRP_MN_START_DEVICE), 0);
    let requests = [machine.request(FILE), machine.request(FILE)];
    let other = Rc::clone(&machine);
    threads.spawn(0, move || {
        for request in requests {
            other.send(&request, sys::IRP_MJ_DEVICE_CONTROL);
        }
    });
    threads.spawn(1, move || requests[0].cancel());
    let (other, taker) = (Rc::clone(&machine), machine.request(FILE));
    threads.spawn(1, move || {
        other.send(&taker, sys::IRP_MJ_CREATE);
    });
    threads.wait_for_flow();
    end(&machine);
    for request in [requests[0], requests[1], taker] {
        assert!(request.is_completed(), "a request pends for ever");
    }
    threads.join();
}

/// The device goes while all that goes on.
fn removed() {
    const FILE: usize = 0x1000;
    let machine = Machine::new::<Extension>(2);
    let mut threads = Threads::new(&[]);
    assert_eq!(machine.pnp(sys::IRP_MN_START_DEVICE), 0);
    let request = machine.request(FILE);
    let other = Rc::clone(&machine);
    threads.spawn(0, move || {
        other.send(&request, sys::IRP_MJ_DEVICE_CONTROL);
    });
    threads.spawn(1, move || request.cancel());
    assert_eq!(machine.pnp(sys::IRP_MN_REMOVE_DEVICE), 0);
    threads.wait_for_flow();
    assert!(request.is_completed(), "a request pends for ever");
    threads.join();
}

fn cleaned_up() {
    flow(|machine| {
        let cleanup = machine.request(0x1000);
        assert_eq!(machine.send(&cleanup, sys::IRP_MJ_CLEANUP), 0);
        assert!(cleanup.is_completed());
    });
}

const SEEDS: &[Seed] = &[
    Seed {
        name: "no spin lock is taken, the queue's neither",
        mistake: Mistake::NoSpinLock,
        symptoms: &["Causality violation"],
    },
    Seed {
        name: "a context is free before the one who removes by it has come back",
        mistake: Mistake::Relaxed {
            file: "irp_queue/context.rs",
            operation: "AtomicU8.fetch_and",
        },
        symptoms: &["Causality violation"],
    },
];

const REMOVED_SEEDS: &[Seed] = &[
    Seed {
        name: "no spin lock is taken, the queue's neither",
        mistake: Mistake::NoSpinLock,
        symptoms: &["Causality violation", "pends for ever"],
    },
    Seed {
        name: "requests are not waited for",
        mistake: Mistake::NoRemoveLockWait,
        symptoms: &["Causality violation", "used after it was freed"],
    },
];

const BOUNDS: Bounds = Bounds {
    preemptions: 2,
    preemptions_long: 3,
};

#[test]
fn every_order_of_a_cleanup() {
    explore(
        "interleavings::flows::irp_queue::every_order_of_a_cleanup",
        BOUNDS,
        SEEDS,
        cleaned_up,
    );
}

#[test]
fn every_order_of_a_removal() {
    explore(
        "interleavings::flows::irp_queue::every_order_of_a_removal",
        BOUNDS,
        REMOVED_SEEDS,
        removed,
    );
}
