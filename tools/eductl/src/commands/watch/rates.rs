//! How many interrupts come per second, by their cause.

use std::{collections::VecDeque, fmt, time::Duration};

use edu_interface::Causes;

/// Over how long it is counted.
const WINDOW: Duration = Duration::from_secs(3);

/// The interrupts of the last seconds, and how many there were in all.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    recent: VecDeque<(Duration, u32)>,
    all: u64,
    now: Duration,
}

impl Rates {
    /// Counts an interrupt that was seen at `now`.
    pub(super) fn count(&mut self, now: Duration, causes: u32) {
        self.recent.push_back((now, causes));
        self.all += 1;
    }

    /// How it stands at `now`.
    pub(super) fn at(&mut self, now: Duration) -> &Self {
        self.now = now;
        let begin = now.saturating_sub(WINDOW);
        while self.recent.front().is_some_and(|(when, _)| *when < begin) {
            self.recent.pop_front();
        }
        self
    }

    /// Interrupts per second among whose causes one of `causes` was.
    #[must_use]
    pub fn per_second(&self, causes: u32) -> f64 {
        let count = self
            .recent
            .iter()
            .filter(|(_, seen)| seen & causes != 0)
            .count();
        let span = self.now.min(WINDOW).max(Duration::from_millis(100));
        f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / span.as_secs_f64()
    }
}

impl fmt::Display for Rates {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let others = !(Causes::FACTORIAL | Causes::DMA).bits();
        write!(
            formatter,
            "{} interrupts, {:.1}/s: factorial {:.1}/s, DMA {:.1}/s, raised {:.1}/s",
            self.all,
            self.per_second(u32::MAX),
            self.per_second(Causes::FACTORIAL.bits()),
            self.per_second(Causes::DMA.bits()),
            self.per_second(others)
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Rates;

    #[test]
    fn what_is_long_ago_counts_only_in_the_sum() {
        let mut rates = Rates::default();
        for (second, causes) in [(1, 0x1), (8, 0x101), (9, 0x100), (9, 0x2)] {
            rates.count(Duration::from_secs(second), causes);
        }
        assert_eq!(
            rates.at(Duration::from_secs(10)).to_string(),
            "4 interrupts, 1.0/s: factorial 0.3/s, DMA 0.7/s, raised 0.3/s"
        );
        let later = rates.at(Duration::from_mins(1)).to_string();
        assert_eq!(
            later,
            "4 interrupts, 0.0/s: factorial 0.0/s, DMA 0.0/s, raised 0.0/s"
        );
    }
}
