//! The figures of the last commit that changed them, and whether this one is worse.
//!
//! Instructions are what the compiler makes of the source: of another compiler's figures
//! nothing follows, so they are compared where the compiler is the same, and exactly. What is
//! no matter of instructions (register accesses, calls, locks) is compared always.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};

use super::figures::{Deterministic, Goal, Line, Verdict};
use super::goals;
use crate::{workspace, workspace::Workspace};

/// The file.
fn path(workspace: &Workspace) -> PathBuf {
    workspace.root().join("tests/bench/baseline.json")
}

/// Units of what another compiler changes.
fn is_the_compilers(unit: &str) -> bool {
    unit.starts_with("instructions") || unit.starts_with("bytes")
}

/// What was found where figures were compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Comparison {
    /// Figures that were compared.
    pub(super) compared: u64,
    /// What is worse than it was, a sentence each.
    pub(super) worse: Vec<String>,
    /// What is better than it was.
    pub(super) better: Vec<String>,
    /// Why less was compared than there is.
    pub(super) note: Option<String>,
}

/// Compares with the committed figures.
///
/// # Errors
/// When there are none.
pub(super) fn compare(
    workspace: &Workspace,
    figures: &Deterministic,
) -> anyhow::Result<Comparison> {
    Ok(compared(&committed(workspace)?, figures))
}

/// The committed figures.
///
/// # Errors
/// When there are none.
pub(super) fn committed(workspace: &Workspace) -> anyhow::Result<Deterministic> {
    let path = path(workspace);
    let bytes = workspace::read(&path)
        .context("there are no figures to compare with: write them with `cargo xtask bench --write-baseline`")?;
    serde_json::from_slice(&bytes).with_context(|| {
        format!(
            "{} is of another version: write it anew with `cargo xtask bench --write-baseline`",
            path.display()
        )
    })
}

fn compared(baseline: &Deterministic, figures: &Deterministic) -> Comparison {
    let same_compiler = baseline.compiler == figures.compiler;
    let mut comparison = Comparison::default();
    if !same_compiler {
        comparison.note = Some(format!(
            "instructions and bytes are not compared: {} compiled this driver, {} the one whose \
             figures are committed",
            figures.compiler, baseline.compiler
        ));
    }
    let before = baseline.lines();
    for now in figures.lines() {
        if is_the_compilers(now.unit) && !same_compiler {
            continue;
        }
        comparison.compared += 1;
        let Some(then) = before.iter().find(|then| then.title() == now.title()) else {
            comparison.worse.push(format!(
                "{} is not among the committed figures",
                now.title()
            ));
            continue;
        };
        let sentence = |word: &str| sentence(&now, then, word);
        if now.ours > then.ours {
            comparison.worse.push(sentence("worse"));
        } else if now.ours < then.ours {
            comparison.better.push(sentence("better"));
        }
    }
    for then in before {
        if !figures
            .lines()
            .iter()
            .any(|now| now.title() == then.title())
        {
            comparison
                .worse
                .push(format!("{} is not measured any more", then.title()));
        }
    }
    if same_compiler {
        let now = goals::of(figures);
        for then in goals::of(baseline) {
            let is_missed = |goal: &Goal| goal.name == then.name && goal.verdict == Verdict::Missed;
            comparison.compared += 1;
            if then.verdict == Verdict::Met && now.iter().any(is_missed) {
                comparison
                    .worse
                    .push(format!("the goal is not met any more: {}", then.name));
            }
        }
    }
    comparison
}

fn sentence(now: &Line, then: &Line, word: &str) -> String {
    format!(
        "{}: {} instead of {}, {word}",
        now.title(),
        now.ours,
        then.ours
    )
}

/// Makes these the figures that later ones are compared with.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn write(workspace: &Workspace, figures: &Deterministic) -> anyhow::Result<PathBuf> {
    ensure!(
        !figures.requests.is_empty(),
        "nothing was measured that could be written down"
    );
    let path = path(workspace);
    let mut json =
        serde_json::to_string_pretty(figures).context("the figures cannot be written")?;
    json.push('\n');
    workspace::write_if_changed(&path, json.as_bytes())?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::bench::figures::{Kind, Pair, Recorder, Request};

    fn figures() -> Deterministic {
        let request = Request {
            instructions: 100,
            under_the_lock: 40,
            register_writes: 2,
            register_reads: 1,
            locks_in_dpc: 1,
            locks_in_start_io: 1,
            ..Request::default()
        };
        let c = Request {
            instructions: 112,
            under_the_lock: 60,
            ..request.clone()
        };
        Deterministic {
            compiler: "rustc 1".to_owned(),
            requests: BTreeMap::from([(Kind::Raise, Pair { ours: request, c })]),
            recorder: Pair {
                ours: Recorder {
                    records: 1.0,
                    places: 2.0,
                    instructions_on: 30.0,
                },
                c: Recorder::default(),
            },
            ..Deterministic::default()
        }
    }

    fn with(change: impl FnOnce(&mut Request)) -> Deterministic {
        let mut figures = figures();
        if let Some(pair) = figures.requests.get_mut(&Kind::Raise) {
            change(&mut pair.ours);
        }
        figures
    }

    #[test]
    fn the_same_figures_are_not_worse() {
        let comparison = compared(&figures(), &figures());
        assert_eq!(comparison.worse, Vec::<String>::new());
        assert_eq!(comparison.better, Vec::<String>::new());
        assert!(comparison.compared > 10);
    }

    #[test]
    fn one_instruction_more_is_worse_and_one_less_is_better() {
        let comparison = compared(&figures(), &with(|request| request.instructions += 1));
        assert_eq!(
            comparison.worse,
            [
                "raise: instructions: 101 instead of 100, worse",
                "mix: instructions: 101 instead of 100, worse",
                "the goal is not met any more: the mix: instructions"
            ]
        );
        let comparison = compared(&figures(), &with(|request| request.under_the_lock -= 1));
        assert_eq!(comparison.worse, Vec::<String>::new());
        assert_eq!(comparison.better.len(), 2);
    }

    #[test]
    fn another_compilers_instructions_are_not_compared_but_accesses_are() {
        let mut other = with(|request| {
            request.instructions += 50;
            request.register_reads += 1;
        });
        other.compiler = "rustc 2".to_owned();
        let comparison = compared(&figures(), &other);
        assert_eq!(
            comparison.worse,
            [
                "raise: register accesses: 4 instead of 3, worse",
                "mix: register accesses: 4 instead of 3, worse",
            ]
        );
        assert!(comparison.note.is_some());
    }

    #[test]
    fn what_is_not_measured_any_more_is_worse() {
        let mut fewer = figures();
        fewer.requests.clear();
        let comparison = compared(&figures(), &fewer);
        assert!(
            comparison
                .worse
                .contains(&"raise: instructions is not measured any more".to_owned())
        );
    }
}
