//! The program that makes the mutants and runs the tests on them: cargo-mutants, of one version,
//! for its names of mutants are what the list of survivors has.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};

use super::outcome::{self, Mutant, Outcome};
use crate::{command, toolchain::host_cargo, workspace, workspace::Workspace};

/// The version that `tests/mutants/survivors.toml` was written with.
const VERSION: &str = "27.1.0";

/// What cargo-mutants says by its exit code, of those codes that its manual lists.
const SOME_SURVIVED: i32 = 2;
const SOME_TIMED_OUT: i32 = 3;
const BASELINE_FAILS: i32 = 4;

/// cargo-mutants, and the sources that it changes: a copy, so that a run that was broken off
/// leaves nothing behind in the sources that people edit.
pub(super) struct Tool {
    program: PathBuf,
    sources: Workspace,
    /// What was built for other tests is used again where it can be.
    target: PathBuf,
}

impl Tool {
    /// Looks for the program, and builds it where there is none.
    pub(super) fn new(workspace: &Workspace, sources: Workspace) -> anyhow::Result<Self> {
        Ok(Self {
            program: program(workspace)?,
            sources,
            target: workspace.target(),
        })
    }

    /// All mutants of `packages` in the files that `.cargo/mutants.toml` names.
    pub(super) fn list(&self, packages: &[&str]) -> anyhow::Result<Vec<Mutant>> {
        let mut mutants = self.command(packages);
        let listed = command::output(mutants.args(["--list", "--json"]))?;
        let listed = outcome::read_list(&listed)?;
        if listed.is_empty() {
            bail!(
                "cargo-mutants finds nothing to change in {}: does .cargo/mutants.toml still name \
                 the files that there are?",
                packages.join(", ")
            );
        }
        Ok(listed)
    }

    /// Runs the tests on the mutants that `choice`, more arguments of cargo-mutants, leaves.
    pub(super) fn run(&self, packages: &[&str], choice: &[String]) -> anyhow::Result<Vec<Outcome>> {
        let mut mutants = self.command(packages);
        mutants
            .args(["--in-place", "--no-shuffle", "--colors=never", "--output"])
            .arg(self.sources.target())
            .args(choice)
            .env("CARGO_TARGET_DIR", &self.target);
        eprintln!("$ {}", command::rendered(&mutants));
        let status = mutants.status().context("cannot start cargo-mutants")?;
        match status.code() {
            Some(0 | SOME_SURVIVED | SOME_TIMED_OUT) => {}
            Some(BASELINE_FAILS) => bail!(
                "the tests fail as the code is, so nothing can be said of mutants. See what \
                 `cargo test --lib --package {}` says.",
                packages.join(" --package ")
            ),
            _ => bail!("cargo-mutants could not do its work: {status}"),
        }
        let outcomes = self.sources.target().join("mutants.out/outcomes.json");
        let outcomes = workspace::read(&outcomes)?;
        outcome::read_outcomes(&String::from_utf8_lossy(&outcomes))
    }

    fn command(&self, packages: &[&str]) -> Command {
        let mut mutants = Command::new(&self.program);
        mutants.arg("mutants").current_dir(self.sources.root());
        for package in packages {
            mutants.args(["--package", package]);
        }
        mutants
    }
}

/// The program of this version: the one below `target`, or that in PATH, else it is built.
pub(crate) fn program(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let root = workspace.target().join("cargo-mutants");
    let ours = root.join("bin/cargo-mutants");
    for program in [&ours, Path::new("cargo-mutants")] {
        if version_of(program).is_some_and(|version| version == VERSION) {
            return Ok(program.to_path_buf());
        }
    }
    // Unoptimised, since it waits for cargo all its life: that is built in half the time.
    command::run(
        host_cargo(workspace)
            .args(["install", "--locked", "--debug", "--quiet", "--root"])
            .arg(&root)
            .args(["--version", VERSION, "cargo-mutants"])
            .env("CARGO_TARGET_DIR", root.join("build")),
    )
    .with_context(|| {
        format!(
            "there is no cargo-mutants {VERSION} in PATH, and it cannot be built. Once there is a \
             network, `cargo install --locked --version {VERSION} cargo-mutants` does that"
        )
    })?;
    Ok(ours)
}

/// What `program` says that its version is; `None` if it does not start.
fn version_of(program: &Path) -> Option<String> {
    let told = command::output(Command::new(program).args(["mutants", "--version"])).ok()?;
    told.trim()
        .strip_prefix("cargo-mutants ")
        .map(str::to_owned)
}
