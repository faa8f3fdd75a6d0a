//! The rig notices what it is there to notice: for each rule, it breaks that
//! one itself, and must stop with the rule's id and a stack.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};

use super::{List, support::to_the_end};
use crate::{
    artifacts::Artifacts,
    ended::Outcome,
    log::records,
    machine::{Interrupts, Machine},
    record::Record,
};

/// The rules that the rig can break by calls alone.
#[rustfmt::skip]
pub(crate) const RULES: &[&str] = &[
    "CAN-01",
    "CAN-02",
    "CAN-03",
    "CAN-04",
    "CAN-05",
    "CAN-06",
    "CAN-07",
    "CAN-08",
    "CSQ-01",
    "CSQ-02",
    "CSQ-03",
    "CTL-01",
    "CTL-02",
    "CTL-03",
    "CTL-04",
    "DMA-01",
    "DMA-02",
    "DMA-03",
    "DMA-04",
    "DMA-05",
    "DMA-06",
    "DMA-07",
    "DMA-08",
    "DPC-01",
    "DPC-02",
    "DPC-03",
    "DPC-04",
    "DPC-05",
    "DPC-06",
    "DPC-07",
    "DPC-08",
    "ETW-01",
    "ETW-02",
    "HND-01",
    "HND-02",
    "IMG-01",
    "INT-01",
    "INT-02",
    "INT-03",
    "INT-04",
    "INT-05",
    "INT-06",
    "INT-07",
    "INT-08",
    "INT-09",
    "INT-10",
    "INT-11",
    "INT-12",
    "INT-13",
    "INT-14",
    "IRP-01",
    "IRP-02",
    "IRP-03",
    "IRP-04",
    "IRP-05",
    "IRP-06",
    "IRP-07",
    "IRP-08",
    "IRP-09",
    "IRP-10",
    "IRP-11",
    "IRP-12",
    "IRP-13",
    "IRP-14",
    "IRP-15",
    "IRP-16",
    "IRP-17",
    "IRQL-01",
    "IRQL-02",
    "IRQL-03",
    "IRQL-04",
    "IRQL-05",
    "IRQL-06",
    "IRQL-07",
    "IRQL-08",
    "MMIO-01",
    "MMIO-02",
    "MMIO-03",
    "PNP-01",
    "PNP-02",
    "PNP-03",
    "PNP-04",
    "PNP-05",
    "PNP-06",
    "PNP-07",
    "PNP-09",
    "PNP-10",
    "PNP-08",
    "PNP-11",
    "PNP-12",
    "PNP-13",
    "PNP-14",
    "PNP-15",
    "PNP-16",
    "POOL-01",
    "POOL-02",
    "POOL-03",
    "POOL-04",
    "POOL-05",
    "POOL-06",
    "POOL-07",
    "PWR-01",
    "PWR-02",
    "PWR-03",
    "PWR-04",
    "PWR-05",
    "PWR-06",
    "PWR-07",
    "PWR-08",
    "RML-01",
    "RML-02",
    "RML-03",
    "SEC-01",
    "SEC-02",
    "SEC-03",
    "SEC-04",
    "SEC-05",
    "SEC-06",
    "SIO-01",
    "SIO-02",
    "SIO-03",
    "SIO-04",
    "SIO-05",
    "SIO-06",
    "SPL-01",
    "SPL-02",
    "SPL-03",
    "SPL-04",
    "SPL-05",
    "SPL-06",
    "STK-01",
    "SYN-01",
    "SYN-02",
    "SYN-03",
    "SYN-04",
    "SYN-05",
    "SYN-06",
    "TMR-01",
    "TMR-02",
    "TMR-03",
    "TMR-04",
    "TMR-05",
    "WKI-01",
    "WKI-02",
];

/// Rules that the rig checks after the driver has returned, or on another
/// processor: the stack is then its own, and the driver's part in it is over.
const FOUND_LATER: &[&str] = &[
    "IRP-11",
    "IRP-12",
    "IRP-14",
    "IRP-15",
    "INT-08",
    "INT-08-dpc",
    "INT-08-write",
    "INT-09",
    "INT-10",
    "MMIO-03",
    "PWR-03",
    "PWR-05",
    "PWR-06",
    "PWR-08",
    "CAN-07",
    "IRP-16",
    "POOL-05",
    "POOL-05-hole",
    "SEC-06",
    "SEC-06-irp",
    "INT-14",
    "DPC-06-long",
    "SYN-05-long",
    "PNP-08",
    "PNP-15",
    "DPC-02",
    "DPC-04",
];

/// More ways to break some of them: the test, and the rule.
const OTHER_WAYS: &[(&str, &str)] = &[
    ("INT-02-no-retry", "INT-02"),
    ("INT-08-dpc", "INT-08"),
    ("INT-08-write", "INT-08"),
    ("POOL-03-behind", "POOL-03"),
    ("POOL-03-in-front", "POOL-03"),
    ("POOL-03-page-in-front", "POOL-03"),
    ("POOL-03-freed", "POOL-03"),
    ("IRQL-06-code", "IRQL-06"),
    ("IRQL-06-data", "IRQL-06"),
    ("POOL-05-hole", "POOL-05"),
    ("POOL-06-freed", "POOL-06"),
    ("POOL-06-broken", "POOL-06"),
    ("POOL-07-tagged", "POOL-07"),
    ("POOL-07-mapping", "POOL-07"),
    ("SEC-06-irp", "SEC-06"),
    ("SPL-06-again", "SPL-06"),
    ("DPC-06-long", "DPC-06"),
    ("SYN-05-long", "SYN-05"),
    ("IMG-01-execute", "IMG-01"),
    ("ETW-01-twice", "ETW-01"),
    ("PNP-16-provider", "PNP-16"),
    ("IRQL-01-provider", "IRQL-01"),
    ("IRQL-06-event", "IRQL-06"),
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
    list.add("self-test/none", cries_no_wolf);
    for rule in RULES {
        list.add(format!("self-test/{rule}"), |artifacts| {
            notices(artifacts, rule, rule)
        });
    }
    for (name, code) in OTHER_WAYS.iter().chain(FAULTS) {
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
    let faults = OTHER_WAYS.iter().chain(FAULTS).map(|(name, _)| name);
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

/// The same driver without a fault comes to its end.
fn cries_no_wolf(artifacts: &Artifacts) -> anyhow::Result<()> {
    for interrupts in [Interrupts::Msi, Interrupts::Intx] {
        let machine = Machine::new(artifacts)
            .with_processors(2)
            .with_interrupts(interrupts)
            .with_option("self-test=none");
        let ended = to_the_end(&machine)?;
        ensure!(ended.outcome == Outcome::Success, "{ended}");
    }
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
    let leads_to = |name: &str| stop.frames.iter().any(|frame| frame.contains(name));
    ensure!(leads_to("rig::"), "the stack has no names: {stop}");
    ensure!(
        FOUND_LATER.contains(&test) || leads_to("self_test::") || leads_to("provoke::"),
        "the stack does not lead to the test: {stop}"
    );
    Ok(())
}
