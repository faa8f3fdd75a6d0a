//! `cargo xtask test wrappers`: the library's own concurrency, in every order up to a bound.
//!
//! They are unit tests of `dirql`, compiled with the feature that puts its code on a modelled
//! kernel. Everything that it needs is what its other tests need, so little is compiled for it.

use super::{
    TestArguments,
    counting::{self, Failure, Tally},
};
use crate::{toolchain::host_cargo, workspace::Workspace};

/// What the tests look at for the larger bounds.
const LONG: &str = "INTERLEAVINGS_LONG";

/// Explores all flows, or those whose names hold one of the words that are handed on.
pub(super) fn run(workspace: &Workspace, arguments: &TestArguments) -> anyhow::Result<Tally> {
    let mut cargo = host_cargo(workspace);
    cargo
        .args(["test", "--package", "dirql", "--lib", "--features"])
        .args(["interleavings", "--", "--show-output"]);
    let mut again = "cargo xtask test wrappers".to_owned();
    if arguments.long {
        cargo.env(LONG, "1");
        again.push_str(" --long");
    }
    if arguments.arguments.is_empty() {
        cargo.arg("interleavings::");
    }
    cargo.args(&arguments.arguments);
    let (mut tally, succeeded) =
        counting::count(&mut cargo, |name| format!("{again} -- '{name}'"))?;
    if !succeeded && tally.failures.is_empty() {
        tally.failures.push(Failure {
            what: "wrappers: they could not be explored to their end".to_owned(),
            rerun: again,
        });
    }
    Ok(tally)
}
