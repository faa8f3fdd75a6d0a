//! The scenarios: each boots a rig, or refuses to, and judges what happened.
//!
//! They need QEMU and the files of `cargo xtask build`, so they are no part of
//! `cargo test`; the program `scenarios` runs them, one after the other, for a
//! rig with several processors takes all that a small host has.

mod bad_images;
mod bad_options;
mod boot;
mod cancel;
mod channel;
mod command_line;
mod dma;
mod events;
mod hung;
mod interrupt;
mod load;
mod pending;
mod pnp;
mod power;
mod program;
mod recorder;
mod security;
pub(crate) mod self_tests;
mod stack;
mod start_failures;
mod stress;
mod support;
mod surface;
mod trace;
mod traffic;
mod transfers;
mod unplug;
mod windows_program;

use std::{process::ExitCode, sync::Arc};

use libtest_mimic::{Arguments, Failed, Trial};

use crate::artifacts::Artifacts;

/// Rigs that start and stop at the same time.
const SIDE_BY_SIDE: usize = 2;

/// The program `scenarios`: runs all of them, or those whose names hold a word.
#[must_use]
pub fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let artifacts = match Artifacts::find() {
        Ok(artifacts) => artifacts,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let (alone, side_by_side) = all(&artifacts);
    // Several rigs that are timed and that have several processors would only
    // make one another slow; those that just start and stop have room to share.
    let threads = arguments.test_threads;
    arguments.test_threads = threads.or(Some(1));
    let first = libtest_mimic::run(&arguments, alone);
    arguments.test_threads = threads.or(Some(SIDE_BY_SIDE));
    let second = libtest_mimic::run(&arguments, side_by_side);
    if first.has_failed() || second.has_failed() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// The names of all scenarios.
///
/// # Errors
/// When there is no workspace.
pub(crate) fn names() -> anyhow::Result<Vec<String>> {
    let (alone, side_by_side) = all(&Artifacts::expected()?);
    Ok(alone
        .iter()
        .chain(&side_by_side)
        .map(|trial| trial.name().to_owned())
        .collect())
}

/// All of them, in the order in which they should run, for what everything else
/// rests on comes first: those that need the host for themselves, and the rest.
fn all(artifacts: &Artifacts) -> (Vec<Trial>, Vec<Trial>) {
    let mut alone = List::new(artifacts);
    traffic::add(&mut alone);
    channel::add(&mut alone);
    command_line::add(&mut alone);
    program::add(&mut alone);
    pnp::add(&mut alone);
    stack::add(&mut alone);
    interrupt::add(&mut alone);
    security::add(&mut alone);
    start_failures::add(&mut alone);
    hung::add(&mut alone);
    unplug::add(&mut alone);
    cancel::add(&mut alone);
    dma::add(&mut alone);
    events::add(&mut alone);
    power::add(&mut alone);
    stress::add(&mut alone);
    recorder::add(&mut alone);
    trace::add(&mut alone);
    let mut surface = List::new(artifacts);
    surface::add(&mut surface);
    let (with_one_processor, with_several): (Vec<_>, Vec<_>) = surface
        .trials
        .into_iter()
        .partition(|trial| surface::has_one_processor(trial.name()));
    alone.trials.extend(with_several);
    windows_program::add(&mut alone);
    let mut side_by_side = List::new(artifacts);
    side_by_side.trials.extend(with_one_processor);
    boot::add(&mut side_by_side);
    bad_images::add(&mut side_by_side);
    bad_options::add(&mut side_by_side);
    self_tests::add(&mut side_by_side);
    (alone.trials, side_by_side.trials)
}

/// The list being made.
struct List {
    artifacts: Arc<Artifacts>,
    trials: Vec<Trial>,
}

impl List {
    fn new(artifacts: &Artifacts) -> Self {
        Self {
            artifacts: Arc::new(artifacts.clone()),
            trials: Vec::new(),
        }
    }

    fn add(
        &mut self,
        name: impl Into<String>,
        case: impl FnOnce(&Artifacts) -> anyhow::Result<()> + Send + 'static,
    ) {
        let artifacts = Arc::clone(&self.artifacts);
        self.trials.push(Trial::test(name, move || {
            case(&artifacts).map_err(|error| Failed::from(format!("{error:#}")))
        }));
    }
}
