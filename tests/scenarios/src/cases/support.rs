//! What several scenarios do in the same way.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use eductl::{
    Device, DeviceError, NtStatus, TransportError,
    commands::{factorial::wrapping_factorial, stats::Counters},
    rig::Rig,
    verify::{self, Verification},
};
use rig_protocol::{Action, Report};

use crate::{
    ended::{Ended, Outcome},
    machine::Machine,
    running::Running,
};

/// Boots `machine`, runs `case` in it and takes it down. The report is that of
/// the shutdown, and the run must have ended without a violation.
pub(crate) fn in_rig(
    machine: &Machine,
    case: impl FnOnce(&Rig) -> anyhow::Result<()>,
) -> anyhow::Result<Report> {
    let (running, _) = machine.start()?.wait_ready()?;
    let outcome = running.connect().and_then(|rig| case(&rig));
    take_down(running, outcome).with_context(|| format!("in a rig as `{machine}` boots it"))
}

/// Takes a rig down in which something was done with `outcome`.
pub(super) fn take_down(running: Running, outcome: anyhow::Result<()>) -> anyhow::Result<Report> {
    let down = running.shut_down();
    let (report, ended) = match (outcome, down) {
        (Ok(()), down) => down?,
        // Why the rig stopped explains why the case failed.
        (Err(error), Ok((_, ended))) => return Err(error.context(ended.to_string())),
        (Err(error), Err(down)) => return Err(error.context(format!("{down:#}"))),
    };
    ensure!(ended.outcome == Outcome::Success, "{ended}");
    let report = report.context("the rig ended without a report")?;
    ensure!(
        report.irps_sent == report.irps_completed,
        "{} IRPs were sent to the driver and {} completed",
        report.irps_sent,
        report.irps_completed
    );
    ensure!(report.checks > 0, "the rig checked nothing");
    ensure!(report.violations == 0, "{} violations", report.violations);
    Ok(report)
}

/// Longest run of a rig that ends by itself soon after it has booted.
const SHORT_RUN: Duration = Duration::from_mins(2);

/// Boots `machine`, which must end by itself.
pub(super) fn to_the_end(machine: &Machine) -> anyhow::Result<Ended> {
    let machine = machine.clone().with_time_limit(SHORT_RUN);
    machine.start()?.wait_ended()
}

/// Fails unless the rig refused to run with a sentence that holds all of `words`.
pub(super) fn refused(machine: &Machine, words: &[&str]) -> anyhow::Result<()> {
    let ended = to_the_end(machine)?;
    let refusal = ended
        .refusal()
        .with_context(|| format!("it should have been refused, but {ended}"))?;
    for word in words {
        ensure!(
            refusal.to_lowercase().contains(&word.to_lowercase()),
            "the refusal does not say {word:?}: {refusal}"
        );
    }
    Ok(())
}

/// Fails unless every check of `verify` passed.
pub(super) fn passed(verification: &Verification) -> anyhow::Result<()> {
    ensure!(verification.passed(), "verify failed:\n{verification}");
    Ok(())
}

/// Fails unless the rig saw the ISR claim just what the driver says it claimed.
pub(super) fn same_interrupts(
    before: &Report,
    after: &Report,
    counters: &[&Counters],
) -> anyhow::Result<()> {
    let claimed = after.isr_claimed - before.isr_claimed;
    let counted: u64 = counters.iter().map(|each| each.interrupts_claimed).sum();
    ensure!(
        claimed == counted,
        "the rig saw the ISR claim {claimed} interrupts, and the driver counted {counted}"
    );
    let by_processor: u64 = after.isr_calls_by_processor.iter().sum();
    ensure!(
        by_processor == after.isr_calls,
        "{} ISR calls, but {by_processor} over all processors",
        after.isr_calls
    );
    Ok(())
}

/// Fails unless the driver keeps all its promises, with each interrupt that it claimed
/// counted once. The rig's report before and after, and what was verified between.
pub(super) fn verified(rig: &Rig) -> anyhow::Result<(Report, Verification, Report)> {
    let before = rig.report()?;
    let verification = verify::run(rig, 0)?;
    passed(&verification)?;
    let after = rig.report()?;
    same_interrupts(
        &before,
        &after,
        &[&verification.counters_before, &verification.counters],
    )?;
    Ok((before, verification, after))
}

/// STATUS_DEVICE_BUSY: the device's files are open.
pub(super) const DEVICE_BUSY: NtStatus = NtStatus(0x8000_0011);
/// How long a file may stay open that was closed.
const CLOSE_LIMIT: Duration = Duration::from_secs(30);

/// Removes a device whose files were closed: a request that was just answered may keep its
/// file for a moment longer.
pub(super) fn remove(rig: &Rig, device: u32) -> anyhow::Result<()> {
    let end = Instant::now() + CLOSE_LIMIT;
    loop {
        match rig.pnp(device, Action::Remove) {
            Err(TransportError::Failed { failure, .. })
                if failure.is(DEVICE_BUSY) && Instant::now() < end =>
            {
                thread::sleep(Duration::from_millis(1));
            }
            answer => return Ok(answer?),
        }
    }
}

/// Fails unless the device computes `n!` rightly.
pub(super) fn computes(device: &Device<'_>, n: u32, timeout_ms: u32) -> anyhow::Result<()> {
    let reply = device.factorial(n, timeout_ms)?;
    let wanted = wrapping_factorial(n);
    ensure!(
        (reply.n, reply.value) == (n, wanted),
        "{n}! is {wanted}, and the device says that {}! is {}",
        reply.n,
        reply.value
    );
    Ok(())
}

/// Fails unless `answer` is a failure with one of `statuses`.
pub(super) fn fails_with<T, E: Into<DeviceError>>(
    what: &str,
    answer: Result<T, E>,
    statuses: &[NtStatus],
) -> anyhow::Result<()> {
    let names: Vec<String> = statuses.iter().map(ToString::to_string).collect();
    let names = names.join(" or ");
    let error = match answer {
        Ok(_) => anyhow::bail!("{what}: succeeded instead of failing with {names}"),
        Err(error) => error.into(),
    };
    let failure = match &error {
        DeviceError::Transport(error @ TransportError::Failed { .. }) => error.failure(),
        _ => None,
    };
    ensure!(
        failure.is_some_and(|failure| statuses.iter().any(|status| failure.is(*status))),
        "{what}: {error}, instead of {names}"
    );
    Ok(())
}
