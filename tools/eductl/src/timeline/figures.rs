//! Figures of a timeline: how long the lock was held and waited for, how long an
//! interrupt waited for its DPC, and how much time each routine took.

use std::{collections::BTreeMap, fmt};

use edu_interface::Causes;
use hdrhistogram::Histogram;
use serde::Serialize;

use super::{Activity, Length, Span, Timeline};

/// Digits of a value that a histogram keeps apart.
const DIGITS: u8 = 3;
/// The first step of a distribution ends here; each is twice as long as the one before.
const FIRST_STEP: u64 = 128;
/// Characters of the longest bar.
const BAR: u64 = 40;

/// How long something took, over all times that it happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Distribution {
    /// How often.
    pub count: u64,
    /// The shortest.
    pub min_ns: u64,
    /// Half of them took no longer.
    pub p50_ns: u64,
    /// 90 of 100 took no longer.
    pub p90_ns: u64,
    /// 99 of 100 took no longer.
    pub p99_ns: u64,
    /// The longest.
    pub max_ns: u64,
    /// All together.
    pub total_ns: u64,
    /// How many took how long.
    pub steps: Vec<Step>,
}

/// A bar of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Shorter than this, and as long as the step before or longer.
    pub below_ns: u64,
    /// How many.
    pub count: u64,
}

impl Distribution {
    /// That of `lengths`; nothing of none.
    #[must_use]
    pub fn of(lengths: impl IntoIterator<Item = u64>) -> Option<Self> {
        let lengths: Vec<u64> = lengths.into_iter().collect();
        // Two is the least that a histogram may end with.
        let longest = lengths.iter().max().copied()?.max(2);
        let mut histogram = Histogram::<u64>::new_with_max(longest, DIGITS).ok()?;
        let mut total_ns = 0_u64;
        for length in lengths {
            // It holds the longest, so nothing is cut.
            histogram.saturating_record(length);
            total_ns = total_ns.saturating_add(length);
        }
        // What a histogram calls a value is the largest of those that it cannot tell apart.
        let at = |quantile| histogram.value_at_quantile(quantile).min(histogram.max());
        let steps = histogram
            .iter_log(FIRST_STEP, 2.0)
            .map(|step| Step {
                below_ns: step.value_iterated_to().saturating_add(1),
                count: step.count_since_last_iteration(),
            })
            .skip_while(|step| step.count == 0)
            .collect();
        Some(Self {
            count: histogram.len(),
            min_ns: histogram.min(),
            p50_ns: at(0.5),
            p90_ns: at(0.9),
            p99_ns: at(0.99),
            max_ns: histogram.max(),
            total_ns,
            steps,
        })
    }
}

impl fmt::Display for Distribution {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} times; p50 {}, p90 {}, p99 {}, max {}",
            self.count,
            Length(self.p50_ns),
            Length(self.p90_ns),
            Length(self.p99_ns),
            Length(self.max_ns)
        )?;
        let most = self.steps.iter().map(|step| step.count).max().unwrap_or(1);
        for step in &self.steps {
            // A step that has any is to be seen.
            let bar = (u128::from(step.count) * u128::from(BAR)).div_ceil(u128::from(most.max(1)));
            let bar = "#".repeat(usize::try_from(bar).unwrap_or(0));
            let below = Length(step.below_ns).to_string();
            write!(formatter, "\n  < {below:>8} {:>8}", step.count)?;
            if !bar.is_empty() {
                write!(formatter, "  {bar}")?;
            }
        }
        Ok(())
    }
}

/// The figures of a timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// How long critical sections held the interrupt spin lock.
    pub lock_hold: Option<Distribution>,
    /// How long they waited for it.
    pub lock_wait: Option<Distribution>,
    /// From the end of an ISR to the begin of the DPC that it led to.
    pub isr_to_dpc: Option<Distribution>,
    /// How long each routine took, by its name.
    pub routines: BTreeMap<&'static str, Distribution>,
}

impl Figures {
    /// Those of `timeline`.
    #[must_use]
    pub fn of(timeline: &Timeline) -> Self {
        let spans = timeline.spans();
        let sections = || {
            spans
                .iter()
                .filter(|span| matches!(span.activity, Activity::CriticalSection(_)))
        };
        let mut routines: BTreeMap<&'static str, Vec<u64>> = BTreeMap::new();
        for span in spans.iter().filter(|span| !span.activity.is_moment()) {
            let lengths = routines.entry(span.activity.name()).or_default();
            lengths.push(span.length());
        }
        Self {
            lock_hold: Distribution::of(sections().map(Span::held)),
            lock_wait: Distribution::of(sections().map(Span::waited)),
            isr_to_dpc: Distribution::of(isr_to_dpc(spans)),
            routines: routines
                .into_iter()
                .filter_map(|(name, lengths)| Some((name, Distribution::of(lengths)?)))
                .collect(),
        }
    }
}

