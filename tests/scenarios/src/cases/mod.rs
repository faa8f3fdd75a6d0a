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

use std::sync::Arc;

use libtest_mimic::{Failed, Trial};

use crate::artifacts::Artifacts;

/// All of them, in the order in which they should run: what everything else
/// rests on comes first.
#[must_use]
pub fn all(artifacts: &Artifacts) -> Vec<Trial> {
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
