//! The program `rig-load`: the same loads on edu.sys and on the driver in C, one after the
//! other, for `cargo xtask bench`.
//!
//! QEMU emulates processors on the host's, and the host has other things to do: how long
//! anything takes changes from minute to minute by more than drivers differ. So the two
//! run alternately, in pairs that are as near to each other in time as a boot lets them,
//! with the one first in one round and the other first in the next; what is compared is
//! the two of a pair.

mod run;

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use clap::Parser;
use edu_interface::{
    ControlCode, FACTORIAL, FactorialRequest, LIVENESS, LivenessRequest, MAX_TIMEOUT_MS,
    RAISE_INTERRUPT, RaiseRequest, STATISTICS, Statistics,
};
use eductl::{
    Open, Transport as _,
    rig::{Rig, RigHandle},
};
use rig_protocol::{Ask, MAX_LOAD, MAX_OUTSTANDING};
use zerocopy::IntoBytes as _;

use crate::{artifacts::Artifacts, cases::support::in_rig, machine::Machine};
pub(crate) use run::Mix;
use run::{Driver, Run, Setting};

/// The request that an interrupt is raised for; no bit of the device's own.
const CAUSE: u32 = 0x2;
/// The factorial that is asked for.
const OPERAND: u32 = 12;
/// How long a load may take.
const LOAD_LIMIT: Duration = Duration::from_mins(3);
/// A load has so many times as many requests as are outstanding, for its begin and its end,
/// where there are fewer, must not be most of it.
const TURNS: u32 = 4;
/// What runs before anything is measured, so that QEMU has translated the driver's code.
const WARM_UP: (u32, u32) = (16, 200);

/// Run the same loads on edu.sys and on the driver in C, alternately
#[derive(Debug, Parser)]
#[command(name = "rig-load", version)]
struct Arguments {
    /// How often each load runs on each driver
    #[arg(long, value_name = "N", default_value_t = 5,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Processors of the machines
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 2, 4, 8],
          value_parser = clap::value_parser!(u32).range(1..=8))]
    processors: Vec<u32>,
    /// Requests outstanding at a time
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 4, 16, 64, 256],
          value_parser = clap::value_parser!(u32).range(1..=MAX_OUTSTANDING as i64))]
    outstanding: Vec<u32>,
    /// Requests of each load, at least: each has several times as many as are outstanding
    #[arg(long, value_name = "N", default_value_t = 1000,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_LOAD)))]
    requests: u32,
    /// How often each load runs in one machine; the fastest run counts
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u32).range(1..=100))]
    repeats: u32,
    /// Where to write what was found
    #[arg(long, value_name = "FILE")]
    json: PathBuf,
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let artifacts = Artifacts::find()?;
    let ours = artifacts.driver();
    let c = artifacts.reference()?;
    // Before all the work, so that none is done for a file that cannot be written.
    let mut file = File::create(&arguments.json)
        .with_context(|| format!("cannot write {}", arguments.json.display()))?;
    let mut runs = Vec::new();
    for round in 0..arguments.rounds {
        for &processors in &arguments.processors {
            for driver in order(round) {
                let image = match driver {
                    Driver::Ours => &ours,
                    Driver::C => &c,
                };
                eprintln!(
                    "round {} of {}, {processors} processor(s): {}",
                    round + 1,
                    arguments.rounds,
                    image.file_name().unwrap_or_default().display()
                );
                let before = runs.len();
                boot(&artifacts, image, processors, |rig| {
                    loads(rig, arguments, (driver, round, processors), &mut runs)
                })?;
                ensure!(runs.len() > before, "a machine ran no load");
            }
        }
    }
    let json = serde_json::to_vec(&runs).context("what was found cannot be written")?;
    file.write_all(&json)
        .with_context(|| format!("cannot write {}", arguments.json.display()))?;
    println!("load: {} loads", runs.len());
    Ok(())
}

/// Who is first, and who follows: neither always.
const fn order(round: u32) -> [Driver; 2] {
    if round.is_multiple_of(2) {
        [Driver::Ours, Driver::C]
    } else {
        [Driver::C, Driver::Ours]
    }
}

/// Runs `work` in a machine with this driver.
fn boot(
    artifacts: &Artifacts,
    image: &Path,
    processors: u32,
    work: impl FnOnce(&Rig) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let machine = Machine::new(artifacts)
        .with_driver(image)
        .with_processors(processors);
    in_rig(&machine, work).map(drop)
}

