//! DPCs that are asked for while they run, and while they are taken down.
//!
//! What is asked for: who asks is served by a routine that runs afterwards, though it found the
//! DPC queued; once `stop` has returned, or the device is gone, no routine runs, threaded or not,
//! nor has one its last instructions to run.

use std::rc::Rc;

use pin_project_lite::pin_project;
use uuid::Uuid;

use crate::{
    device::Device,
    dpc::{CustomDpc, CustomThreadedDpc, Dpc, Placement, ThreadedDpc},
    driver::{Driver, Routines, Stop},
    interleavings::{
        explore::{Bounds, explore},
        kernel,
        machine::{Machine, Threads, passive},
        mistake::{Mistake, Seed},
        tracked::{Ground, Tracked},
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
        // What the routines may use until their DPCs are stopped.
        hardware: Tracked<bool>,
    }
}

impl Extension {
    fn use_hardware(&self) {
        self.hardware
            .read(|is_there| assert!(*is_there, "the DPCs are stopped"));
    }
}

struct Drain;

impl CustomDpc for Drain {
    type Extension = Extension;

    fn run(device: &Device<Extension>, irql: &mut Dispatch) {
        device.ground.touch();
        device.use_hardware();
        device.asked.with(irql, |_, asked| *asked = 0);
    }
}

struct Work;

impl CustomThreadedDpc for Work {
    type Extension = Extension;

    fn run(device: &Device<Extension>, irql: &mut Threaded) {
        device.ground.touch();
        device.use_hardware();
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
            hardware: Tracked::new(false),
        })
    }

    fn start_device(device: &Device<Self>, irql: &mut Passive, _: &Resources<'_>) -> Result<()> {
        let dpcs = device.pinned().project_ref();
        dpcs.drain.initialize(device, irql, Placement::new())?;
        device.hardware.change(|is_there| *is_there = true);
        dpcs.work.initialize(device, irql, Placement::new())
    }

    fn stop_device(device: &Device<Self>, irql: &mut Passive, why: Stop) -> Option<Packet> {
        // A driver that leaves it to the removal is in the right, too.
        if why == Stop::Rebalance {
            device.drain.stop(irql);
            device.work.stop(irql);
            device.hardware.change(|is_there| *is_there = false);
        }
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

/// The DPCs are stopped while one asks.
fn stopped() {
    let machine = Machine::new::<Extension>(2);
    let mut threads = Threads::new(&[1]);
    assert_eq!(machine.pnp(sys::IRP_MN_START_DEVICE), 0);
    let (other, request) = (Rc::clone(&machine), machine.request(1));
    threads.spawn(1, move || {
        other.send(&request, sys::IRP_MJ_DEVICE_CONTROL);
    });
    assert_eq!(machine.pnp(sys::IRP_MN_STOP_DEVICE), 0);
    threads.join();
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
    kernel::current().dpcs().unload();
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
fn every_order_of_a_stop() {
    let seeds = [Seed {
        name: "who is about to ask is not waited for",
        mistake: Mistake::Blind {
            file: "run_down.rs",
            operation: "AtomicUsize.load",
        },
        symptoms: &["Causality violation", "the DPCs are stopped"],
    }];
    let bounds = Bounds {
        preemptions: 1,
        preemptions_long: 2,
    };
    explore(
        "interleavings::flows::dpc::every_order_of_a_stop",
        bounds,
        &seeds,
        stopped,
    );
}

#[test]
fn every_order_of_a_removal() {
    let symptoms = &[
        "Causality violation",
        "used after it was freed",
        "unloaded while a DPC had not returned",
    ];
    let seeds = [
        Seed {
            name: "DPCs are not flushed",
            mistake: Mistake::NoFlush,
            symptoms,
        },
        Seed {
            name: "who has left and not returned is not waited for",
            mistake: Mistake::NoVisit,
            symptoms: &["unloaded while a DPC had not returned"],
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
