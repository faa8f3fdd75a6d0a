//! The driver's counters: zero after a reset, and in the end just what was done.

use edu_interface::{InterruptKind, Statistics};

use super::{Bench, Check};
use crate::commands::{CommandError, stats::Counters};

/// Sets the counters to zero and returns what they were.
pub(super) fn reset(bench: &Bench<'_>, check: &mut Check) -> Result<Counters, CommandError> {
    let before = bench.device.reset_statistics()?;
    let mut after = bench.device.statistics()?;
    // A device on the same line may interrupt at any moment.
    after.interrupts_not_ours = 0;
    check.equal("counters after a reset", &after, &Statistics::default());
    Ok(before.into())
}

/// Compares the counters with the tally and returns them.
pub(super) fn agree(bench: &Bench<'_>, check: &mut Check) -> Result<Counters, CommandError> {
    let counters = bench.device.statistics()?;
    let operations = bench.tally.operations();
    for (what, got, wanted) in [
        (
            "interrupts that nobody asked for",
            counters.interrupts_unasked,
            0,
        ),
        (
            "operations started",
            counters.operations_started,
            operations,
        ),
        (
            "operations completed",
            counters.operations_completed,
            operations,
        ),
        ("operations timed out", counters.operations_timed_out, 0),
        ("operations aborted", counters.operations_aborted, 0),
        (
            "liveness checks",
            counters.liveness_checks,
            bench.tally.liveness_checks(),
        ),
        (
            "operations refused for want of room",
            counters.results_refused,
            0,
        ),
        (
            "transfers started",
            counters.dma_started,
            counters.dma_completed,
        ),
        ("transfers timed out", counters.dma_timed_out, 0),
        ("transfers aborted", counters.dma_aborted, 0),
        (
            "bytes read",
            counters.dma_bytes_read,
            bench.tally.bytes_read(),
        ),
        (
            "bytes written",
            counters.dma_bytes_written,
            bench.tally.bytes_written(),
        ),
        ("events lost", counters.events_lost, 0),
    ] {
        check.equal(what, &got, &wanted);
    }
    // Where the caller's memory is in pieces, a transfer takes the device several.
    check.record(at_least(
        "transfers completed",
        counters.dma_completed,
        bench.tally.transfers(),
    ));
    // The ends of an operation and of a transfer may come in one interrupt.
    let ends = operations + counters.dma_completed;
    let most = operations.max(counters.dma_completed);
    check.record(at_least(
        "interrupts claimed",
        counters.interrupts_claimed,
        most,
    ));
    check.record(at_least(
        "ends of what was begun",
        ends,
        counters.interrupts_claimed,
    ));
    check.record(dpcs_fit(&counters));
    let kind = InterruptKind::from_value(bench.device.identify()?.interrupt_kind);
    if kind == Some(InterruptKind::Message) {
        // A message is never shared. But where two ends come in one interrupt, the second
        // has sent a message too, and nothing is left for that.
        let joined = ends.saturating_sub(counters.interrupts_claimed);
        check.record(at_least(
            "ends that came with another, for as many interrupts without a cause",
            joined,
            counters.interrupts_not_ours,
        ));
    }
    Ok(counters.into())
}

pub(super) fn at_least(what: &str, got: u64, least: u64) -> Result<(), String> {
    if got >= least {
        return Ok(());
    }
    Err(format!("{what}: {got}, where at least {least} must be"))
}

/// One run of DpcForIsr may serve several interrupts, and none serves nothing.
fn dpcs_fit(counters: &Statistics) -> Result<(), String> {
    let runs = counters.dpc_runs;
    let most = counters.dpc_most_results;
    let completed = counters.operations_completed;
    if runs >= 1 && runs <= completed && most >= 1 && runs.saturating_mul(most) >= completed {
        return Ok(());
    }
    Err(format!(
        "{runs} DPC runs with at most {most} results each cannot have completed {completed} \
         operations"
    ))
}
