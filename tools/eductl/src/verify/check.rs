//! Counting: checks and their failures, and what was asked of the driver.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use serde::Serialize;

use crate::{device::DeviceError, status::NtStatus};

/// Failures beyond these are counted, not described: a broken driver fails
/// hundreds of checks in the same way.
const DESCRIBED: usize = 8;

/// A group of checks and how they went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    name: String,
    made: u64,
    failed: u64,
    failures: Vec<String>,
}

impl Check {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            made: 0,
            failed: 0,
            failures: Vec::new(),
        }
    }

    /// What is checked.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether checks were made and none failed.
    #[must_use]
    pub const fn passed(&self) -> bool {
        self.failed == 0 && self.made > 0
    }

    /// Checks made.
    #[must_use]
    pub const fn made(&self) -> u64 {
        self.made
    }

    /// Checks that failed.
    #[must_use]
    pub const fn failed(&self) -> u64 {
        self.failed
    }

    /// Descriptions of the first failures.
    #[must_use]
    pub fn failures(&self) -> &[String] {
        &self.failures
    }

    /// Counts one check that failed.
    pub(super) fn fail(&mut self, failure: String) {
        self.record(Err(failure));
    }

    /// Counts one check.
    pub(super) fn record(&mut self, outcome: Result<(), String>) {
        self.made += 1;
        if let Err(failure) = outcome {
            self.failed += 1;
            if self.failures.len() < DESCRIBED {
                self.failures.push(failure);
            }
        }
    }

    /// Counts one comparison.
    pub(super) fn equal<T: PartialEq + fmt::Debug>(
        &mut self,
        what: impl fmt::Display,
        got: &T,
        wanted: &T,
    ) {
        self.record(if got == wanted {
            Ok(())
        } else {
            Err(format!("{what}: {got:?} instead of {wanted:?}"))
        });
    }

    /// Counts one request that must fail with `wanted`. Whatever is no answer of
    /// the driver ends the run.
    pub(super) fn refused<T, E: Into<DeviceError>>(
        &mut self,
        what: impl fmt::Display,
        answer: Result<T, E>,
        wanted: NtStatus,
    ) -> Result<(), DeviceError> {
        let error = match answer.map_err(Into::into) {
            Err(DeviceError::Transport(error)) => error,
            // A reply that makes no sense is one nevertheless.
            Ok(_) | Err(DeviceError::ReplyLength { .. } | DeviceError::Malformed { .. }) => {
                self.fail(format!(
                    "{what}: succeeded instead of failing with {wanted}"
                ));
                return Ok(());
            }
        };
        match error.failure() {
            Some(failure) if failure.is(wanted) => self.record(Ok(())),
            Some(failure) => self.fail(format!("{what}: {failure}, instead of {wanted}")),
            None => return Err(error.into()),
        }
        Ok(())
    }

    /// Adds what another thread counted for the same group.
    pub(super) fn merge(&mut self, other: Self) {
        self.made += other.made;
        self.failed += other.failed;
        let room = DESCRIBED.saturating_sub(self.failures.len());
        self.failures.extend(other.failures.into_iter().take(room));
    }
}

impl fmt::Display for Check {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.passed() { "ok  " } else { "FAIL" };
        write!(
            formatter,
            "{verdict}  {:<30} {:>5} checks",
            self.name, self.made
        )?;
        if self.failed > 0 {
            write!(formatter, ", {} failed", self.failed)?;
        }
        for failure in &self.failures {
            write!(formatter, "\n      {failure}")?;
        }
        Ok(())
    }
}

/// What was asked of the driver since its counters were set to zero.
#[derive(Debug, Default)]
pub(super) struct Tally {
    operations: AtomicU64,
    liveness_checks: AtomicU64,
    transfers: AtomicU64,
    bytes_read: AtomicU64,
    bytes_written: AtomicU64,
}

impl Tally {
    pub(super) fn count_operation(&self) {
        self.operations.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_liveness_check(&self) {
        self.liveness_checks.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_read(&self, bytes: usize) {
        self.count_transfer(&self.bytes_read, bytes);
    }

    pub(super) fn count_write(&self, bytes: usize) {
        self.count_transfer(&self.bytes_written, bytes);
    }

    /// One of no bytes is none for the device.
    fn count_transfer(&self, all: &AtomicU64, bytes: usize) {
        self.transfers
            .fetch_add(u64::from(bytes > 0), Ordering::Relaxed);
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        all.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn operations(&self) -> u64 {
        self.operations.load(Ordering::Relaxed)
    }

    pub(super) fn liveness_checks(&self) -> u64 {
        self.liveness_checks.load(Ordering::Relaxed)
    }

    pub(super) fn transfers(&self) -> u64 {
        self.transfers.load(Ordering::Relaxed)
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    pub(super) fn bytes_written(&self) -> u64 {
        self.bytes_written.load(Ordering::Relaxed)
    }
}