/// Runs all loads on one machine.
fn loads(
    rig: &Rig,
    arguments: &Arguments,
    (driver, round, processors): (Driver, u32, u32),
    runs: &mut Vec<Run>,
) -> anyhow::Result<()> {
    let handle = rig.open_handle(&Open::read_write(0))?;
    for mix in Mix::ALL {
        let asks = asks(mix)?;
        let (outstanding, requests) = WARM_UP;
        handle.load(&asks, outstanding, requests, LOAD_LIMIT)?;
        for &outstanding in &arguments.outstanding {
            let setting = Setting {
                mix,
                processors,
                outstanding,
            };
            let requests = arguments.requests.max(TURNS * outstanding);
            let repeats: Vec<Run> = (0..arguments.repeats)
                .map(|_| measure(rig, &handle, (&asks, requests), (driver, round, setting)))
                .collect::<anyhow::Result<_>>()
                .with_context(|| {
                    format!("the load '{mix}' with {outstanding} requests outstanding")
                })?;
            runs.extend(fastest(repeats));
        }
    }
    Box::new(handle).close()?;
    Ok(())
}

/// The run that took the least time: whatever else the host does makes a run take longer, so
/// this is the one that was disturbed least.
fn fastest(runs: Vec<Run>) -> Option<Run> {
    runs.into_iter().min_by_key(|run| run.loaded.counts)
}

/// Runs one load.
fn measure(
    rig: &Rig,
    handle: &RigHandle,
    (asks, requests): (&[Ask], u32),
    (driver, round, setting): (Driver, u32, Setting),
) -> anyhow::Result<Run> {
    let before = rig.report()?;
    let loaded = handle.load(asks, setting.outstanding, requests, LOAD_LIMIT)?;
    let after = rig.report()?;
    ensure!(
        loaded.completed == u64::from(requests),
        "{} of {requests} requests ended",
        loaded.completed
    );
    let all_dpcs = after.dpcs - before.dpcs;
    Ok(Run {
        driver,
        round,
        setting,
        loaded,
        interrupts: after.isr_claimed - before.isr_claimed,
        dpcs: all_dpcs.saturating_sub(after.timer_dpcs - before.timer_dpcs),
        critical_sections: after.critical_sections - before.critical_sections,
        lock_waits: after.lock_waits - before.lock_waits,
    })
}

/// What a mix asks for, in turn. Transfers are in none: QEMU's device takes a tenth of a
/// second for each, whatever the driver does.
pub(crate) fn asks(mix: Mix) -> anyhow::Result<Vec<Ask>> {
    let raise = RaiseRequest {
        mask: CAUSE,
        timeout_ms: MAX_TIMEOUT_MS,
    };
    let raise = control(RAISE_INTERRUPT, raise.as_bytes(), 8)?;
    if mix == Mix::Raise {
        return Ok(vec![raise]);
    }
    let factorial = FactorialRequest {
        n: OPERAND,
        timeout_ms: MAX_TIMEOUT_MS,
    };
    let liveness = LivenessRequest { value: 0x1234_5678 };
    Ok(vec![
        raise.clone(),
        control(LIVENESS, liveness.as_bytes(), 4)?,
        control(FACTORIAL, factorial.as_bytes(), 8)?,
        raise,
        control(STATISTICS, &[], size_of::<Statistics>())?,
    ])
}

fn control(code: ControlCode, input: &[u8], output_length: usize) -> anyhow::Result<Ask> {
    Ok(Ask::Control {
        code: code.value(),
        input: input.to_vec(),
        output_length: u32::try_from(output_length).context("a reply is too long")?,
    })
}

#[cfg(test)]
mod tests {
    use rig_protocol::{Durations, Loaded};

    use super::{Driver, Mix, Run, Setting, asks, fastest, order};

    fn run(counts: u64) -> Run {
        Run {
            driver: Driver::C,
            round: 0,
            setting: Setting {
                mix: Mix::Mixed,
                processors: 4,
                outstanding: 16,
            },
            loaded: Loaded {
                completed: 10,
                counts,
                lock_wait: 0,
                latency: Durations::default(),
                isr_to_dpc: Durations::default(),
            },
            interrupts: 10,
            dpcs: 10,
            critical_sections: 20,
            lock_waits: 0,
        }
    }

    #[test]
    fn a_run_that_was_disturbed_does_not_count() {
        let counts = |of: &[u64]| fastest(of.iter().copied().map(run).collect());
        assert_eq!(counts(&[70, 9000, 60, 65]), Some(run(60)));
        assert_eq!(counts(&[]), None);
    }

    #[test]
    fn neither_driver_is_always_first() {
        assert_eq!(order(0), [Driver::Ours, Driver::C]);
        assert_eq!(order(1), [Driver::C, Driver::Ours]);
    }

    #[test]
    fn what_is_found_comes_back_as_it_was_written() {
        let written = serde_json::to_vec(&[run(70)]).unwrap();
        let read: Vec<Run> = serde_json::from_slice(&written).unwrap();
        assert_eq!(read, [run(70)]);
    }

    #[test]
    fn each_mix_asks_for_interrupts() {
        assert_eq!(asks(Mix::Raise).unwrap().len(), 1);
        assert_eq!(asks(Mix::Mixed).unwrap().len(), 5);
    }
}
