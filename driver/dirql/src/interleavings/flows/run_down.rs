//! Run-down protection: whoever is inside when it is closed is waited for, and what it did is seen.

use std::rc::Rc;

use crate::{
    interleavings::{
        explore::{Bounds, explore},
        kernel::Kernel,
        machine::{Threads, passive},
        mistake::{Mistake, Seed},
        tracked::Tracked,
    },
    run_down::RunDown,
};

struct Object {
    run_down: RunDown,
    /// Written while opening; changed by whoever is inside, who take turns by `turn`.
    inner: Tracked<u32>,
}

fn flow() {
    Kernel::begin(1);
    let object = Rc::new(Object {
        run_down: RunDown::new(),
        inner: Tracked::new(0),
    });
    assert!(object.run_down.begin_opening());
    let mut threads = Threads::new(&[]);
    for _ in 0..2 {
        let object = Rc::clone(&object);
        threads.spawn(0, move || {
            if let Some(_pass) = object.run_down.enter() {
                object.inner.read(|inner| assert_eq!(*inner, 1));
            }
        });
    }
    object.inner.change(|inner| *inner = 1);
    object.run_down.opened();
    assert!(object.run_down.begin_closing(&mut passive()));
    object.run_down.wait(&mut passive());
    object.inner.change(|inner| *inner = 2);
    object.run_down.closed();
    assert!(object.run_down.enter().is_none());
    threads.join();
}

const SEEDS: &[Seed] = &[
    Seed {
        name: "those inside are not waited for",
        mistake: Mistake::Blind {
            file: "run_down.rs",
            operation: "AtomicUsize.load",
        },
        symptoms: &["Causality violation"],
    },
    Seed {
        name: "who enters does not acquire what the opening thread wrote",
        mistake: Mistake::Relaxed {
            file: "run_down.rs",
            operation: "AtomicUsize.fetch_add",
        },
        symptoms: &["Causality violation"],
    },
    Seed {
        name: "who leaves does not release what it did inside",
        mistake: Mistake::Relaxed {
            file: "run_down.rs",
            operation: "AtomicUsize.fetch_sub",
        },
        symptoms: &["Causality violation"],
    },
    Seed {
        name: "the opening does not release what was written",
        mistake: Mistake::Relaxed {
            file: "run_down.rs",
            operation: "AtomicUsize.fetch_update",
        },
        symptoms: &["Causality violation"],
    },
    Seed {
        name: "the waiting thread does not acquire what those inside did",
        mistake: Mistake::Relaxed {
            file: "run_down.rs",
            operation: "AtomicUsize.load",
        },
        symptoms: &["Causality violation"],
    },
];

#[test]
fn every_order() {
    let bounds = Bounds {
        preemptions: 3,
        preemptions_long: 5,
    };
    explore(
        "interleavings::flows::run_down::every_order",
        bounds,
        SEEDS,
        flow,
    );
}
