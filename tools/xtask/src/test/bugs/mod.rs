//! `cargo xtask test bugs`: scenarios find what they are for.
//!
//! Each patch in `tests/bugs` puts one mistake into the driver as it ships, one that people
//! make in C. A copy of the sources is built with it, and the scenario that the patch names
//! must fail in the way that it says; with the copy as it is, the scenario must pass. So a
//! scenario that has stopped looking at something is noticed here.

mod bug;

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail, ensure};

use super::counting::{Failure, Tally};
use crate::{
    build::{self, Product},
    command,
    cross_cargo::CrossCargo,
    source_copy,
    toolchain::host_cargo,
    workspace,
    workspace::Workspace,
};
use bug::{Bug, Changed};

/// The environment variable that has the scenarios run another driver.
const DRIVER: &str = "DIRQL_EDU_SYS";

/// The copy of the sources, and what builds it. One folder for all bugs, kept from run to run:
/// only what a patch touches is built again.
struct Copy {
    workspace: Workspace,
    cargo: CrossCargo,
}

impl Copy {
    fn new(workspace: &Workspace) -> anyhow::Result<Self> {
        let folder = workspace.target().join("bugs").join("tree");
        source_copy::update(workspace, &folder)?;
        let copy = Workspace::at(&folder);
        let cargo = CrossCargo::new(&copy, &build::target_dir(&copy))?;
        Ok(Self {
            workspace: copy,
            cargo,
        })
    }

    /// Builds the driver as the copy is now.
    fn build(&self) -> anyhow::Result<()> {
        build::build(Product::Edu, &self.workspace, &self.cargo)
    }

    /// Puts the bug in.
    fn put(&self, files: &[Changed]) -> anyhow::Result<()> {
        files.iter().try_for_each(|file| {
            workspace::write_if_changed(
                &self.workspace.root().join(&file.name),
                file.broken.as_bytes(),
            )
        })
    }

    /// Takes the bug out.
    fn restore(&self, files: &[Changed]) -> anyhow::Result<()> {
        files.iter().try_for_each(|file| {
            workspace::write_if_changed(
                &self.workspace.root().join(&file.name),
                file.original.as_bytes(),
            )
        })
    }
}

/// How a scenario ended.
struct Run {
    passed: bool,
    output: String,
}

/// Runs the part, for all bugs or for those whose names hold one of `words`.
pub(super) fn run(workspace: &Workspace, words: &[String]) -> anyhow::Result<Tally> {
    let bugs = bug::all(workspace, words)?;
    let copy = Copy::new(workspace)?;
    copy.build()?;
    build::for_the_rig()?;
    // Kept, because each bug replaces it.
    let shipped = workspace.target().join("bugs").join("shipped");
    keep(&copy.workspace.out(), &shipped)?;
    let mut tally = Tally::default();
    let mut scenarios: Vec<&str> = bugs.iter().map(|bug| bug.scenario.as_str()).collect();
    scenarios.sort_unstable();
    scenarios.dedup();
    for scenario in scenarios {
        let judged = scenario_with(workspace, scenario, &shipped).and_then(|run| {
            ensure!(run.passed, "it fails without any bug:\n{}", run.output);
            Ok(())
        });
        let word = bugs.iter().find(|bug| bug.scenario == scenario);
        let word = word.map_or("", |bug| &bug.name);
        count(
            &mut tally,
            &format!("{scenario} without a bug"),
            word,
            "",
            judged,
        );
    }
    for bug in &bugs {
        let judged = find(workspace, &copy, bug);
        count(&mut tally, &bug.name, &bug.name, &bug.breaks, judged);
    }
    Ok(tally)
}

/// Copies a driver and its symbols.
fn keep(from: &Path, to: &Path) -> anyhow::Result<()> {
    ["edu.sys", "edu.pdb"].into_iter().try_for_each(|name| {
        workspace::write_if_changed(&to.join(name), &workspace::read(&from.join(name))?)
    })
}

/// Builds the driver with the bug, and fails unless its scenario finds it.
fn find(workspace: &Workspace, copy: &Copy, bug: &Bug) -> anyhow::Result<()> {
    let files = bug.changed(workspace)?;
    copy.put(&files)?;
    let run = copy
        .build()
        .and_then(|()| scenario_with(workspace, &bug.scenario, &copy.workspace.out()));
    copy.restore(&files)?;
    let run = run?;
    ensure!(
        !run.passed,
        "the scenario {} passes with it: nobody found it",
        bug.scenario
    );
    ensure!(
        run.output.contains(&bug.says),
        "the scenario {} failed without saying {:?}:\n{}",
        bug.scenario,
        bug.says,
        run.output
    );
    Ok(())
}

/// Runs a scenario with the driver in the folder `driver`.
fn scenario_with(workspace: &Workspace, scenario: &str, driver: &Path) -> anyhow::Result<Run> {
    let mut cargo = host_cargo(workspace);
    cargo
        .args(["run", "--quiet", "--locked", "--package", "scenarios"])
        .args(["--bin", "scenarios", "--", "--exact", scenario])
        .env(DRIVER, driver.join("edu.sys"));
    run_scenario(&mut cargo, scenario)
}

fn run_scenario(program: &mut Command, scenario: &str) -> anyhow::Result<Run> {
    eprintln!("$ {}", command::rendered(program));
    let output = program
        .stdin(Stdio::null())
        .output()
        .context("cannot start the scenarios")?;
    let text = [output.stdout, output.stderr].concat();
    let output_text = String::from_utf8_lossy(&text).into_owned();
    match verdict(&output_text, scenario) {
        Some(passed) if passed == output.status.success() => Ok(Run {
            passed,
            output: output_text,
        }),
        _ => bail!("the scenario {scenario} could not be run:\n{output_text}"),
    }
}

/// Whether the scenario passed, of what the program has printed; `None` if it did not run.
fn verdict(output: &str, scenario: &str) -> Option<bool> {
    output.lines().find_map(|line| {
        let (name, verdict) = line.strip_prefix("test ")?.rsplit_once("... ")?;
        (name.trim() == scenario).then(|| verdict.trim() == "ok")
    })
}

/// Prints how one test ended, which is run again with `word`, and counts it.
fn count(tally: &mut Tally, name: &str, word: &str, what: &str, judged: anyhow::Result<()>) {
    match judged {
        Ok(()) => {
            println!("bugs: {name:48} ok      {what}");
            tally.add(Tally::one());
        }
        Err(error) => {
            println!("bugs: {name:48} FAILED  {error:#}");
            tally.failures.push(Failure {
                what: format!("bugs: {name}"),
                rerun: format!("cargo xtask test bugs -- {word}"),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::verdict;

    #[test]
    fn a_scenario_that_did_not_run_has_no_verdict() {
        let output = "running 1 test\ntest a/b   ... FAILED\n\nfailures:\n";
        assert_eq!(verdict(output, "a/b"), Some(false));
        assert_eq!(verdict("test a/b ... ok\n", "a/b"), Some(true));
        assert_eq!(verdict(output, "a/c"), None);
        assert_eq!(verdict("error: could not compile\n", "a/b"), None);
    }
}
