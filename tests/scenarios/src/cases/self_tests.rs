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

pub(super) fn add(list: &mut List) {
    list.add("self-test/list", the_list_is_complete);
    for rule in RULES {
        list.add(format!("self-test/{rule}"), |artifacts| {
            notices(artifacts, rule)
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
    let run: BTreeSet<String> = RULES.iter().map(ToString::to_string).collect();
    ensure!(
        offered == run,
        "the rig has tests for {offered:?}, and {run:?} are run"
    );
    Ok(())
}

fn notices(artifacts: &Artifacts, rule: &str) -> anyhow::Result<()> {
    let machine = Machine::new(artifacts)
        .with_processors(2)
        .with_option(&format!("self-test={rule}"));
    let ended = to_the_end(&machine)?;
    ensure!(
        ended.outcome == Outcome::Violation,
        "the rig broke {rule} and should have stopped, but {ended}"
    );
    let stop = ended
        .stop
        .as_ref()
        .context("the rig stopped without a record")?;
    ensure!(stop.code == rule, "the rig broke {rule}, but {stop}");
    ensure!(!stop.text.is_empty(), "the stop has no sentence: {stop}");
    ensure!(
        stop.frames.iter().any(|frame| frame.contains("self_test")),
        "the stack does not lead to the test that broke the rule: {stop}"
    );
    Ok(())
}
