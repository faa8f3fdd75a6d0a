//! A timer that is stopped, by one thread or by two, while it expires and starts itself again.
//!
//! What is asked for: once `stop` has returned, in whichever thread, or the device is gone, the
//! routine does not run and will not, whether it expires once and is started anew, or is
//! periodic.

use std::{cell::Cell, rc::Rc};

use pin_project_lite::pin_project;
use uuid::Uuid;

use crate::{
    device::Device,
    driver::{Driver, Routines, Stop},
    interleavings::{
        explore::{Bounds, explore},
        kernel,
        machine::{Machine, Threads},
        mistake::{Mistake, Seed},
        tracked::{Ground, Tracked},
    },
    irp::{Dispatched, Irp},
    irql::{Dispatch, Passive, UpToDispatch},
    resources::Resources,
    start_io::Packet,
    status::Result,
    sys,
    time::Due,
    timer::{CustomTimerDpc, Timer},
};

pin_project! {
    struct Extension {
        #[pin]
        timer: Timer<Watch>,
        ground: Ground,
        // What the routine may use until the timer is stopped.
        hardware: Tracked<bool>,
    }
}

std::thread_local! {
    /// The timer expires again and again by itself; else its routine starts it anew.
    static IS_PERIODIC: Cell<bool> = const { Cell::new(false) };
}

struct Watch;

impl CustomTimerDpc for Watch {
    type Extension = Extension;

    fn expired(device: &Device<Extension>, irql: &mut Dispatch) {
        device.ground.touch();
        device
            .hardware
            .read(|is_there| assert!(*is_there, "the timer is stopped"));
        if IS_PERIODIC.get() {
            return;
        }
        // A timer that is being stopped refuses, and that is what is wanted.
        let _refused = device.timer.start_once(irql, Due::after_ms(1)).is_err();
    }
}

impl Driver for Extension {
    const ROUTINES: Routines<Self> = Routines::new();
    const INTERFACE: Option<Uuid> = None;

    fn add_device(_: &mut Passive) -> Result<Self> {
        Ok(Self {
            timer: Timer::new(),
            ground: Ground::new(),
            hardware: Tracked::new(false),
        })
    }

    fn start_device(device: &Device<Self>, irql: &mut Passive, _: &Resources<'_>) -> Result<()> {
        let timer = device.pinned().project_ref().timer;
        timer.initialize(device, irql)?;
        device.hardware.change(|is_there| *is_there = true);
        if IS_PERIODIC.get() {
            return timer.start_periodic(irql, Due::after_ms(1), 1).map(|_| ());
        }
        timer.start_once(irql, Due::after_ms(1)).map(|_| ())
    }

    fn stop_device(device: &Device<Self>, irql: &mut Passive, why: Stop) -> Option<Packet> {
        // A driver that leaves it to the removal is in the right, too.
        if why == Stop::Rebalance {
            device.timer.stop(irql);
            device.hardware.change(|is_there| *is_there = false);
        }
        None
    }

    /// Stops the timer, too.
    fn device_control(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        let mut below = irql.try_passive().expect("a thread of the flow sends it");
        device.timer.stop(below.token());
        irp.complete(irql, Ok(0))
    }
}

/// It has expired when it is taken down, so its routine may run on one processor or start it
/// anew; it may expire again meanwhile, and what is pending in the end does.
fn flow(stop: u32, dpcs: &[usize]) {
    let machine = Machine::new::<Extension>(2);
    let mut threads = Threads::new(dpcs);
    assert_eq!(machine.pnp(sys::IRP_MN_START_DEVICE), 0);
    kernel::current().tick();
    threads.spawn(1, || kernel::current().tick());
    assert_eq!(machine.pnp(stop), 0);
    kernel::current().tick();
    threads.join();
}

fn stopped() {
    IS_PERIODIC.set(false);
    flow(sys::IRP_MN_STOP_DEVICE, &[1]);
}

fn removed() {
    IS_PERIODIC.set(false);
    flow(sys::IRP_MN_REMOVE_DEVICE, &[1]);
}

/// A request stops it while the device is stopped.
fn stopped_by_two() {
    IS_PERIODIC.set(false);
    let machine = Machine::new::<Extension>(2);
    let mut threads = Threads::new(&[1]);
    assert_eq!(machine.pnp(sys::IRP_MN_START_DEVICE), 0);
    kernel::current().tick();
    let (other, request) = (Rc::clone(&machine), machine.request(1));
    threads.spawn(1, move || {
        other.send(&request, sys::IRP_MJ_DEVICE_CONTROL);
    });
    assert_eq!(machine.pnp(sys::IRP_MN_STOP_DEVICE), 0);
    threads.join();
}

fn periodic() {
    IS_PERIODIC.set(true);
    flow(sys::IRP_MN_REMOVE_DEVICE, &[0, 1]);
}

const SEEDS: &[Seed] = &[
    Seed {
        name: "the timer is not cancelled",
        mistake: Mistake::NoCancel,
        symptoms: &[
            "Causality violation",
            "the timer is stopped",
            "used after it was freed",
        ],
    },
    Seed {
        name: "DPCs are not flushed",
        mistake: Mistake::NoFlush,
        symptoms: &[
            "Causality violation",
            "the timer is stopped",
            "used after it was freed",
        ],
    },
    Seed {
        name: "who starts it is not waited for",
        mistake: Mistake::Blind {
            file: "run_down.rs",
            operation: "AtomicUsize.load",
        },
        symptoms: &[
            "Causality violation",
            "the timer is stopped",
            "used after it was freed",
        ],
    },
];

const BOUNDS: Bounds = Bounds {
    preemptions: 2,
    preemptions_long: 3,
};

#[test]
fn every_order_of_a_stop() {
    explore(
        "interleavings::flows::timer::every_order_of_a_stop",
        BOUNDS,
        SEEDS,
        stopped,
    );
}

/// The word is that of a run-down that is being closed, with nobody inside.
#[test]
fn every_order_of_two_stops() {
    let seeds = [Seed {
        name: "who comes second does not wait",
        mistake: Mistake::Overlooks {
            file: "run_down.rs",
            operation: "AtomicUsize.load",
            word: 3,
        },
        symptoms: &["Causality violation", "the timer is stopped"],
    }];
    let bounds = Bounds {
        preemptions: 1,
        preemptions_long: 2,
    };
    explore(
        "interleavings::flows::timer::every_order_of_two_stops",
        bounds,
        &seeds,
        stopped_by_two,
    );
}

#[test]
fn every_order_of_a_removal() {
    explore(
        "interleavings::flows::timer::every_order_of_a_removal",
        BOUNDS,
        SEEDS,
        removed,
    );
}

/// Its routine may run on both processors at once.
#[test]
fn every_order_of_a_periodic_timers_removal() {
    let bounds = Bounds {
        preemptions: 1,
        preemptions_long: 2,
    };
    explore(
        "interleavings::flows::timer::every_order_of_a_periodic_timers_removal",
        bounds,
        &SEEDS[..2],
        periodic,
    );
}