/// From the end of each ISR that had a cause to the begin of the next DPC for it.
///
/// A DPC object is in the queue once at most, and its routine starts after that; so what
/// an ISR has saved is drained, at the latest, by the routine that starts first after it,
/// on whichever processor. Only a DMA transfer's end is for the CustomDpc, and a program
/// may raise its bit too, which is for DpcForIsr; so either may follow that one.
fn isr_to_dpc(spans: &[Span]) -> Vec<u64> {
    let begins = |wanted: fn(Activity) -> bool| -> Vec<u64> {
        let dpcs = spans.iter().filter(|span| wanted(span.activity));
        dpcs.map(|dpc| dpc.start).collect()
    };
    let any = begins(Activity::is_dpc);
    let for_isr = begins(|activity| matches!(activity, Activity::DpcForIsr(_)));
    spans
        .iter()
        .filter_map(|isr| {
            let begins = match isr.activity {
                Activity::Isr(0) => return None,
                Activity::Isr(causes) if causes == Causes::DMA.bits() => &any,
                Activity::Isr(_) => &for_isr,
                _ => return None,
            };
            let next = begins.partition_point(|begin| *begin < isr.end);
            begins.get(next).map(|begin| begin - isr.end)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use edu_interface::RecordKind;

    use super::{Distribution, Figures, Step};
    use crate::timeline::{
        Timeline,
        synthetic::{CLOCK, record, timeline},
    };

    #[test]
    fn a_distribution_counts_all_and_puts_each_in_its_step() {
        let distribution = Distribution::of((1..=1_000).map(|ns| ns * 10)).expect("some");
        assert_eq!((distribution.count, distribution.min_ns), (1_000, 10));
        assert_eq!(distribution.total_ns, 5_005_000);
        // Three digits are kept.
        for (value, wanted) in [
            (distribution.p50_ns, 5_000),
            (distribution.p90_ns, 9_000),
            (distribution.p99_ns, 9_900),
            (distribution.max_ns, 10_000),
        ] {
            assert!(
                value.abs_diff(wanted) * 1_000 <= wanted,
                "{value} for {wanted}"
            );
        }
        let counted: u64 = distribution.steps.iter().map(|step| step.count).sum();
        assert_eq!(counted, 1_000);
        assert_eq!(
            distribution.steps.first(),
            Some(&Step {
                below_ns: 128,
                count: 12
            })
        );
        let limits: Vec<u64> = distribution
            .steps
            .iter()
            .map(|step| step.below_ns)
            .collect();
        assert_eq!(limits, [128, 256, 512, 1_024, 2_048, 4_096, 8_192, 16_384]);
    }

    #[test]
    fn bars_are_as_long_as_their_counts() {
        let lengths = [vec![300; 80], vec![700; 20], vec![70_000; 1]].concat();
        let text = Distribution::of(lengths).expect("some").to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[0].starts_with("101 times; p50 300 ns, p90 70"),
            "{text}"
        );
        assert!(lines[0].contains("max 70."), "{text}");
        let bars = |line: &str| line.chars().filter(|character| *character == '#').count();
        assert_eq!(lines[1..].iter().map(|line| bars(line)).max(), Some(40));
        assert_eq!(bars(lines[1]), 40, "{text}");
        assert_eq!(bars(lines[2]), 10, "{text}");
        assert_eq!(bars(lines[lines.len() - 1]), 1, "{text}");
        assert_eq!(Distribution::of([]), None);
    }

    #[test]
    fn the_documentations_example_has_these_figures() {
        let figures = Figures::of(&timeline());
        let hold = figures.lock_hold.expect("sections");
        assert_eq!((hold.count, hold.total_ns), (3, 1_500 + 3_000 + 1_800));
        let wait = figures.lock_wait.expect("sections");
        assert_eq!((wait.count, wait.total_ns), (3, 100 + 1_100 + 2_200));
        // The ISR ends at 104000, the DPC begins at 104800.
        let isr = figures.isr_to_dpc.expect("an interrupt");
        assert_eq!((isr.count, isr.max_ns), (1, 800));
        let names: Vec<&str> = figures.routines.keys().copied().collect();
        assert_eq!(names, ["DpcForIsr", "ISR", "StartIo", "critical section"]);
    }

    #[test]
    fn an_interrupt_without_a_cause_or_a_dpc_counts_for_nothing() {
        let records = [
            record(0, 0, RecordKind::DpcForIsr, (2_000, 100), 1),
            record(1, 0, RecordKind::Isr, (3_000, 100), 0),
            record(2, 0, RecordKind::Isr, (4_000, 100), 1),
            record(3, 0, RecordKind::CustomDpc, (5_000, 100), 1),
        ];
        let figures = Figures::of(&Timeline::new(&records, &CLOCK, 0));
        assert_eq!(figures.isr_to_dpc, None);
    }

    #[test]
    fn the_end_of_a_transfer_is_for_either_dpc() {
        let records = [
            record(0, 0, RecordKind::Isr, (2_000, 100), 0x100),
            record(1, 0, RecordKind::Isr, (2_200, 100), 0x101),
            record(2, 0, RecordKind::CustomDpc, (2_500, 100), 1),
            record(3, 0, RecordKind::DpcForIsr, (3_000, 100), 1),
        ];
        let figures = Figures::of(&Timeline::new(&records, &CLOCK, 0));
        let isr = figures.isr_to_dpc.expect("two interrupts");
        assert_eq!((isr.min_ns, isr.max_ns), (400, 700));
    }
}
