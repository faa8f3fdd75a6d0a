//! Requests to edu.sys that are sent and answered later.

use std::time::{Duration, Instant};

use anyhow::ensure;
use edu_interface::{FACTORIAL, FactorialRequest, RAISE_INTERRUPT, RaiseRequest};
use eductl::{
    Device,
    commands::factorial::wrapping_factorial,
    rig::{PendingControl, RigHandle},
};
use zerocopy::IntoBytes as _;

/// The time-out of requests that shall not have one.
pub(super) const LONG_MS: u32 = 60_000;
/// How long an operation may take to be started.
const LIMIT: Duration = Duration::from_secs(20);

/// Sends a factorial, which is to be started some time.
pub(super) fn start_factorial(handle: &RigHandle, n: u32) -> anyhow::Result<PendingControl> {
    start_factorial_within(handle, n, LONG_MS)
}

/// As [`start_factorial`], with another time-out.
pub(super) fn start_factorial_within(
    handle: &RigHandle,
    n: u32,
    timeout_ms: u32,
) -> anyhow::Result<PendingControl> {
    let request = FactorialRequest { n, timeout_ms };
    Ok(handle.start_control(FACTORIAL.value(), request.as_bytes(), 8)?)
}

/// Sends a request for an interrupt.
pub(super) fn start_raise(handle: &RigHandle, mask: u32) -> anyhow::Result<PendingControl> {
    let request = RaiseRequest {
        mask,
        timeout_ms: LONG_MS,
    };
    Ok(handle.start_control(RAISE_INTERRUPT.value(), request.as_bytes(), 8)?)
}

/// Fails unless the answer is `n!`.
pub(super) fn expect_factorial(pending: PendingControl, n: u32) -> anyhow::Result<()> {
    let wanted = [n.to_le_bytes(), wrapping_factorial(n).to_le_bytes()].concat();
    let answer = pending.wait()?;
    ensure!(answer == wanted, "{n}! came back as {answer:?}");
    Ok(())
}

/// Waits until the driver has started `count` operations.
pub(super) fn started(device: &Device<'_>, count: u64) -> anyhow::Result<()> {
    let began = Instant::now();
    while device.statistics()?.operations_started < count {
        ensure!(began.elapsed() < LIMIT, "operation {count} never began");
    }
    Ok(())
}
