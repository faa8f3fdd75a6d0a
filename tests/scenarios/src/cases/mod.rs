//! The scenarios: each boots a rig, or refuses to, and judges what happened.
//!
//! They need QEMU and the files of `cargo xtask build`, so they are no part of
//! `cargo test`; the program `scenarios` runs them, one after the other, for a
//! rig with several processors takes all that a small host has.

mod bad_images;
mod bad_options;
mod channel;
mod command_line;
mod pnp;
mod self_tests;
mod support;
mod traffic;
mod windows_program;

use std::{process::ExitCode, sync::Arc};

use libtest_mimic::{Arguments, Failed, Trial};

use crate::artifacts::Artifacts;

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
    // One rig at a time: several would only make one another slow.
    arguments.test_threads.get_or_insert(1);
    libtest_mimic::run(&arguments, all(&artifacts)).exit_code()
}

/// All of them, in the order in which they should run: what everything else
/// rests on comes first.
fn all(artifacts: &Artifacts) -> Vec<Trial> {
    let artifacts = Arc::new(artifacts.clone());
    let mut list = List {
        artifacts,
        trials: Vec::new(),
    };
    traffic::add(&mut list);
    channel::add(&mut list);
    command_line::add(&mut list);
    pnp::add(&mut list);
    bad_images::add(&mut list);
    bad_options::add(&mut list);
    self_tests::add(&mut list);
    windows_program::add(&mut list);
    list.trials
}

/// The list being made.
struct List {
    artifacts: Arc<Artifacts>,
    trials: Vec<Trial>,
}

impl List {
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
