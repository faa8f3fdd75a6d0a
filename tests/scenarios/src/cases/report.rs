//! What a run says of itself at its end, for the report, and the life that any driver
//! can be taken through.

use anyhow::{Context as _, ensure};
use eductl::{Device, Open, System as _};

use super::{
    List,
    support::{computes, take_down, to_the_end},
};
use crate::{
    artifacts::Artifacts,
    book::{Book, Run},
    exercise,
    machine::Machine,
    statistics::Statistics,
};

const TIMEOUT_MS: u32 = 10_000;

pub(super) fn add(list: &mut List) {
    list.add("report/what-a-run-did", what_a_run_did);
    list.add("report/of-a-run-that-is-stopped", of_a_run_that_is_stopped);
}

/// A life of two devices and some requests, and what is said of it.
fn what_a_run_did(artifacts: &Artifacts) -> anyhow::Result<()> {
    let book = Book::default();
    let machine = Machine::new(&artifacts.clone().with_book(&book))
        .with_processors(2)
        .with_devices(2);
    let (running, ready) = machine.start()?.wait_ready()?;
    let outcome = running
        .connect()
        .and_then(|rig| {
            let handle = rig.open(&Open::read_write(0))?;
            computes(&Device::new(handle.as_ref()), 10, TIMEOUT_MS)?;
            handle.close()?;
            Ok(())
        })
        .and_then(|()| exercise::run(&running, ready.devices, |_| ()));
    let report = take_down(running, outcome)?;
    let run = only(&book)?;
    ensure!(run.stopped_by.is_none(), "the run was stopped: {run:?}");
    let statistics = run.statistics.context("the run has no statistics")?;
    let checks: u64 = statistics.checks.values().sum();
    // The report is of the moment at which the run was about to end.
    ensure!(
        checks >= report.checks,
        "{} checks in the report, {checks} in the statistics",
        report.checks
    );
    for (name, reported) in [
        ("isr-claimed", report.isr_claimed),
        ("dpcs", report.dpcs),
        ("irps-sent", report.irps_sent),
        ("critical-sections", report.critical_sections),
    ] {
        let counted = statistics.counts.get(name).copied().unwrap_or_default();
        ensure!(
            reported > 0 && counted == reported,
            "{name}: {reported} in the report, {counted} in the statistics"
        );
    }
    for name in ["longest-interrupt-lock-100ns", "longest-spin-lock-100ns"] {
        ensure!(
            statistics.counts.get(name).is_some_and(|time| *time > 0),
            "no lock was ever held: {name}"
        );
    }
    calls_are_counted(&statistics)?;
    times_add_up(&statistics, run.seconds)
}

/// Each of these calls is made so often, or not at all, by what happened here.
fn calls_are_counted(statistics: &Statistics) -> anyhow::Result<()> {
    let calls = |name: &str| statistics.imports.get(name).copied();
    let starts = calls("IoConnectInterruptEx").context("IoConnectInterruptEx is not imported")?;
    ensure!(
        starts >= 6 && calls("IoDisconnectInterruptEx") == Some(starts),
        "{starts} connections and {:?} disconnections, after three starts of two devices",
        calls("IoDisconnectInterruptEx")
    );
    ensure!(
        calls("KeBugCheckEx").is_none_or(|calls| calls == 0),
        "KeBugCheckEx was called, and the run went on"
    );
    ensure!(
        calls("IoCreateController").is_none(),
        "edu.sys has no controller object, and is said to import IoCreateController"
    );
    Ok(())
}

/// No processor can have been at its levels for longer than the run took, nor much less
/// than it was up; and both have been idle, at PASSIVE_LEVEL and at DISPATCH_LEVEL.
fn times_add_up(statistics: &Statistics, seconds: f64) -> anyhow::Result<()> {
    ensure!(
        statistics.irql_times.len() == 2,
        "{} processors have times, of 2",
        statistics.irql_times.len()
    );
    for (processor, times) in &statistics.irql_times {
        let all: u64 = times.values().sum();
        let limit = seconds * 10_000_000.0;
        ensure!(
            all > 0 && u32::try_from(all).is_ok_and(|all| f64::from(all) <= limit),
            "processor {processor} accounts for {all} units of 100 ns in a run of {seconds:.2} s"
        );
        for level in ["idle", "0", "2"] {
            ensure!(
                times.get(level).is_some_and(|time| *time > 0),
                "processor {processor} was never at {level}: {times:?}"
            );
        }
    }
    Ok(())
}

/// A run that a rule ends says what it did, too.
fn of_a_run_that_is_stopped(artifacts: &Artifacts) -> anyhow::Result<()> {
    let book = Book::default();
    let machine = Machine::new(&artifacts.clone().with_book(&book)).with_option("self-test=IRP-05");
    to_the_end(&machine)?;
    let run = only(&book)?;
    ensure!(
        run.stopped_by.as_deref() == Some("IRP-05"),
        "the run was stopped by {:?}",
        run.stopped_by
    );
    let statistics = run.statistics.context("the run has no statistics")?;
    ensure!(
        statistics
            .checks
            .get("IRP-05")
            .is_some_and(|count| *count > 0),
        "the rule that ended the run was never checked: {:?}",
        statistics.checks
    );
    Ok(())
}

/// The one run in a book.
fn only(book: &Book) -> anyhow::Result<Run> {
    let mut runs = book.take();
    let run = runs.pop().context("no run was written down")?;
    ensure!(runs.is_empty(), "more than one run was written down");
    Ok(run)
}
