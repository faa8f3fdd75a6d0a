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
mod faults;
mod hung;
mod interrupt;
mod load;
mod mmio;
mod pending;
mod pnp;
mod power;
mod program;
mod recorder;
mod reference;
mod report;
mod security;
pub(crate) mod self_tests;
pub(crate) mod soak;
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

use std::{env, path::Path, process::ExitCode, sync::Arc};

use libtest_mimic::{Arguments, Failed, Trial};

use crate::artifacts::Artifacts;

/// Rigs that start and stop at the same time.
pub(crate) const SIDE_BY_SIDE: usize = 2;

/// The environment variable that names another `edu.sys` for all rigs, with its symbols beside
/// it: a driver with a deliberate bug must fail the very scenarios that the shipped one passes.
const DRIVER: &str = "DIRQL_EDU_SYS";

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
    let artifacts = Arc::new(match env::var_os(DRIVER) {
        Some(driver) => artifacts.with_driver(Path::new(&driver)),
        None => artifacts,
    });
    let (alone, side_by_side): (Vec<_>, Vec<_>) =
        all().into_iter().partition(Scenario::needs_the_host);
    let trials = |scenarios: Vec<Scenario>| -> Vec<Trial> {
        scenarios
            .into_iter()
            .map(|scenario| scenario.into_trial(&artifacts))
            .collect()
    };
    let (alone, side_by_side) = (trials(alone), trials(side_by_side));
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

/// What a scenario does.
type Case = Box<dyn FnOnce(&Artifacts) -> anyhow::Result<()> + Send>;

/// One scenario.
pub(crate) struct Scenario {
    name: String,
    case: Case,
    needs_the_host: bool,
}

impl Scenario {
    /// Its name: a group, a slash and the rest.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it needs the host for itself.
    pub(crate) const fn needs_the_host(&self) -> bool {
        self.needs_the_host
    }

    /// Runs it with these files.
    ///
    /// # Errors
    /// What it found.
    pub(crate) fn run(self, artifacts: &Artifacts) -> anyhow::Result<()> {
        (self.case)(artifacts)
    }

    /// As a trial of the test harness.
    fn into_trial(self, artifacts: &Arc<Artifacts>) -> Trial {
        let artifacts = Arc::clone(artifacts);
        let Self { name, case, .. } = self;
        Trial::test(name, move || {
            case(&artifacts).map_err(|error| Failed::from(format!("{error:#}")))
        })
    }
}

/// All of them, in the order in which they should run, for what everything else
/// rests on comes first: those that need the host for themselves, and the rest.
pub(crate) fn all() -> Vec<Scenario> {
    let mut alone = List::new(true);
    traffic::add(&mut alone);
    channel::add(&mut alone);
    command_line::add(&mut alone);
    program::add(&mut alone);
    pnp::add(&mut alone);
    stack::add(&mut alone);
    interrupt::add(&mut alone);
    security::add(&mut alone);
    start_failures::add(&mut alone);
    faults::add(&mut alone);
    hung::add(&mut alone);
    mmio::add(&mut alone);
    unplug::add(&mut alone);
    cancel::add(&mut alone);
    dma::add(&mut alone);
    events::add(&mut alone);
    power::add(&mut alone);
    stress::add(&mut alone);
    recorder::add(&mut alone);
    reference::add(&mut alone);
    trace::add(&mut alone);
    let mut surface = List::new(false);
    surface::add(&mut surface);
    let (with_one_processor, with_several): (Vec<_>, Vec<_>) = surface
        .scenarios
        .into_iter()
        .partition(|scenario| surface::has_one_processor(scenario.name()));
    alone
        .scenarios
        .extend(with_several.into_iter().map(|scenario| Scenario {
            needs_the_host: true,
            ..scenario
        }));
    windows_program::add(&mut alone);
    let mut side_by_side = List::new(false);
    side_by_side.scenarios.extend(with_one_processor);
    boot::add(&mut side_by_side);
    report::add(&mut side_by_side);
    bad_images::add(&mut side_by_side);
    bad_options::add(&mut side_by_side);
    self_tests::add(&mut side_by_side);
    let mut all = alone.scenarios;
    all.extend(side_by_side.scenarios);
    all
}

/// The list being made.
struct List {
    needs_the_host: bool,
    scenarios: Vec<Scenario>,
}

impl List {
    const fn new(needs_the_host: bool) -> Self {
        Self {
            needs_the_host,
            scenarios: Vec::new(),
        }
    }

    fn add(
        &mut self,
        name: impl Into<String>,
        case: impl FnOnce(&Artifacts) -> anyhow::Result<()> + Send + 'static,
    ) {
        self.scenarios.push(Scenario {
            name: name.into(),
            case: Box::new(case),
            needs_the_host: self.needs_the_host,
        });
    }
}
