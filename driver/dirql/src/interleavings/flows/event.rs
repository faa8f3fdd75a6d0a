//! An event that is first waited for while others set it.
//!
//! The kernel's object is made by the first wait; what was set before is noted beside it, and
//! must not be lost on the way over, nor may anybody use the object before it is made.

use std::{pin::Pin, rc::Rc};

use crate::{
    event::{Event, Kind, Waited},
    interleavings::{
        explore::{Bounds, explore},
        kernel::Kernel,
        machine::{Threads, passive},
        mistake::{Mistake, Seed},
    },
    irql::at_dispatch,
};

/// Two that set it, two that wait: everybody gets through.
fn notification() {
    Kernel::begin(2);
    let event = Rc::new(Event::new(Kind::Notification));
    let mut threads = Threads::new(&[]);
    for sets in [true, false] {
        let event = Rc::clone(&event);
        threads.spawn(1, move || {
            if sets {
                at_dispatch(&mut passive(), |irql| pinned(&event).set(irql));
            } else {
                assert_eq!(pinned(&event).wait(&mut passive(), None), Waited::Signalled);
            }
        });
    }
    assert_eq!(pinned(&event).wait(&mut passive(), None), Waited::Signalled);
    threads.join();
    assert!(pinned(&event).is_set(&mut passive()));
}

/// Set once while it is waited for once: that one gets through, and it is not set any more.
fn synchronization() {
    Kernel::begin(2);
    let event = Rc::new(Event::new(Kind::Synchronization));
    let mut threads = Threads::new(&[]);
    let other = Rc::clone(&event);
    threads.spawn(1, move || {
        pinned(&other).set(&mut passive());
    });
    assert_eq!(pinned(&event).wait(&mut passive(), None), Waited::Signalled);
    threads.join();
    assert!(!pinned(&event).is_set(&mut passive()));
}

fn pinned(event: &Rc<Event>) -> Pin<&Event> {
    // SAFETY: (Pointer) nobody takes it out of its `Rc`, which outlives the run, fact 45.
    unsafe { Pin::new_unchecked(event) }
}

const SEEDS: &[Seed] = &[
    Seed {
        name: "the object is used by who has not seen it made",
        mistake: Mistake::Relaxed {
            file: "src/event.rs",
            operation: "AtomicU8.compare_exchange",
        },
        symptoms: &["Causality violation"],
    },
    Seed {
        name: "who sets it does not acquire the object",
        mistake: Mistake::Relaxed {
            file: "src/event.rs",
            operation: "AtomicU8.fetch_update",
        },
        symptoms: &["Causality violation"],
    },
];

const BOUNDS: Bounds = Bounds {
    preemptions: 2,
    preemptions_long: 4,
};

#[test]
fn every_order_of_a_notification() {
    explore(
        "interleavings::flows::event::every_order_of_a_notification",
        BOUNDS,
        SEEDS,
        notification,
    );
}

#[test]
fn every_order_of_a_synchronization() {
    explore(
        "interleavings::flows::event::every_order_of_a_synchronization",
        BOUNDS,
        SEEDS,
        synchronization,
    );
}
