//! `cargo xtask test mutants`: tests notice when the code is changed.
//!
//! cargo-mutants makes one small change at a time to code that runs on any host, and each time a
//! unit test must fail. A mutant that survives is killed by a new test, or argued away in
//! `tests/mutants/survivors.toml`.
//!
//! All of them take long, so every day's tests try a few. Which, the commit decides: each tries
//! others, and what fails fails again when the same commit is tried again.
//! `--long` tries all, and demands that fewer than one in twenty survives.

#[cfg(test)]
mod examined;
mod figures;
mod outcome;
mod survivors;
mod tool;

use std::process::Command;

use anyhow::{Context as _, ensure};

use super::counting::{Failure, Tally};
use crate::{command, source_copy, workspace, workspace::Workspace};
use figures::Figures;
use outcome::{Fate, Mutant, Outcome};
use survivors::Survivors;
use tool::Tool;
pub(crate) use tool::program;

/// What is known of mutants that survive.
const LIST: &str = "tests/mutants/survivors.toml";

/// What is mutated: the crates whose logic runs on any host.
const PACKAGES: &[&str] = &["edu-controller", "edu-interface", "edu-recorder", "dirql"];

/// How many mutants every day's tests try; each takes three seconds.
const SAMPLE: usize = 12;

/// Which mutants are tried.
enum Choice {
    /// Those that the commit chooses.
    Sample,
    /// Those whose names hold one of these.
    Named(Vec<String>),
    All,
}

/// Runs the part: all mutants if it is to be `long`, those that match `words` if there are any, a
/// sample otherwise.
pub(super) fn run(workspace: &Workspace, words: &[String], long: bool) -> anyhow::Result<Tally> {
    let list = workspace::read(&workspace.root().join(LIST))?;
    let list = Survivors::read(&String::from_utf8_lossy(&list))
        .with_context(|| format!("{LIST} is no list of survivors"))?;
    let folder = workspace.target().join("mutants/tree");
    source_copy::update(workspace, &folder)?;
    let sources = Workspace::at(&folder);
    let tool = Tool::new(workspace, sources.clone())?;
    let all = tool.list(PACKAGES)?;
    let choice = match (words, long) {
        ([], false) => Choice::Sample,
        ([], true) => Choice::All,
        (words, _) => Choice::Named(words.to_vec()),
    };
    let mut outcomes = tool.run(PACKAGES, &choice.arguments(workspace, &all)?)?;
    // cargo-mutants 27.1.0 takes those that delete a field for a match of any expression.
    outcomes.retain(|outcome| choice.has(&outcome.mutant));
    judge(&sources, &list, &all, &outcomes, &choice)
}

impl Choice {
    /// As arguments of cargo-mutants, when these are `all` mutants.
    fn arguments(&self, workspace: &Workspace, all: &[Mutant]) -> anyhow::Result<Vec<String>> {
        Ok(match self {
            Self::All => Vec::new(),
            Self::Named(words) => {
                ensure!(
                    all.iter().any(|mutant| self.has(mutant)),
                    "none of the {} mutants has {} in its name, which is FILE:LINE:COLUMN and what \
                     is changed",
                    all.len(),
                    words.join(" or ")
                );
                words
                    .iter()
                    .flat_map(|word| ["--re".to_owned(), expression(word)])
                    .collect()
            }
            Self::Sample => {
                let tree = command::output(
                    Command::new("git")
                        .current_dir(workspace.root())
                        .args(["rev-parse", "HEAD^{tree}"]),
                )?;
                let (shard, shards) = shard(&tree, all.len())?;
                vec![
                    format!("--shard={shard}/{shards}"),
                    "--sharding=round-robin".to_owned(),
                ]
            }
        })
    }

    /// Whether `mutant` may be among them.
    fn has(&self, mutant: &Mutant) -> bool {
        match self {
            Self::Named(words) => words.iter().any(|word| mutant.name.contains(word)),
            Self::Sample | Self::All => true,
        }
    }
}

/// A regular expression that finds `word`, and perhaps more.
fn expression(word: &str) -> String {
    let literal_or_any = |c: char| if c.is_alphanumeric() { c } else { '.' };
    word.chars().map(literal_or_any).collect()
}

/// Which of how many shares of `all` mutants the tree with this name chooses.
fn shard(tree: &str, all: usize) -> anyhow::Result<(u64, u64)> {
    let chosen = tree
        .get(..8)
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .with_context(|| format!("{tree:?} is no name of a tree that git gives"))?;
    let shards = u64::try_from(all.div_ceil(SAMPLE))?.max(1);
    Ok((chosen % shards, shards))
}

