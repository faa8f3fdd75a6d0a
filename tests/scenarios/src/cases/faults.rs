//! What takes bad luck on a real machine, on purpose and one after the other: each call
//! that may fail fails once.

mod at_call;
mod each_call;
mod life;

pub(super) use at_call::at_call;
pub(super) use each_call::fail_call;
pub(super) use life::{if_possible, is_well};

use std::time::Duration;

use anyhow::ensure;
use eductl::verify;

use super::{
    List, soak,
    support::{in_rig, passed},
};
use crate::{artifacts::Artifacts, counted, ended::Ended, machine::Machine};

/// The seed of the short soak.
const SEED: u64 = 1;
/// Its length.
const SOAK: Duration = Duration::from_secs(15);

pub(super) fn add(list: &mut List) {
    for processors in [1, 4] {
        list.add(
            format!("faults/each-call-fails/{processors}"),
            move |artifacts| each_call::fails(&machine(artifacts, processors)),
        );
        list.add(
            format!("faults/cancelled-at-each-call/{processors}"),
            move |artifacts| at_call::cancelled(&machine(artifacts, processors)),
        );
        list.add(
            format!("faults/removed-at-many-calls/{processors}"),
            move |artifacts| at_call::removed(&machine(artifacts, processors)),
        );
        list.add(format!("faults/bad-luck/{processors}"), move |artifacts| {
            bad_luck(&machine(artifacts, processors))
        });
    }
    list.add("icount/twice-the-same", |artifacts| {
        counted(&machine(artifacts, 1))
    });
    list.add("faults/soak/4", |artifacts| soak(&machine(artifacts, 4)));
}

/// Two runs of the same requests on a processor whose instructions are counted write the
/// same log, instructions included; so do two with the bad luck of a seed.
fn counted(machine: &Machine) -> anyhow::Result<()> {
    let quiet = twice_the_same(machine)?;
    let unlucky = twice_the_same(
        &machine
            .clone()
            .with_option(&format!("delays={SEED}"))
            .with_option("mishaps=all"),
    )?;
    ensure!(quiet.log != unlucky.log, "the seed changed nothing");
    Ok(())
}

/// Two runs of which each line is the same; the second.
fn twice_the_same(machine: &Machine) -> anyhow::Result<Ended> {
    let first = counted::run(machine)?;
    let second = counted::run(machine)?;
    let answers = counted::answers(&first);
    ensure!(
        answers.len() > 20,
        "the requests were not answered: {first}"
    );
    for (first, second) in first.log.iter().zip(&second.log) {
        ensure!(
            first == second,
            "one run says {first:?}, the other {second:?}"
        );
    }
    ensure!(
        first.log.len() == second.log.len(),
        "the logs have {} and {} lines",
        first.log.len(),
        second.log.len()
    );
    println!(
        "{}",
        counted::shortened(answers.last().copied().unwrap_or_default())
    );
    Ok(second)
}

/// A soak that is as short as a test must be.
fn soak(machine: &Machine) -> anyhow::Result<()> {
    let machine = machine
        .clone()
        .with_option(&format!("delays={SEED}"))
        .with_option("mishaps=all");
    in_rig(&machine, |rig| {
        let totals = soak::run(rig, SOAK, SEED, &mut |_| ())?;
        println!("{totals}");
        Ok(())
    })?;
    Ok(())
}

/// DPCs that run late, elsewhere, beside themselves and while they are being queued, and
/// timers that expire just before they are cancelled: a driver does what it is asked.
fn bad_luck(machine: &Machine) -> anyhow::Result<()> {
    let machine = machine.clone().with_option("mishaps=all");
    in_rig(&machine, |rig| passed(&verify::run(rig, 0)?))?;
    Ok(())
}

fn machine(artifacts: &Artifacts, processors: u32) -> Machine {
    Machine::new(artifacts).with_processors(processors)
}
