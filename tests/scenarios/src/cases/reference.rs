//! A driver in C, `tests/reference`, which has nothing of this project's in it but the job:
//! the rig runs whatever WDM driver there is for the device, and holds it to the same rules.

use super::{
    List,
    support::{in_rig, take_down, verified},
};
use crate::{
    artifacts::Artifacts,
    exercise,
    machine::{Interrupts, Machine},
};

pub(super) fn add(list: &mut List) {
    for (processors, interrupts) in [(1, Interrupts::Intx), (4, Interrupts::Msi)] {
        list.add(
            format!("reference/verify-{processors}-{interrupts}"),
            move |artifacts| {
                in_rig(&machine(artifacts, processors, interrupts)?, |rig| {
                    verified(rig).map(drop)
                })
                .map(drop)
            },
        );
        list.add(
            format!("reference/exercise-{processors}-{interrupts}"),
            move |artifacts| {
                let machine = machine(artifacts, processors, interrupts)?;
                let (running, _) = machine.start()?.wait_ready()?;
                let outcome = exercise::run(&running, 1, |_| ());
                take_down(running, outcome).map(drop)
            },
        );
    }
}

fn machine(
    artifacts: &Artifacts,
    processors: u32,
    interrupts: Interrupts,
) -> anyhow::Result<Machine> {
    let driver = artifacts.reference()?;
    Ok(Machine::new(artifacts)
        .with_driver(&driver)
        .with_processors(processors)
        .with_interrupts(interrupts))
}
