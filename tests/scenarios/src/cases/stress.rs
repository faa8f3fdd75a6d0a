//! `eductl stress`: both engines, cancellations and those who wait for events, all at
//! once, and afterwards nothing is left.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use eductl::stress::{self, Kind, Mix, Plan, Progress, Totals};

use super::{List, support::in_rig};
use crate::{
    artifacts::Artifacts,
    machine::{Interrupts, Machine},
};

/// How long a run is at least.
const LENGTH: Duration = Duration::from_secs(5);

/// How long it may be when the host is so busy that too little happens.
const LONGEST: Duration = Duration::from_mins(2);

/// What must happen in a run for it to be worth something.
const OPERATIONS: u64 = 300;
const CANCELLED: u64 = 10;

pub(super) fn add(list: &mut List) {
    for interrupts in [Interrupts::Msi, Interrupts::Intx] {
        for processors in [1, 2, 4] {
            list.add(
                format!("stress/{processors}-processors-{interrupts}"),
                move |artifacts| everything_at_once(artifacts, processors, interrupts),
            );
        }
    }
}

fn everything_at_once(
    artifacts: &Artifacts,
    processors: u32,
    interrupts: Interrupts,
) -> anyhow::Result<()> {
    let machine = Machine::new(artifacts)
        .with_processors(processors)
        .with_interrupts(interrupts);
    let plan = Plan {
        threads: 4,
        outstanding: 4,
        waiters: 2,
        length: LONGEST,
        mix: Mix::default(),
        cancel_percent: 15,
        seed: processors.into(),
    };
    in_rig(&machine, |rig| {
        let before = rig.report()?;
        let began = Instant::now();
        let last = Cell::new(None::<Progress>);
        let is_enough = || {
            last.get().is_some_and(|progress| {
                began.elapsed() >= LENGTH
                    && progress.operations >= OPERATIONS
                    && progress.cancelled >= CANCELLED
            })
        };
        let totals = stress::run(rig, 0, &plan, &is_enough, &mut |progress| {
            last.set(Some(*progress));
        })?;
        ensure!(totals.passed(), "stress failed:\n{totals}");
        all_was_done(&totals)?;
        let driver = totals.driver.as_ref().context("no counters")?;
        let claimed = rig.report()?.isr_claimed - before.isr_claimed;
        // Before it began, stress has raised one interrupt; an abandoned factorial may
        // end after its counters were read.
        ensure!(
            claimed > driver.interrupts_claimed,
            "the rig saw the ISR claim {claimed} interrupts, and the driver counted {}",
            driver.interrupts_claimed
        );
        Ok(())
    })?;
    Ok(())
}

/// Nothing was left out.
fn all_was_done(totals: &Totals) -> anyhow::Result<()> {
    for requests in &totals.requests {
        ensure!(
            requests.right > 0,
            "no {} was done:\n{totals}",
            requests.kind.name()
        );
    }
    let interrupts = totals.interrupts();
    let ended: u64 = totals
        .requests
        .iter()
        .filter(|requests| matches!(requests.kind, Kind::Factorial | Kind::Raise))
        .map(|requests| requests.right)
        .sum();
    ensure!(
        interrupts >= ended && totals.cancelled > 0,
        "{interrupts} interrupts cannot have ended {ended} operations:\n{totals}"
    );
    Ok(())
}
