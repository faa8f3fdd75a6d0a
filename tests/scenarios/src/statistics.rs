//! What the rig says at the end of a run that was to be reported: how often each rule
//! was checked, each import called, how long each processor was at each IRQL.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{log::records, record::Record};

/// The statistics of one run, or of several together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Statistics {
    /// What was counted, by name. Longest times are in units of 100 ns.
    pub(crate) counts: BTreeMap<String, u64>,
    /// How often each rule was checked.
    pub(crate) checks: BTreeMap<String, u64>,
    /// How often each routine was called that the driver imports.
    pub(crate) imports: BTreeMap<String, u64>,
    /// By processor and IRQL, `idle` beside the levels, in units of 100 ns.
    pub(crate) irql_times: BTreeMap<u32, BTreeMap<String, u64>>,
}

/// What begins the name of a count that is a maximum, where others are sums.
const MAXIMUM: &str = "longest-";

impl Statistics {
    /// Those in a log; none if the run had none, because it began no work or ended in a
    /// way that the rig did not see.
    pub(crate) fn of(log: &[String]) -> Option<Self> {
        let mut statistics = Self::default();
        for record in records(log) {
            match record {
                Record::Count { name, count } => {
                    statistics.counts.insert(name, count);
                }
                Record::Checks { rule, count } => {
                    statistics.checks.insert(rule, count);
                }
                Record::Import { name, calls } => {
                    statistics.imports.insert(name, calls);
                }
                Record::IrqlTime {
                    processor,
                    level,
                    ticks,
                } => {
                    let times = statistics.irql_times.entry(processor).or_default();
                    times.insert(level, ticks);
                }
                _ => {}
            }
        }
        (!statistics.checks.is_empty()).then_some(statistics)
    }

    /// Adds those of another run.
    pub(crate) fn add(&mut self, other: &Self) {
        for (name, count) in &other.counts {
            let own = self.counts.entry(name.clone()).or_default();
            *own = if name.starts_with(MAXIMUM) {
                (*own).max(*count)
            } else {
                *own + count
            };
        }
        add_all(&mut self.checks, &other.checks);
        add_all(&mut self.imports, &other.imports);
        for (processor, times) in &other.irql_times {
            add_all(self.irql_times.entry(*processor).or_default(), times);
        }
    }
}

fn add_all(own: &mut BTreeMap<String, u64>, other: &BTreeMap<String, u64>) {
    for (name, count) in other {
        *own.entry(name.clone()).or_default() += count;
    }
}

#[cfg(test)]
mod tests {
    use super::Statistics;

    fn log(lines: &[&str]) -> Vec<String> {
        lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_log_without_statistics_has_none() {
        assert_eq!(Statistics::of(&log(&["@exit success"])), None);
    }

    #[test]
    fn sums_are_added_and_of_maxima_the_greater_stays() {
        let first = log(&[
            "@count dpcs 3",
            "@count longest-spin-lock-100ns 70",
            "@rule IRP-01 5",
            "@import KeInsertQueueDpc 0",
            "@irql-time 0 idle 10",
            "@irql-time 0 2 7",
        ]);
        let second = log(&[
            "@count dpcs 4",
            "@count longest-spin-lock-100ns 60",
            "@rule IRP-01 1",
            "@import KeInsertQueueDpc 2",
            "@irql-time 1 2 1",
        ]);
        let mut sum = Statistics::of(&first).unwrap();
        sum.add(&Statistics::of(&second).unwrap());
        assert_eq!(sum.counts["dpcs"], 7);
        assert_eq!(sum.counts["longest-spin-lock-100ns"], 70);
        assert_eq!(sum.checks["IRP-01"], 6);
        assert_eq!(sum.imports["KeInsertQueueDpc"], 2);
        assert_eq!(sum.irql_times[&0]["2"], 7);
        assert_eq!(sum.irql_times[&1]["2"], 1);
    }
}
