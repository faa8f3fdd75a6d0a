//! The parallel half of the benchmark: both drivers on several processors, alternately.
//!
//! The loads are run by `rig-load`, a program of `tests/scenarios`, with which xtask does
//! not link: a mistake in a test must not keep anybody from building the driver.

mod figures;
#[path = "../../../../../tests/scenarios/src/load/run.rs"]
mod run;
mod spread;
mod table;

use std::path::Path;

use anyhow::Context as _;

use crate::{command, toolchain::host_cargo, workspace, workspace::Workspace};
pub(crate) use figures::{Cell, Parallel};
pub(crate) use run::Mix;
use run::Run;
pub(crate) use spread::Spread;

/// What the loads of a benchmark are.
struct Plan {
    rounds: &'static str,
    processors: &'static str,
    outstanding: &'static str,
    requests: &'static str,
    repeats: &'static str,
}

/// Some ten minutes on two processors.
const WHOLE: Plan = Plan {
    rounds: "9",
    processors: "1,2,4,8",
    outstanding: "1,4,16,64,256",
    requests: "500",
    repeats: "7",
};

/// Under two minutes.
const QUICK: Plan = Plan {
    rounds: "3",
    processors: "1,2,4,8",
    outstanding: "1,16,256",
    requests: "150",
    repeats: "5",
};

/// Runs the loads, and writes each run's figures into `out`. Both drivers, the rig and eductl
/// have been built.
///
/// # Errors
/// When a run dies: then the rig's own reason is in what `rig-load` has said.
pub(crate) fn measure(workspace: &Workspace, out: &Path, quick: bool) -> anyhow::Result<Parallel> {
    let plan = if quick { QUICK } else { WHOLE };
    let file = out.join("load.json");
    command::run(
        host_cargo(workspace)
            .args(["run", "--quiet", "--package", "scenarios", "--bin", "rig-load", "--"])
            .args(["--rounds", plan.rounds])
            .args(["--processors", plan.processors])
            .args(["--outstanding", plan.outstanding])
            .args(["--requests", plan.requests])
            .args(["--repeats", plan.repeats])
            .arg("--json")
            .arg(&file),
    )
    .context("the loads did not come to their end: what is above says why, and the command there runs them again")?;
    let runs: Vec<Run> = serde_json::from_slice(&workspace::read(&file)?)
        .with_context(|| format!("{} is not what rig-load writes", file.display()))?;
    Parallel::of(&runs)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{Parallel, figures::tests::runs};

    /// Figures of two rounds of two loads.
    pub(crate) fn parallel() -> Parallel {
        Parallel::of(&runs()).unwrap()
    }
}
