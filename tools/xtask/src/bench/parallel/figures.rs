//! What several processors at once show: figures of both drivers, each a ratio or a share,
//! never a time.
//!
//! A ratio is that of two runs of one round, which were as near to each other in time as
//! booting lets them; what the host did meanwhile is in both.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use rig_protocol::Durations;
use serde::{Deserialize, Serialize};

use super::{
    run::{Driver, Run, Setting},
    spread::Spread,
};
use crate::bench::figures::Pair;

/// The parallel half.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Parallel {
    /// How often each load ran on each driver.
    pub(crate) rounds: usize,
    /// Requests of each load, at least.
    pub(crate) requests: u64,
    /// A cell for each load.
    pub(crate) cells: Vec<Cell>,
}

/// One load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Cell {
    pub(crate) setting: Setting,
    /// Completed requests per second, ours to C's: more is better.
    pub(crate) throughput: Spread,
    /// How long requests took, ours to C's: less is better.
    pub(crate) latency: Percentiles,
    /// From the ISR's begin to its DPC's begin, ours to C's: less is better.
    pub(crate) isr_to_dpc: Percentiles,
    /// The share of all processors' time that went into spinning for the interrupt's lock.
    pub(crate) lock_wait: Pair<Spread>,
    /// Requests that were under way at a time, on average: fewer than there might be where
    /// one ends before the next can be sent.
    pub(crate) under_way: Pair<Spread>,
    /// Interrupts that each DPC deals with.
    pub(crate) interrupts_per_dpc: Pair<Spread>,
    /// Critical sections outside the ISR for each request.
    pub(crate) critical_sections: Pair<Spread>,
    /// Time for each request, to that of the same driver with the fewest outstanding.
    pub(crate) beside_the_fewest: Pair<Spread>,
}

/// Ratios of durations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Percentiles {
    pub(crate) p50: Spread,
    pub(crate) p99: Spread,
    pub(crate) max: Spread,
}

/// Both runs of a load in one round.
type Round<'a> = Pair<&'a Run>;

impl Parallel {
    /// Of all runs.
    ///
    /// # Errors
    /// When a driver did not run a load in a round in which the other did, or a run lacks a
    /// figure.
    pub(crate) fn of(runs: &[Run]) -> anyhow::Result<Self> {
        let paired = paired(runs)?;
        let requests = runs.iter().map(|run| run.loaded.completed).min();
        let cells = paired
            .iter()
            .map(|(setting, rounds)| {
                let fewest = fewest(&paired, *setting);
                cell(*setting, rounds, fewest).with_context(|| {
                    format!(
                        "the load '{}' with {} requests outstanding on {} processors lacks a figure: its runs are too short",
                        setting.mix, setting.outstanding, setting.processors
                    )
                })
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            rounds: paired.values().map(Vec::len).max().unwrap_or_default(),
            requests: requests.context("no load has run")?,
            cells,
        })
    }
}

/// The runs of each load, round by round.
fn paired(runs: &[Run]) -> anyhow::Result<BTreeMap<Setting, Vec<Round<'_>>>> {
    let mut found: BTreeMap<(Setting, u32), [Option<&Run>; 2]> = BTreeMap::new();
    for run in runs {
        let [ours, c] = found.entry((run.setting, run.round)).or_default();
        let place = match run.driver {
            Driver::Ours => ours,
            Driver::C => c,
        };
        ensure!(
            place.replace(run).is_none(),
            "a load ran twice in round {}: {:?}",
            run.round,
            run.setting
        );
    }
    let mut paired: BTreeMap<Setting, Vec<Round<'_>>> = BTreeMap::new();
    for ((setting, round), pair) in found {
        let [Some(ours), Some(c)] = pair else {
            anyhow::bail!("only one driver has run a load in round {round}: {setting:?}");
        };
        paired.entry(setting).or_default().push(Pair { ours, c });
    }
    Ok(paired)
}

/// The rounds of the same load with the fewest requests outstanding.
fn fewest<'a, 'b>(
    paired: &'a BTreeMap<Setting, Vec<Round<'b>>>,
    setting: Setting,
) -> &'a [Round<'b>] {
    paired
        .iter()
        .find(|(other, _)| other.mix == setting.mix && other.processors == setting.processors)
        .map_or(&[], |(_, rounds)| rounds)
}

fn cell(setting: Setting, rounds: &[Round<'_>], fewest: &[Round<'_>]) -> Option<Cell> {
    let latency = |run: &Run, per_mille| duration(&run.loaded.latency, per_mille);
    let isr_to_dpc = |run: &Run, per_mille| duration(&run.loaded.isr_to_dpc, per_mille);
    let beside = |of: fn(&Round<'_>) -> f64| {
        Spread::of(
            rounds
                .iter()
                .zip(fewest)
                .map(|(own, fewest)| Some(of(own) / of(fewest))),
        )
    };
    Some(Cell {
        setting,
        throughput: Spread::of(
            rounds
                .iter()
                .map(|pair| Some(time(pair.c) / time(pair.ours))),
        )?,
        latency: percentiles(rounds, latency)?,
        isr_to_dpc: percentiles(rounds, isr_to_dpc)?,
        lock_wait: each(rounds, |run| {
            let processors = f64::from(run.setting.processors);
            float(run.loaded.lock_wait) / float(run.loaded.counts) / processors
        })?,
        under_way: each(rounds, |run| {
            float(run.loaded.latency.total) / float(run.loaded.counts)
        })?,
        interrupts_per_dpc: each(rounds, |run| float(run.interrupts) / float(run.dpcs))?,
        critical_sections: each(rounds, |run| {
            float(run.critical_sections) / float(run.loaded.completed)
        })?,
        beside_the_fewest: Pair {
            ours: beside(|pair| time(pair.ours))?,
            c: beside(|pair| time(pair.c))?,
        },
    })
}

