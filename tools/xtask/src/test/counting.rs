//! Counting tests, those of other programs by what they print.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use anyhow::Context as _;

use crate::command;

/// What failed, and how to run only that again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) what: String,
    pub(super) rerun: String,
}

/// How many tests passed, and which did not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: u64,
    pub(super) failures: Vec<Failure>,
}

impl Tally {
    /// One test that passed.
    pub(super) fn one() -> Self {
        Self {
            passed: 1,
            failures: Vec::new(),
        }
    }

    /// A part that could not be run, which counts as one failure.
    pub(super) fn failed_as_a_whole(part: &str, why: &str) -> Self {
        Self {
            passed: 0,
            failures: vec![Failure {
                what: format!("{part}: {why}"),
                rerun: format!("cargo xtask test {part}"),
            }],
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failures.extend(other.failures);
    }

    /// Takes in one line of a test program's output. `rerun` makes the command
    /// from a test's name.
    fn read(&mut self, line: &str, rerun: impl Fn(&str) -> String) {
        if let Some(passed) = passed_in(line) {
            self.passed += passed;
        } else if let Some(name) = failed_in(line) {
            self.failures.push(Failure {
                what: name.to_owned(),
                rerun: rerun(name),
            });
        }
    }
}

/// Runs a test program that prints as Rust's test harness does, shows its output
/// and counts.
pub(super) fn count(
    program: &mut Command,
    rerun: impl Fn(&str) -> String,
) -> anyhow::Result<(Tally, bool)> {
    eprintln!("$ {}", command::rendered(program));
    let mut child = program
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start the tests")?;
    let output = child.stdout.take().context("the tests have no output")?;
    let mut tally = Tally::default();
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("cannot read what the tests print")?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        tally.read(&line, &rerun);
    }
    let status = child.wait().context("cannot wait for the tests")?;
    Ok((tally, status.success()))
}

/// The number in `test result: ok. 3 passed; 0 failed; ...`.
fn passed_in(line: &str) -> Option<u64> {
    let counts = line.trim_start().strip_prefix("test result: ")?;
    let passed = counts
        .split([';', '.'])
        .find_map(|count| count.trim().strip_suffix(" passed"))?;
    passed.trim().parse().ok()
}

/// The name in `test NAME ... FAILED`.
fn failed_in(line: &str) -> Option<&str> {
    let (name, verdict) = line.strip_prefix("test ")?.rsplit_once("... ")?;
    (verdict.trim() == "FAILED").then(|| name.trim())
}

#[cfg(test)]
mod tests {
    use super::{Failure, Tally};

    #[test]
    fn results_are_added_up_and_failures_named() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test a::b ... ok",
            "test a::c ... FAILED",
            "test doc.rs - x (line 3) - compile fail ... ok",
            "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out",
            "test result: ok. 40 passed; 0 failed; 0 ignored",
            "test scenarios/one                    ... FAILED",
        ] {
            tally.read(line, |name| format!("rerun {name}"));
        }
        let failure = |what: &str| Failure {
            what: what.to_owned(),
            rerun: format!("rerun {what}"),
        };
        assert_eq!(
            tally,
            Tally {
                passed: 42,
                failures: vec![failure("a::c"), failure("scenarios/one")],
            }
        );
    }

    #[test]
    fn a_part_that_cannot_run_is_a_failure() {
        let tally = Tally::failed_as_a_whole("image", "no such file");
        assert_eq!((tally.passed, tally.failures.len()), (0, 1));
        assert_eq!(tally.failures[0].rerun, "cargo xtask test image");
    }
}
