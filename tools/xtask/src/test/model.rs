//! `cargo xtask test model`: the driver's critical sections in every order, up to a bound.
//!
//! The program explores, prints and judges; here it is built and its tests are counted. It is
//! built as `cargo test` builds it, which has the explorer and the driver's code optimised: so
//! nothing is compiled twice.

use super::{
    TestArguments,
    counting::{self, Failure, Tally},
};
use crate::{toolchain::host_cargo, workspace::Workspace};

/// Explores all cases, or those whose names hold one of the words that are handed on.
pub(super) fn run(workspace: &Workspace, arguments: &TestArguments) -> anyhow::Result<Tally> {
    let mut cargo = host_cargo(workspace);
    cargo.args(["run", "--quiet", "--package", "model", "--"]);
    let mut again = "cargo xtask test model".to_owned();
    if arguments.long {
        cargo.arg("--long");
        again.push_str(" --long");
    }
    cargo.args(&arguments.arguments);
    let (mut tally, succeeded) =
        counting::count(&mut cargo, |name| format!("{again} -- '{name}'"))?;
    if !succeeded && tally.failures.is_empty() {
        tally.failures.push(Failure {
            what: "model: it could not be explored to its end".to_owned(),
            rerun: again,
        });
    }
    Ok(tally)
}
