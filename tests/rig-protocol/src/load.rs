//! A load: requests that the rig itself keeps outstanding, and how they went.
//!
//! Whoever sends single requests over the channel measures the channel: the port, QEMU
//! and the host between two requests take longer than the driver takes for one. So the
//! rig sends a load's requests by itself, and tells times of its own clock when all of
//! them have ended. Times are counts of the processors' time-stamp counter.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// Most requests of one load.
pub const MAX_LOAD: u32 = 50_000;

/// What the rig is to keep up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// From [`Reply::Opened`](crate::Reply::Opened).
    pub handle: u32,
    /// What is asked for, in turn, over and over.
    pub asks: Vec<Ask>,
    /// Requests outstanding at a time, 1 to [`MAX_OUTSTANDING`](crate::MAX_OUTSTANDING),
    /// spread over all processors.
    pub outstanding: u32,
    /// Requests altogether, 1 to [`MAX_LOAD`].
    pub requests: u32,
}

/// One request of a load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// `DeviceIoControl` with `METHOD_BUFFERED`.
    Control {
        /// The I/O control code, all 32 bits.
        code: u32,
        /// The input buffer.
        input: Vec<u8>,
        /// Length of the output buffer, in bytes.
        output_length: u32,
    },
    /// `ReadFile`.
    Read {
        /// `ByteOffset`.
        offset: u64,
        /// Length of the caller's buffer, in bytes.
        length: u32,
    },
    /// `WriteFile`.
    Write {
        /// `ByteOffset`.
        offset: u64,
        /// The caller's buffer.
        data: Vec<u8>,
    },
}

/// How a load went whose requests all succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loaded {
    /// Requests that ended.
    pub completed: u64,
    /// From the first request's begin to the last one's end.
    pub counts: u64,
    /// What processors spent spinning for interrupt locks meanwhile, all together.
    pub lock_wait: u64,
    /// From a request's begin, before its IRP is made, to its IRP's end.
    pub latency: Durations,
    /// From the begin of an ISR's call to the begin of the DPC that it asked for.
    pub isr_to_dpc: Durations,
}

/// Per mille of the durations that are as short as the one given, or shorter.
pub const QUANTILES: [u32; 11] = [10, 50, 100, 250, 500, 750, 900, 950, 990, 999, 1000];

/// How long many things of one kind took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durations {
    /// How many there were.
    pub samples: u64,
    /// All of them together.
    pub total: u64,
    /// One for each of [`QUANTILES`]: the shortest duration of which so many are no longer.
    /// All zero without samples.
    pub quantiles: [u64; QUANTILES.len()],
}

impl Durations {
    /// Of these, which are put into their order.
    #[must_use]
    pub fn of(samples: &mut [u64]) -> Self {
        samples.sort_unstable();
        Self {
            samples: u64::try_from(samples.len()).unwrap_or(u64::MAX),
            total: samples.iter().sum(),
            quantiles: QUANTILES.map(|per_mille| nearest_rank(samples, per_mille)),
        }
    }

    /// The duration of which so many per mille are no longer; none without samples, or when
    /// the quantile is none of [`QUANTILES`].
    #[must_use]
    pub fn at(&self, per_mille: u32) -> Option<u64> {
        let place = QUANTILES.iter().position(|known| *known == per_mille)?;
        let found = self.quantiles.get(place).copied();
        found.filter(|_| self.samples != 0)
    }
}

/// The quantile by nearest rank, so that it is one of the samples; zero without any.
fn nearest_rank(sorted: &[u64], per_mille: u32) -> u64 {
    let rank = (sorted.len() * per_mille as usize).div_ceil(1000);
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::{Durations, QUANTILES};

    #[test]
    fn quantiles_are_samples_whatever_the_order() {
        let mut samples: Vec<u64> = (1..=1000).rev().collect();
        let durations = Durations::of(&mut samples);
        assert_eq!((durations.samples, durations.total), (1000, 500_500));
        for per_mille in QUANTILES {
            assert_eq!(durations.at(per_mille), Some(u64::from(per_mille)));
        }
    }

    #[test]
    fn the_median_of_few_is_the_lower_one_of_the_middle() {
        assert_eq!(Durations::of(&mut [9, 1, 5]).at(500), Some(5));
        assert_eq!(Durations::of(&mut [4, 1, 9, 5]).at(500), Some(4));
        let one = Durations::of(&mut [7]);
        assert!(QUANTILES.iter().all(|each| one.at(*each) == Some(7)));
    }

    #[test]
    fn one_late_request_in_a_hundred_is_beyond_the_99th_percent() {
        let mut samples = [10; 100];
        samples[40] = 5000;
        let durations = Durations::of(&mut samples);
        assert_eq!(durations.at(990), Some(10));
        assert_eq!(durations.at(1000), Some(5000));
    }

    #[test]
    fn nothing_has_no_quantiles() {
        assert_eq!(Durations::of(&mut []).at(500), None);
        assert_eq!(Durations::of(&mut [3]).at(123), None);
    }
}
