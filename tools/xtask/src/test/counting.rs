//! Counting tests, those of other programs by what they print.

use std::{
    io::{BufRead as _, BufReader},
    mem,
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

/// What a harness has printed so far.
///
/// A test that prints while the harness runs one at a time stands between its name and
/// its verdict, so the verdicts alone miss failures: the list before the result names all.
#[derive(Debug, Default)]
struct Reader {
    tally: Tally,
    /// Where the failures of the program that prints now begin.
    program: usize,
    /// The names in its list of failures.
    listed: Vec<String>,
    in_list: bool,
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
}

impl Reader {
    /// Takes in one line of a test program's output. `rerun` makes the command
    /// from a test's name.
    fn read(&mut self, line: &str, rerun: impl Fn(&str) -> String) {
        if let Some(passed) = counted(line, "passed") {
            self.tally.passed += passed;
            self.end_program(counted(line, "failed").unwrap_or_default(), rerun);
        } else if let Some(name) = failed_in(line) {
            self.fail(name, &rerun);
        } else if line.trim_end() == "failures:" {
            self.in_list = true;
            self.listed.clear();
        } else if let Some(name) = line.strip_prefix("    ").filter(|_| self.in_list) {
            self.listed.push(name.trim().to_owned());
        } else if !line.trim().is_empty() {
            self.in_list = false;
        }
    }

    fn fail(&mut self, name: &str, rerun: impl Fn(&str) -> String) {
        self.tally.failures.push(Failure {
            what: name.to_owned(),
            rerun: rerun(name),
        });
    }

    /// Adds what failed without a verdict in a line of its own.
    fn end_program(&mut self, failed: u64, rerun: impl Fn(&str) -> String) {
        let named = self.tally.failures.split_off(self.program);
        let missing: Vec<String> = mem::take(&mut self.listed)
            .into_iter()
            .filter(|name| named.iter().all(|failure| failure.what != *name))
            .collect();
        self.tally.failures.extend(named);
        for name in missing {
            self.fail(&name, &rerun);
        }
        let counted = self.tally.failures.len() - self.program;
        for _ in u64::try_from(counted).unwrap_or(u64::MAX)..failed {
            self.fail("a test whose name was not printed", &rerun);
        }
        self.program = self.tally.failures.len();
        self.in_list = false;
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
    let mut reader = Reader::default();
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("cannot read what the tests print")?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        reader.read(&line, &rerun);
    }
    let status = child.wait().context("cannot wait for the tests")?;
    Ok((reader.tally, status.success()))
}

/// The number before `what` in `test result: ok. 3 passed; 0 failed; ...`.
fn counted(line: &str, what: &str) -> Option<u64> {
    let counts = line.trim_start().strip_prefix("test result: ")?;
    let count = counts
        .split([';', '.'])
        .find_map(|count| count.trim().strip_suffix(what))?;
    count.trim().parse().ok()
}

/// The name in `test NAME ... FAILED`.
fn failed_in(line: &str) -> Option<&str> {
    let (name, verdict) = line.strip_prefix("test ")?.rsplit_once("... ")?;
    (verdict.trim() == "FAILED").then(|| name.trim())
}

#[cfg(test)]
mod tests {
    use super::{Failure, Reader, Tally};

    fn read(lines: &[&str]) -> Tally {
        let mut reader = Reader::default();
        for line in lines {
            reader.read(line, |name| format!("rerun {name}"));
        }
        reader.tally
    }

    fn failure(what: &str) -> Failure {
        Failure {
            what: what.to_owned(),
            rerun: format!("rerun {what}"),
        }
    }

    #[test]
    fn results_are_added_up_and_failures_named() {
        let tally = read(&[
            "running 3 tests",
            "test a::b ... ok",
            "test a::c ... FAILED",
            "test doc.rs - x (line 3) - compile fail ... ok",
            "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out",
            "test result: ok. 40 passed; 0 failed; 0 ignored",
            "test scenarios/one                    ... FAILED",
        ]);
        assert_eq!(
            tally,
            Tally {
                passed: 42,
                failures: vec![failure("a::c"), failure("scenarios/one")],
            }
        );
    }

    #[test]
    fn a_test_that_printed_before_it_failed_is_counted_once() {
        let tally = read(&[
            "test loud/1 ... 38 states",
            "FAILED",
            "test quiet/1 ... FAILED",
            "",
            "failures:",
            "",
            "---- loud/1 ----",
            "    indented, but no name",
            "",
            "failures:",
            "    loud/1",
            "    quiet/1",
            "",
            "test result: FAILED. 1 passed; 2 failed; 0 ignored",
            "test result: ok. 4 passed; 0 failed; 0 ignored",
        ]);
        assert_eq!(
            tally,
            Tally {
                passed: 5,
                failures: vec![failure("quiet/1"), failure("loud/1")],
            }
        );
    }

    #[test]
    fn a_failure_that_nobody_named_counts() {
        let tally = read(&["test result: FAILED. 1 passed; 1 failed; 0 ignored"]);
        assert_eq!((tally.passed, tally.failures.len()), (1, 1));
    }

    #[test]
    fn a_part_that_cannot_run_is_a_failure() {
        let tally = Tally::failed_as_a_whole("image", "no such file");
        assert_eq!((tally.passed, tally.failures.len()), (0, 1));
        assert_eq!(tally.failures[0].rerun, "cargo xtask test image");
    }
}
