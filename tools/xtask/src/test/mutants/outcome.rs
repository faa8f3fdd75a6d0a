//! What cargo-mutants writes about its mutants, in the parts that are used here.

use anyhow::Context as _;
use serde::Deserialize;

/// One change to one place of the code.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Mutant {
    /// `FILE:LINE:COLUMN: WHAT`
    pub(super) name: String,
    pub(super) package: String,
    /// From the root of the sources on.
    pub(super) file: String,
    pub(super) span: Span,
}

/// Where a mutant differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Span {
    pub(super) start: Position,
}

/// A place in a file; lines count from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Position {
    pub(super) line: usize,
}

impl Mutant {
    /// What is changed, without the place.
    pub(super) fn change(&self) -> &str {
        self.name.splitn(4, ':').last().unwrap_or_default().trim()
    }

    /// The place, by which `cargo xtask test mutants` runs it again.
    pub(super) fn place(&self) -> &str {
        let end = self.name.len() - self.name.splitn(4, ':').last().unwrap_or_default().len();
        self.name[..end].trim_end_matches(':')
    }
}

/// How the tests took it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// A test failed.
    Killed,
    /// The tests did not end, and were ended.
    Hung,
    /// All tests passed.
    Survived,
    /// It is no Rust.
    Unviable,
}

/// A mutant that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) mutant: Mutant,
    pub(super) fate: Fate,
}

#[derive(Deserialize)]
struct Written {
    outcomes: Vec<WrittenOutcome>,
}

#[derive(Deserialize)]
struct WrittenOutcome {
    scenario: Scenario,
    summary: Summary,
}

#[derive(Deserialize)]
enum Scenario {
    /// The sources as they are.
    Baseline,
    Mutant(Mutant),
}

#[derive(Clone, Copy, Deserialize)]
enum Summary {
    Success,
    CaughtMutant,
    MissedMutant,
    Unviable,
    Failure,
    Timeout,
}

/// Reads what `--list --json` prints.
pub(super) fn read_list(text: &str) -> anyhow::Result<Vec<Mutant>> {
    serde_json::from_str(text).context("cargo-mutants listed its mutants in an unknown form")
}

/// Reads `outcomes.json`.
pub(super) fn read_outcomes(text: &str) -> anyhow::Result<Vec<Outcome>> {
    let written: Written = serde_json::from_str(text)
        .context("cargo-mutants wrote what became of its mutants in an unknown form")?;
    written
        .outcomes
        .into_iter()
        .filter_map(|WrittenOutcome { scenario, summary }| match scenario {
            Scenario::Baseline => None,
            Scenario::Mutant(mutant) => {
                Some(fate(summary, &mutant).map(|fate| Outcome { mutant, fate }))
            }
        })
        .collect()
}

fn fate(summary: Summary, mutant: &Mutant) -> anyhow::Result<Fate> {
    match summary {
        Summary::CaughtMutant => Ok(Fate::Killed),
        Summary::MissedMutant => Ok(Fate::Survived),
        Summary::Unviable => Ok(Fate::Unviable),
        Summary::Timeout => Ok(Fate::Hung),
        Summary::Success | Summary::Failure => {
            anyhow::bail!("cargo-mutants could not try {}", mutant.name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fate, read_list, read_outcomes};

    const MUTANT: &str = r#"{"name": "a/b.rs:7:9: replace x::y -> bool with true", "package": "a",
        "file": "a/b.rs", "span": {"start": {"line": 7, "column": 9}, "end": {"line": 8, "column": 1}},
        "genre": "FnValue"}"#;

    fn outcomes(summary: &str) -> anyhow::Result<Vec<super::Outcome>> {
        read_outcomes(&format!(
            r#"{{"outcomes": [{{"scenario": "Baseline", "summary": "Success"}},
                {{"scenario": {{"Mutant": {MUTANT}}}, "summary": "{summary}"}}], "missed": 1}}"#
        ))
    }

    #[test]
    fn each_mutant_has_its_fate_and_the_baseline_is_none() {
        for (summary, fate) in [
            ("CaughtMutant", Fate::Killed),
            ("MissedMutant", Fate::Survived),
            ("Timeout", Fate::Hung),
            ("Unviable", Fate::Unviable),
        ] {
            let read = outcomes(summary).expect("a form that is known");
            assert_eq!(read.len(), 1);
            assert_eq!(read[0].fate, fate);
            assert_eq!(read[0].mutant.span.start.line, 7);
        }
    }

    #[test]
    fn a_mutant_that_could_not_be_tried_is_no_survivor() {
        let error = outcomes("Failure").expect_err("nothing is known of it");
        assert!(error.to_string().contains("a/b.rs:7:9"), "{error}");
        assert!(outcomes("Vanished").is_err());
        assert!(read_outcomes("").is_err());
    }

    #[test]
    fn a_name_is_a_place_and_a_change() {
        let listed = read_list(&format!("[{MUTANT}]")).expect("a form that is known");
        assert_eq!(listed[0].change(), "replace x::y -> bool with true");
        assert_eq!(listed[0].place(), "a/b.rs:7:9");
    }
}