/// Time for each request, in counts.
fn time(run: &Run) -> f64 {
    float(run.loaded.counts) / float(run.loaded.completed)
}

fn duration(durations: &Durations, per_mille: u32) -> Option<f64> {
    durations.at(per_mille).map(float)
}

/// Ratios of what both drivers took.
fn percentiles(
    rounds: &[Round<'_>],
    took: impl Fn(&Run, u32) -> Option<f64>,
) -> Option<Percentiles> {
    let ratio = |per_mille| {
        Spread::of(
            rounds
                .iter()
                .map(|pair| Some(took(pair.ours, per_mille)? / took(pair.c, per_mille)?)),
        )
    };
    Some(Percentiles {
        p50: ratio(500)?,
        p99: ratio(990)?,
        max: ratio(1000)?,
    })
}

/// A figure of each driver by itself.
fn each(rounds: &[Round<'_>], figure: impl Fn(&Run) -> f64) -> Option<Pair<Spread>> {
    Some(Pair {
        ours: Spread::of(rounds.iter().map(|pair| Some(figure(pair.ours))))?,
        c: Spread::of(rounds.iter().map(|pair| Some(figure(pair.c))))?,
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of some minutes: ratios of them are shown with two decimals"
)]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
pub(crate) mod tests {
    use rig_protocol::{Durations, Loaded};

    use super::Parallel;
    use crate::bench::parallel::run::{Driver, Mix, Run, Setting};

    fn run(driver: Driver, round: u32, outstanding: u32, counts: u64) -> Run {
        Run {
            driver,
            round,
            setting: Setting {
                mix: Mix::Raise,
                processors: 2,
                outstanding,
            },
            loaded: Loaded {
                completed: 100,
                counts,
                lock_wait: counts / 10,
                latency: Durations::of(&mut [counts / 100]),
                isr_to_dpc: Durations::of(&mut [7]),
            },
            interrupts: 100,
            dpcs: 50,
            critical_sections: 200,
            lock_waits: 3,
        }
    }

    /// Two rounds of two loads.
    pub(crate) fn runs() -> Vec<Run> {
        vec![
            run(Driver::Ours, 0, 1, 1000),
            run(Driver::Ours, 0, 16, 1500),
            run(Driver::C, 0, 1, 2000),
            run(Driver::C, 0, 16, 2000),
            run(Driver::C, 1, 1, 1000),
            run(Driver::C, 1, 16, 3000),
            run(Driver::Ours, 1, 1, 1000),
            run(Driver::Ours, 1, 16, 1500),
        ]
    }

    #[test]
    fn what_is_compared_is_the_two_of_a_round() {
        let same = |value: f64, wanted: f64| {
            assert!((value - wanted).abs() < 1e-9, "{value}, not {wanted}");
        };
        let parallel = Parallel::of(&runs()).unwrap();
        assert_eq!((parallel.rounds, parallel.requests), (2, 100));
        let [one, many] = parallel.cells.as_slice() else {
            panic!("{parallel:?}");
        };
        same(one.throughput.lowest, 1.0);
        same(one.throughput.highest, 2.0);
        same(one.latency.p50.lowest, 0.5);
        same(one.latency.p50.highest, 1.0);
        same(many.throughput.median, f64::midpoint(4.0 / 3.0, 2.0));
        same(many.beside_the_fewest.ours.median, 1.5);
        same(many.beside_the_fewest.c.median, 2.0);
        same(one.beside_the_fewest.c.median, 1.0);
        same(one.lock_wait.ours.median, 0.05);
        same(one.under_way.ours.median, 0.01);
        same(one.interrupts_per_dpc.ours.median, 2.0);
        same(one.critical_sections.c.median, 2.0);
    }

    #[test]
    fn a_driver_that_missed_a_round_is_an_error() {
        let mut missing = runs();
        missing.pop();
        let error = Parallel::of(&missing).unwrap_err().to_string();
        assert!(error.contains("only one driver has run"), "{error}");
        let mut twice = runs();
        twice.push(twice[0].clone());
        let error = Parallel::of(&twice).unwrap_err().to_string();
        assert!(error.contains("ran twice"), "{error}");
        assert!(Parallel::of(&[]).is_err());
    }

    #[test]
    fn a_run_without_an_interrupt_is_an_error() {
        let mut silent = runs();
        silent[0].dpcs = 0;
        let error = Parallel::of(&silent).unwrap_err().to_string();
        assert!(error.contains("lacks a figure"), "{error}");
        let mut unmeasured = runs();
        unmeasured[1].loaded.isr_to_dpc = Durations::default();
        assert!(Parallel::of(&unmeasured).is_err());
    }
}
