//! `stats`: what the driver has counted, all at one moment.

use std::fmt;

use edu_interface::Statistics;
use serde::Serialize;

use super::CommandError;
use crate::device::Device;

/// What `stats` prints: the fields of [`Statistics`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(
    missing_docs,
    reason = "the fields are those of edu_interface::Statistics, and documented there"
)]
pub struct Counters {
    pub interrupts_claimed: u64,
    pub interrupts_not_ours: u64,
    pub interrupts_unasked: u64,
    pub operations_started: u64,
    pub operations_completed: u64,
    pub operations_timed_out: u64,
    pub operations_aborted: u64,
    pub dpc_runs: u64,
    pub dpc_most_results: u64,
    pub liveness_checks: u64,
    pub results_refused: u64,
    pub dma_started: u64,
    pub dma_completed: u64,
    pub dma_timed_out: u64,
    pub dma_aborted: u64,
    pub dma_bytes_read: u64,
    pub dma_bytes_written: u64,
    pub events_lost: u64,
}

impl From<Statistics> for Counters {
    fn from(statistics: Statistics) -> Self {
        Self {
            interrupts_claimed: statistics.interrupts_claimed,
            interrupts_not_ours: statistics.interrupts_not_ours,
            interrupts_unasked: statistics.interrupts_unasked,
            operations_started: statistics.operations_started,
            operations_completed: statistics.operations_completed,
            operations_timed_out: statistics.operations_timed_out,
            operations_aborted: statistics.operations_aborted,
            dpc_runs: statistics.dpc_runs,
            dpc_most_results: statistics.dpc_most_results,
            liveness_checks: statistics.liveness_checks,
            results_refused: statistics.results_refused,
            dma_started: statistics.dma_started,
            dma_completed: statistics.dma_completed,
            dma_timed_out: statistics.dma_timed_out,
            dma_aborted: statistics.dma_aborted,
            dma_bytes_read: statistics.dma_bytes_read,
            dma_bytes_written: statistics.dma_bytes_written,
            events_lost: statistics.events_lost,
        }
    }
}

/// What happens to the counters when they are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Afterwards {
    /// They go on.
    Keep,
    /// They are set to zero, in the same critical section that reads them.
    Reset,
}

/// Reads the counters.
///
/// # Errors
/// [`CommandError`].
pub fn run(device: &Device<'_>, afterwards: Afterwards) -> Result<Counters, CommandError> {
    let statistics = match afterwards {
        Afterwards::Keep => device.statistics()?,
        Afterwards::Reset => device.reset_statistics()?,
    };
    Ok(statistics.into())
}

impl fmt::Display for Counters {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = [
            ("interrupts claimed by the ISR", self.interrupts_claimed),
            ("interrupts of other devices", self.interrupts_not_ours),
            ("interrupts nobody asked for", self.interrupts_unasked),
            ("operations started", self.operations_started),
            ("operations completed", self.operations_completed),
            ("operations timed out", self.operations_timed_out),
            ("operations aborted", self.operations_aborted),
            ("DPC runs", self.dpc_runs),
            ("most results in one DPC run", self.dpc_most_results),
            ("liveness checks", self.liveness_checks),
            ("operations without room", self.results_refused),
            ("DMA transfers started", self.dma_started),
            ("DMA transfers completed", self.dma_completed),
            ("DMA transfers timed out", self.dma_timed_out),
            ("DMA transfers aborted", self.dma_aborted),
            ("bytes read by DMA", self.dma_bytes_read),
            ("bytes written by DMA", self.dma_bytes_written),
            ("events lost", self.events_lost),
        ];
        for (index, (name, value)) in lines.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(formatter, "{separator}{name:<30} {value:>10}")?;
        }
        Ok(())
    }
}
