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
            "interrupts claimed by the ISR",
            counters.interrupts_claimed,
            operations,
        ),
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
    ] {
        check.equal(what, &got, &wanted);
    }
    check.record(dpcs_fit(&counters));
    let kind = InterruptKind::from_value(bench.device.identify()?.interrupt_kind);
    if kind == Some(InterruptKind::Message) {
        // A message is never shared, so there is nobody else's to refuse.
        check.equal(
            "interrupts refused by the ISR",
            &counters.interrupts_not_ours,
            &0,
        );
    }
    Ok(counters.into())
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
