//! The rig notices what it is there to notice: for each rule, it breaks that
//! one itself, and must stop with the rule's id and a stack.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};

use super::{List, support::to_the_end};
use crate::{artifacts::Artifacts, ended::Outcome, log::records, machine::Machine, record::Record};

/// The rules that the rig can break by calls alone.
const RULES: &[&str] = &[
    "IRQL-01", "IRQL-05", "SYN-01", "SYN-02", "SPL-02", "IRP-01", "IRP-05", "IRP-06", "PNP-16",
];

/// Faults that the rig can run into on purpose, and what it must stop with.
const FAULTS: &[(&str, &str)] = &[
    ("machine-null-read", "FAULT-PF"),
    ("machine-code-write", "FAULT-PF"),
    ("machine-constant-write", "FAULT-PF"),
    ("machine-data-execute", "FAULT-PF"),
    ("machine-unmapped-device", "FAULT-PF"),
    ("machine-stack-overflow", "FAULT-DF"),
    ("machine-invalid-instruction", "FAULT-UD"),
    ("machine-spin", "SPIN-HANG"),
    ("machine-panic", "RIG-PANIC"),
    ("machine-fault-at-dispatch", "FAULT-PF"),
];

pub(super) fn add(list: &mut List) {
    list.add("self-test/list", the_list_is_complete);
    for rule in RULES {
        list.add(format!("self-test/{rule}"), |artifacts| {
            notices(artifacts, rule, rule)
        });
    }
    for (name, code) in FAULTS {
        list.add(format!("self-test/{name}"), |artifacts| {
            notices(artifacts, name, code)
        });
    }
}

/// Each rule that the rig has a test for is one that is run here.
fn the_list_is_complete(artifacts: &Artifacts) -> anyhow::Result<()> {
    let ended = to_the_end(&Machine::new(artifacts).with_option("self-test=list"))?;
    ensure!(ended.outcome == Outcome::Success, "{ended}");
    let offered: BTreeSet<String> = records(&ended.log)
        .into_iter()
        .filter_map(|record| match record {
            Record::SelfTest(rule) => Some(rule),
            _ => None,
        })
        .collect();
    let faults = FAULTS.iter().map(|(name, _)| name);
    let run: BTreeSet<String> = RULES
        .iter()
        .chain(faults)
        .map(ToString::to_string)
        .collect();
    ensure!(
        offered == run,
        "the rig has tests for {offered:?}, and {run:?} are run"
    );
    Ok(())
}

/// Runs one test, which must stop with `code`.
fn notices(artifacts: &Artifacts, test: &str, code: &str) -> anyhow::Result<()> {
    let machine = Machine::new(artifacts)
        .with_processors(2)
        .with_option(&format!("self-test={test}"));
    let ended = to_the_end(&machine)?;
    ensure!(
        ended.outcome == Outcome::Violation,
        "the rig should have stopped with {code}, but {ended}"
    );
    let stop = ended
        .stop
        .as_ref()
        .context("the rig stopped without a record")?;
    ensure!(
        stop.code == code,
        "the rig should have stopped with {code}, but {stop}"
    );
    ensure!(!stop.text.is_empty(), "the stop has no sentence: {stop}");
    ensure!(
        stop.frames.iter().any(|frame| ["self_test", "provoke"]
            .iter()
            .any(|name| frame.contains(name))),
        "the stack does not lead to the test: {stop}"
    );
    Ok(())
}
