//! The scenarios: each boots a rig, or refuses to, and judges what happened.
//!
//! They need QEMU and the files of `cargo xtask build`, so they are no part of
//! `cargo test`; the program `scenarios` runs them, two at a time.

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
pub(crate) mod random;
mod recorder;
mod reference;
mod report;
mod security;
pub(crate) mod self_tests;
pub(crate) mod soak;
mod stack;
mod start_failures;
mod stress;
pub(crate) mod support;
mod surface;
mod throughput;
mod trace;
mod traffic;
mod transfers;
mod unplug;
mod windbg;
mod windows_program;

use std::{env, path::Path, process::ExitCode, sync::Arc};

use libtest_mimic::{Arguments, Failed, Trial};

use crate::artifacts::Artifacts;

/// Rigs that run at the same time: most of them wait most of the time, and no scenario is about
/// how quick the host is.
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
    let trials: Vec<Trial> = all()
        .into_iter()
        .map(|scenario| scenario.into_trial(&artifacts))
        .collect();
    arguments.test_threads = arguments.test_threads.or(Some(SIDE_BY_SIDE));
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// What a scenario does.
type Case = Box<dyn FnOnce(&Artifacts) -> anyhow::Result<()> + Send>;

/// One scenario.
pub(crate) struct Scenario {
    name: String,
    case: Case,
}

impl Scenario {
    /// Its name: a group, a slash and the rest.
    pub(crate) fn name(&self) -> &str {
        &self.name
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
/// rests on comes first.
pub(crate) fn all() -> Vec<Scenario> {
    let mut list = List::default();
    for add in [
        traffic::add,
        channel::add,
        command_line::add,
        program::add,
        pnp::add,
        stack::add,
        interrupt::add,
        security::add,
        start_failures::add,
        faults::add,
        hung::add,
        mmio::add,
        unplug::add,
        cancel::add,
        dma::add,
        events::add,
        power::add,
        stress::add,
        throughput::add,
        random::add,
        recorder::add,
        reference::add,
        trace::add,
        surface::add,
        windbg::add,
        windows_program::add,
        boot::add,
        report::add,
        bad_images::add,
        bad_options::add,
        self_tests::add,
    ] {
        add(&mut list);
    }
    list.scenarios
}

/// The list being made.
#[derive(Default)]
struct List {
    scenarios: Vec<Scenario>,
}

impl List {
    fn add(
        &mut self,
        name: impl Into<String>,
        case: impl FnOnce(&Artifacts) -> anyhow::Result<()> + Send + 'static,
    ) {
        self.scenarios.push(Scenario {
            name: name.into(),
            case: Box::new(case),
        });
    }
}
