//! DPCs that are asked for while they run, and while they are taken down.
//!
//! What is asked for: who asks is served by a routine that runs afterwards, though it found the
//! DPC queued; once `stop` has returned, or the device is gone, no routine runs, threaded or not.

use std::rc::Rc;

use pin_project_lite::pin_project;
use uuid::Uuid;

use crate::{
    device::Device,
    dpc::{CustomDpc, CustomThreadedDpc, Dpc, Placement, ThreadedDpc},
    driver::{Driver, Routines, Stop},
    interleavings::{
        explore::{Bounds, explore},
        machine::{Machine, Threads, passive},
        mistake::{Mistake, Seed},
        tracked::Ground,
    },
    irp::{Dispatched, Irp},
    irql::{Dispatch, Passive, Threaded, UpToDispatch},
    resources::Resources,
    spin_lock::SpinLock,
    start_io::Packet,
    status::Result,
    sys,
};

pin_project! {
    struct Extension {
        #[pin]
        drain: Dpc<Drain>,
        #[pin]
        work: ThreadedDpc<Work>,
        // What was asked for and not done.
        asked: SpinLock<u32>,
        ground: Ground,
    }
}

struct Drain;

impl CustomDpc for Drain {
    type Extension = Extension;

    fn run(device: &Device<Extension>, irql: &mut Dispatch) {
        device.ground.touch();
        device.asked.with(irql, |_, asked| *asked = 0);
    }
}

struct Work;

impl CustomThreadedDpc for Work {
    type Extension = Extension;

    fn run(device: &Device<Extension>, irql: &mut Threaded) {
        device.ground.touch();
        device.asked.with(irql, |_, asked| *asked = 0);
    }
}

impl Driver for Extension {
    const ROUTINES: Routines<Self> = Routines::new();
    const INTERFACE: Option<Uuid> = None;

    fn add_device(_: &mut Passive) -> Result<Self> {
        Ok(Self {
            drain: Dpc::new(),
            work: ThreadedDpc::new(),
            asked: SpinLock::new(0),
            ground: Ground::new(),
        })
    }

    fn start_device(device: &Device<Self>, irql: &mut Passive, _: &Resources<'_>) -> Result<()> {
        let dpcs = device.pinned().project_ref();
        dpcs.drain.initialize(device, irql, Placement::new())?;
        dpcs.work.initialize(device, irql, Placement::new())
    }

    fn stop_device(_: &Device<Self>, _: &mut Passive, _: Stop) -> Option<Packet> {
        None
    }

    /// Asks for both.
    fn device_control(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        device.ground.touch();
        device
            .asked
            .with(irql, |_, asked| *asked = asked.saturating_add(1));
        let _queued = device.drain.queue();
        let _queued = device.work.queue();
        irp.complete(irql, Ok(0))
    }

    /// Asks for the ordinary one.
    fn create(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        device
            .asked
            .with(irql, |_, asked| *asked = asked.saturating_add(1));
        let _queued = device.drain.queue();
        irp.complete(irql, Ok(0))
    }
}

/// Two ask, and nothing is left when all DPCs have run.
fn drained() {
    let machine = Machine::new::<Extension>(2);
    let mut threads = Threads::new(&[0]);
    assert_eq!(machine.pnp(sys::IRP_MN_START_DEVICE), 0);
    let (other, request) = (Rc::clone(&machine), machine.request(1));
    threads.spawn(1, move || {
        other.send(&request, sys::IRP_MJ_CREATE);
    });
    machine.send(&machine.request(1), sys::IRP_MJ_CREATE);
    threads.join();
    let asked = &machine.device::<Extension>().asked;
    let left = asked.with(&mut passive(), |_, asked| *asked);
    assert_eq!(left, 0, "a DPC was lost");
}

/// The device goes while one asks.
fn removed() {
    let machine = Machine::new::<Extension>(2);
    let mut threads = Threads::new(&[0, 1]);
    assert_eq!(machine.pnp(sys::IRP_MN_START_DEVICE), 0);
    let (other, request) = (Rc::clone(&machine), machine.request(1));
    threads.spawn(1, move || {
        other.send(&request, sys::IRP_MJ_DEVICE_CONTROL);
    });
    assert_eq!(machine.pnp(sys::IRP_MN_REMOVE_DEVICE), 0);
    threads.join();
}

const BOUNDS: Bounds = Bounds {
    preemptions: 2,
    preemptions_long: 3,
};

#[test]
fn every_order_of_requests() {
    let seeds = [Seed {
        name: "a DPC leaves its queue when its routine has run",
        mistake: Mistake::LateDequeue,
        symptoms: &["a DPC was lost"],
    }];
    explore(
        "interleavings::flows::dpc::every_order_of_requests",
        BOUNDS,
        &seeds,
        drained,
    );
}

#[test]
fn every_order_of_a_removal() {
    let symptoms = &["Causality violation", "used after it was freed"];
    let seeds = [
        Seed {
            name: "DPCs are not flushed",
            mistake: Mistake::NoFlush,
            symptoms,
        },
        Seed {
            name: "threaded DPCs are not waited for",
            mistake: Mistake::Blind {
                file: "run_down.rs",
                operation: "AtomicUsize.load",
            },
            symptoms,
        },
        Seed {
            name: "requests are not waited for",
            mistake: Mistake::NoRemoveLockWait,
            symptoms,
        },
    ];
    explore(
        "interleavings::flows::dpc::every_order_of_a_removal",
        BOUNDS,
        &seeds,
        removed,
    );
}
