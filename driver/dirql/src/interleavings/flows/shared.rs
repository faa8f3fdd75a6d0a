//! A value with several owners that go at the same time: the last one drops it, after what all
//! others have done with it.

use crate::{
    interleavings::{
        explore::{Bounds, explore},
        kernel::Kernel,
        machine::{Threads, passive},
        mistake::{Mistake, Seed},
        tracked::Ground,
    },
    irql::at_dispatch,
    pool::{PoolArc, Tag},
};

const TAG: Tag = Tag::new(*b"Test");

fn flow() {
    Kernel::begin(2);
    let first = PoolArc::new(&mut passive(), TAG, Ground::new()).expect("memory");
    let mut threads = Threads::new(&[]);
    for processor in 0..2 {
        let owner = first.clone();
        threads.spawn(processor, move || {
            let another = owner.clone();
            at_dispatch(&mut passive(), |_| drop(owner));
            another.touch();
        });
    }
    first.touch();
    drop(first);
    threads.join();
}

const SEEDS: &[Seed] = &[
    Seed {
        name: "an owner that goes does not release what it has done",
        mistake: Mistake::Relaxed {
            file: "pool/shared.rs",
            operation: "AtomicUsize.fetch_sub",
        },
        symptoms: &["Causality violation"],
    },
    Seed {
        name: "the last owner does not acquire what the others have done",
        mistake: Mistake::Relaxed {
            file: "pool/shared.rs",
            operation: "fence",
        },
        symptoms: &["Causality violation"],
    },
];

#[test]
fn every_order() {
    let bounds = Bounds {
        preemptions: 3,
        preemptions_long: 6,
    };
    explore(
        "interleavings::flows::shared::every_order",
        bounds,
        SEEDS,
        flow,
    );
}
