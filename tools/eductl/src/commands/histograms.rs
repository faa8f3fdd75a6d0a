//! Histograms: how long the interrupt spin lock was held and waited for, and how long an
//! interrupt waited for its DPC, from the flight recorder.

use std::fmt;

use serde::Serialize;

use super::{
    CommandError,
    recording::{self, Plan},
};
use crate::{
    device::Device,
    stop::Stop,
    timeline::{Distribution, Figures, Length, Unusable},
};

/// What `stats --histograms` adds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Histograms {
    /// From the first record's begin to the last one's end.
    pub length_ns: u64,
    /// Records that they are made of.
    pub records: usize,
    /// Records that were overwritten before they could be read.
    pub lost: u64,
    /// Records that make no sense.
    pub unusable: Unusable,
    /// The figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// Records as long as `plan` says.
///
/// # Errors
/// [`CommandError`].
pub fn record(device: &Device<'_>, plan: Plan, stop: &Stop) -> Result<Histograms, CommandError> {
    let timeline = recording::record(device, plan, stop)?;
    Ok(Histograms {
        length_ns: timeline.end(),
        records: timeline.spans().len(),
        lost: timeline.lost,
        unusable: timeline.unusable,
        figures: Figures::of(&timeline),
    })
}

impl fmt::Display for Histograms {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} records over {}, {} lost, of no use: {}",
            self.records,
            Length(self.length_ns),
            self.lost,
            self.unusable
        )?;
        let figures = &self.figures;
        for (what, distribution) in [
            ("the lock was held by critical sections", &figures.lock_hold),
            ("critical sections waited for it", &figures.lock_wait),
            ("from the end of the ISR to its DPC", &figures.isr_to_dpc),
        ] {
            match distribution {
                Some(distribution) => named(formatter, what, distribution)?,
                None => write!(formatter, "\n\n{what}: never")?,
            }
        }
        Ok(())
    }
}

fn named(
    formatter: &mut fmt::Formatter<'_>,
    what: &str,
    distribution: &Distribution,
) -> fmt::Result {
    write!(formatter, "\n\n{what}: {distribution}")
}
