//! `stats`: what the driver has counted, all at one moment.

use std::{fmt, time::Duration};

use edu_interface::Statistics;
use serde::Serialize;

use super::{
    CommandError,
    histograms::{self, Histograms},
    recording::{LoadOptions, Plan},
};
use crate::{device::Device, stop::Stop};

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

/// What `stats` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatsResult {
    /// The counters.
    #[serde(flatten)]
    pub counters: Counters,
    /// How long things took, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub histograms: Option<Histograms>,
}

/// What `stats` is to do, as the command line says it.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Set the counters to zero in the same critical section
    #[arg(long)]
    reset: bool,
    /// Record for a while first, and show how long the interrupt spin lock was held and
    /// waited for, and how long interrupts waited for their DPC
    #[arg(long)]
    histograms: bool,
    /// How long to record
    #[arg(long, value_name = "S", requires = "histograms", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    seconds: u32,
    #[command(flatten)]
    load: LoadOptions,
}

/// Reads the counters, after the recording if there is to be one.
///
/// # Errors
/// [`CommandError`].
pub fn run(
    device: &Device<'_>,
    options: &Options,
    stop: &Stop,
) -> Result<StatsResult, CommandError> {
    let plan = Plan {
        length: Duration::from_secs(options.seconds.into()),
        load: options.load.load(),
    };
    let histograms = if options.histograms {
        Some(histograms::record(device, plan, stop)?)
    } else {
        None
    };
    // A recording that the user ended is shown, with the counters.
    let device = device.for_cleanup();
    let statistics = if options.reset {
        device.reset_statistics()?
    } else {
        device.statistics()?
    };
    Ok(StatsResult {
        counters: statistics.into(),
        histograms,
    })
}

impl fmt::Display for StatsResult {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.counters)?;
        match &self.histograms {
            Some(histograms) => write!(formatter, "\n\n{histograms}"),
            None => Ok(()),
        }
    }
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
