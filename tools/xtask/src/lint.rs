//! `cargo xtask lint`: formatting, clippy and documentation, without a warning,
//! for this system and for the target of the kernel images; and what `unsafe` leans on.

use std::process::Command;

use anyhow::bail;
use clap::{Args, ValueEnum};

use crate::{
    build, command,
    cross_cargo::CrossCargo,
    toolchain::{Target, host_cargo},
    unsafe_ledger,
    workspace::{TEST_DRIVERS, Workspace, test_driver_package},
};

#[derive(Args, Debug)]
pub(crate) struct LintArguments {
    /// Only these
    #[arg(value_enum)]
    lints: Vec<Lint>,
    /// Write the pages of the unsafe ledger instead of comparing with them
    #[arg(long)]
    write: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Lint {
    /// Every file is formatted as rustfmt does
    Format,
    /// clippy, for this system
    Clippy,
    /// The documentation, for this system
    Doc,
    /// clippy, for the target of the kernel images
    KernelClippy,
    /// The documentation, for the target of the kernel images
    KernelDoc,
    /// Each unsafe block rests on something, in dirql on a numbered fact, and the ledger says so
    UnsafeFacts,
}

/// What only the target of the kernel images compiles whole.
const KERNEL_PACKAGES: [&str; 11] = [
    "abi",
    "cost",
    "dirql",
    "edu",
    "edu-controller",
    "edu-interface",
    "edu-recorder",
    "edu-requests",
    "rig",
    "test-driver",
    "test-protocol",
];
/// What makes clippy fail on a warning.
const DENY: [&str; 3] = ["--", "--deny", "warnings"];

impl Lint {
    fn run(self, workspace: &Workspace, is_to_write: bool) -> anyhow::Result<()> {
        let mut command = match self {
            Self::UnsafeFacts => return unsafe_ledger::check(workspace, is_to_write),
            Self::Format => {
                let mut cargo = host_cargo(workspace);
                cargo.args(["fmt", "--all", "--check"]);
                cargo
            }
            Self::Clippy => {
                let mut cargo = host_cargo(workspace);
                cargo
                    .args(["clippy", "--locked", "--all-targets"])
                    .args(["--features", "dirql/interleavings"])
                    .args(DENY);
                cargo
            }
            Self::Doc => {
                let mut cargo = host_cargo(workspace);
                cargo.args(["doc", "--locked", "--no-deps"]);
                cargo
            }
            Self::KernelClippy => {
                let mut cargo = kernel(workspace, "clippy")?;
                cargo.args(packages()).args(DENY);
                cargo
            }
            Self::KernelDoc => {
                let mut cargo = kernel(workspace, "doc")?;
                cargo.arg("--no-deps").args(packages());
                cargo
            }
        };
        command::run(command.env("RUSTDOCFLAGS", "--deny warnings"))
    }

    fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }
}

/// Runs the lints that `arguments` name, each of them even if one fails.
pub(crate) fn run(arguments: &LintArguments) -> anyhow::Result<()> {
    let lints: &[Lint] = match arguments.lints.as_slice() {
        [] => Lint::value_variants(),
        chosen => chosen,
    };
    let failed = failures(lints, arguments.write)?;
    println!(
        "lint: {} passed, {} failed",
        lints.len() - failed.len(),
        failed.len()
    );
    if !failed.is_empty() {
        bail!(
            "to run only what found something: cargo xtask lint {}",
            failed.join(" ")
        );
    }
    Ok(())
}

/// How many lints there are, and the names of those that found something.
pub(crate) fn all() -> anyhow::Result<(usize, Vec<String>)> {
    let lints = Lint::value_variants();
    Ok((lints.len(), failures(lints, false)?))
}

fn failures(lints: &[Lint], is_to_write: bool) -> anyhow::Result<Vec<String>> {
    let workspace = Workspace::current()?;
    let mut failed = Vec::new();
    for lint in lints {
        if let Err(error) = lint.run(&workspace, is_to_write) {
            eprintln!("error: {}: {error:#}", lint.name());
            failed.push(lint.name());
        }
    }
    Ok(failed)
}

fn packages() -> impl Iterator<Item = String> {
    KERNEL_PACKAGES
        .into_iter()
        .map(str::to_owned)
        .chain(TEST_DRIVERS.iter().map(|name| test_driver_package(name)))
        .flat_map(|package| ["--package".to_owned(), package])
}

fn kernel(workspace: &Workspace, verb: &str) -> anyhow::Result<Command> {
    CrossCargo::new(workspace, &build::target_dir(workspace))?.command(Target::Kernel, verb)
}
