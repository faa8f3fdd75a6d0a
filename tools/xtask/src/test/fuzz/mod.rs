//! `cargo xtask test fuzz`: arbitrary bytes for whatever takes bytes from somebody else.
//!
//! Every day the inputs that fuzzing has found are tried again, and a fixed number by
//! chance. `--long` has libFuzzer look for new ones, and sends the shipped driver as many
//! requests by chance in the rig as the scenarios `random/` send a few of.

mod libfuzzer;
mod requests;

use super::{
    TestArguments,
    counting::{self, Failure, Tally},
};
use crate::{toolchain::host_cargo, workspace::Workspace};

/// The seed of what is tried by chance.
const SEED: &str = "1";

/// Tries all targets, or the one that is handed on.
pub(super) fn run(workspace: &Workspace, arguments: &TestArguments) -> anyhow::Result<Tally> {
    let mut cargo = host_cargo(workspace);
    cargo
        .args(["run", "--quiet", "--package", "fuzz", "--bin", "fuzz", "--"])
        .args(["--seed", SEED])
        .args(&arguments.arguments);
    let again = |name: &str| format!("cargo xtask test fuzz -- {name}");
    let (mut tally, succeeded) = counting::count(&mut cargo, again)?;
    if !succeeded && tally.failures.is_empty() {
        tally.failures.push(Failure {
            what: "fuzz: the targets could not be tried to their end".to_owned(),
            rerun: "cargo xtask test fuzz".to_owned(),
        });
    }
    if arguments.long {
        tally.add(libfuzzer::run(workspace, &arguments.arguments)?);
        if arguments.arguments.is_empty() {
            tally.add(requests::run(workspace)?);
        }
    }
    Ok(tally)
}