/// Holds what became of the mutants of `sources` to the list, prints the figures, and counts.
fn judge(
    sources: &Workspace,
    list: &Survivors,
    all: &[Mutant],
    outcomes: &[Outcome],
    choice: &Choice,
) -> anyhow::Result<Tally> {
    ensure!(
        !outcomes.is_empty(),
        "cargo-mutants tried none of the {} mutants",
        all.len()
    );
    let line_of = |mutant: &Mutant| line_of(sources, mutant);
    let mut tally = Tally::default();
    for Outcome { mutant, fate } in outcomes {
        if *fate != Fate::Survived || list.entry(mutant, &line_of).is_some() {
            tally.add(Tally::one());
            continue;
        }
        println!(
            "mutants: no unit test of {} notices the next one. Write one that states the rule that \
             it breaks; or, where nothing can tell the difference, say why in {LIST}:\n{}",
            mutant.package,
            survivors::suggested(mutant, &line_of)?
        );
        let rerun = format!(" -- {}", mutant.place());
        tally
            .failures
            .push(failure(&format!("{} survives", mutant.name), &rerun));
    }
    let untrue = list.unfounded(all, &line_of);
    let untrue = untrue
        .into_iter()
        .chain(list.killed(all, outcomes, &line_of));
    let failures = untrue.map(|what| failure(&format!("{LIST}: {what}"), ""));
    tally.failures.extend(failures);
    let figures = Figures::of(outcomes);
    print!("{figures}");
    if matches!(choice, Choice::All) {
        let over = figures.over_the_bound();
        let failures = over.iter().map(|what| failure(what, " --long"));
        tally.failures.extend(failures);
    }
    Ok(tally)
}

/// The line that a mutant begins in; `None` if the file is not that long.
fn line_of(sources: &Workspace, mutant: &Mutant) -> Option<String> {
    let text = workspace::read(&sources.root().join(&mutant.file)).ok()?;
    let index = mutant.span.start.line.checked_sub(1)?;
    let text = String::from_utf8_lossy(&text);
    text.lines().nth(index).map(|line| line.trim().to_owned())
}

/// Prints what is wrong, and how to run only that again.
fn failure(what: &str, rerun: &str) -> Failure {
    println!("mutants: FAILED  {what}");
    Failure {
        what: format!("mutants: {what}"),
        rerun: format!("cargo xtask test mutants{rerun}"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{
        Choice, SAMPLE, expression,
        outcome::{Mutant, Position, Span},
        shard,
    };
    use crate::workspace::Workspace;

    #[test]
    fn what_no_name_holds_is_an_error() {
        let mutant = Mutant {
            name: "a/b.rs:7:9: replace < with <= in x::y".to_owned(),
            package: "a".to_owned(),
            file: "a/b.rs".to_owned(),
            span: Span {
                start: Position { line: 7 },
            },
        };
        let arguments = |word: &str| {
            let choice = Choice::Named(vec![word.to_owned()]);
            let nowhere = Workspace::at(Path::new("/no/such/folder"));
            choice.arguments(&nowhere, std::slice::from_ref(&mutant))
        };
        let found = arguments("b.rs:7:9: replace < with <=").expect("it is in the name");
        assert_eq!(found, ["--re", &expression("b.rs:7:9: replace < with <=")]);
        assert!(
            found[1].starts_with("b.rs.7.9..replace...with"),
            "{found:?}"
        );
        let error = arguments("b.rs:8").expect_err("it is not in the name");
        assert!(error.to_string().contains("b.rs:8"), "{error}");
    }

    #[test]
    fn a_tree_chooses_its_share_and_no_other() {
        let (chosen, shards) = shard("0000002a89abcdef", SAMPLE * 10).expect("a tree");
        assert_eq!((chosen, shards), (2, 10));
        assert_eq!(shard("ffffffff", 1).expect("a tree"), (0, 1));
        // The last share has what is left over.
        assert_eq!(shard("00000000", SAMPLE + 1).expect("a tree"), (0, 2));
    }

    #[test]
    fn what_is_no_tree_chooses_nothing() {
        for name in ["", "HEAD", "fatal: not a git repository"] {
            assert!(shard(name, 100).is_err(), "{name}");
        }
    }
}
