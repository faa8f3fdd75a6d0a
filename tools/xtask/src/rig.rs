//! `cargo xtask rig` and `cargo xtask demo`: build what a rig needs, then hand
//! over to the program that boots it.
//!
//! Those programs are in `tests/scenarios`, and xtask does not link with them:
//! a mistake in a test must not keep anybody from building the driver.

use std::{ffi::OsString, process::ExitCode};

use clap::Args;

use crate::{build, command, toolchain::host_cargo, workspace::Workspace};

#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub(crate) struct RigArguments {
    /// What rig-run takes: see `cargo xtask rig --help`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Options of rig-run that boot nothing, so that nothing needs to be built for them.
const TELL_ONLY: [&str; 4] = ["--help", "-h", "--list", "--rules"];

/// Options of rig-run that run scenarios, which need everything that can be built.
const SCENARIOS: [&str; 2] = ["--scenario", "--all"];

/// The words that are not eductl's.
fn own_words(arguments: &RigArguments) -> impl Iterator<Item = &OsString> {
    arguments.arguments.iter().take_while(|word| *word != "--")
}

/// Boots the rig for a person; the exit code is eductl's.
pub(crate) fn run(arguments: &RigArguments) -> anyhow::Result<ExitCode> {
    let tells_only = own_words(arguments).any(|word| TELL_ONLY.iter().any(|known| word == known));
    let runs_scenarios =
        own_words(arguments).any(|word| SCENARIOS.iter().any(|known| word == known));
    if runs_scenarios {
        build::all()?;
    } else if !tells_only {
        build::for_the_rig()?;
    }
    start("rig-run", &arguments.arguments)
}

/// Runs the demonstration.
pub(crate) fn demo() -> anyhow::Result<ExitCode> {
    build::for_the_rig()?;
    start("rig-demo", &[])
}

fn start(program: &str, arguments: &[OsString]) -> anyhow::Result<ExitCode> {
    command::replace_process(
        host_cargo(&Workspace::current()?)
            .args(["run", "--quiet", "--package", "scenarios", "--bin", program])
            .arg("--")
            .args(arguments),
    )
}
