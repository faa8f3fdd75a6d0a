//! `tests/mutants/survivors.toml`: the mutants that no test can kill, and why each is none that
//! matters. An entry that has become untrue is an error, so the list only has what is so.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use super::outcome::{Fate, Mutant, Outcome};

/// Less than this is no reason.
const SHORTEST_REASON: usize = 20;

/// What is known of mutants that survive.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Survivors {
    #[serde(default, rename = "survivor")]
    entries: Vec<Survivor>,
}

/// A mutant, told from others by what does not change when lines are added above it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Survivor {
    /// From the root of the sources on.
    file: String,
    /// In cargo-mutants' words.
    change: String,
    /// The line that it begins in, without what is around it.
    line: String,
    /// Why no test can kill it.
    because: String,
}

/// The line of source that a mutant begins in.
pub(super) type LineOf<'a> = &'a dyn Fn(&Mutant) -> Option<String>;

impl Survivors {
    /// Reads the list.
    pub(super) fn read(text: &str) -> anyhow::Result<Self> {
        let survivors: Self = toml::from_str(text)?;
        for entry in &survivors.entries {
            ensure!(
                entry.because.trim().len() >= SHORTEST_REASON,
                "{} is to survive without a reason: write one, in a sentence",
                entry.name()
            );
        }
        Ok(survivors)
    }

    /// The entry that argues for `mutant`.
    pub(super) fn entry(&self, mutant: &Mutant, line_of: LineOf<'_>) -> Option<&Survivor> {
        let line = line_of(mutant)?;
        self.entries.iter().find(|entry| entry.is_of(mutant, &line))
    }

    /// What is wrong with the list, if these are all mutants that there are: entries for none of
    /// them, and entries that say the same.
    pub(super) fn unfounded(&self, all: &[Mutant], line_of: LineOf<'_>) -> Vec<String> {
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        for entry in &self.entries {
            *times.entry(entry.name()).or_default() += 1;
        }
        let twice = times
            .into_iter()
            .filter(|(_, times)| *times > 1)
            .map(|(name, _)| format!("{name} is in the list more than once"));
        let of_none = self.entries.iter().filter(|entry| {
            !all.iter()
                .any(|mutant| line_of(mutant).is_some_and(|line| entry.is_of(mutant, &line)))
        });
        twice
            .chain(of_none.map(|entry| {
                format!(
                    "{} is in the list, and there is no such mutant any more: take the entry out, \
                     or correct it",
                    entry.name()
                )
            }))
            .collect()
    }

    /// Entries for mutants that were killed. Where several of `all` look the same, one that
    /// survives, or was not tried, is enough for an entry to stay.
    pub(super) fn killed(
        &self,
        all: &[Mutant],
        outcomes: &[Outcome],
        line_of: LineOf<'_>,
    ) -> Vec<String> {
        let killed = |entry: &&Survivor| {
            let is_of =
                |mutant: &Mutant| line_of(mutant).is_some_and(|line| entry.is_of(mutant, &line));
            let fates: Vec<Fate> = outcomes
                .iter()
                .filter(|outcome| is_of(&outcome.mutant))
                .map(|outcome| outcome.fate)
                .collect();
            let alike = all.iter().filter(|mutant| is_of(mutant)).count();
            !fates.is_empty()
                && fates.len() >= alike
                && fates.iter().all(|fate| *fate != Fate::Survived)
        };
        self.entries
            .iter()
            .filter(killed)
            .map(|entry| {
                format!(
                    "{} is in the list, and a test kills it: take the entry out",
                    entry.name()
                )
            })
            .collect()
    }
}

impl Survivor {
    fn is_of(&self, mutant: &Mutant, line: &str) -> bool {
        self.file == mutant.file && self.change == mutant.change() && self.line == line
    }

    fn name(&self) -> String {
        format!("{}: {} in `{}`", self.file, self.change, self.line)
    }
}

/// What to write into the list for a survivor, apart from its reason.
pub(super) fn suggested(mutant: &Mutant, line_of: LineOf<'_>) -> anyhow::Result<String> {
    let line = line_of(mutant).with_context(|| format!("{} has no such line", mutant.name))?;
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    Ok(format!(
        "[[survivor]]\nfile = {}\nchange = {}\nline = {}\nbecause = \"\"",
        quoted(&mutant.file),
        quoted(mutant.change()),
        quoted(&line)
    ))
}

#[cfg(test)]
mod tests {
    use super::{Survivors, suggested};
    use crate::test::mutants::outcome::{Fate, Mutant, Outcome, Position, Span};

    const LIST: &str = r#"
        [[survivor]]
        file = "a/b.rs"
        change = "replace < with <= in x::y"
        line = "if a < b {"
        because = "a is never b here, for whoever calls it has looked"
    "#;

    fn mutant(line: usize) -> Mutant {
        Mutant {
            name: format!("a/b.rs:{line}:9: replace < with <= in x::y"),
            package: "a".to_owned(),
            file: "a/b.rs".to_owned(),
            span: Span {
                start: Position { line },
            },
        }
    }

    fn line_of(mutant: &Mutant) -> Option<String> {
        match mutant.span.start.line {
            7 | 8 => Some("if a < b {".to_owned()),
            9 => Some("if c < d {".to_owned()),
            _ => None,
        }
    }

    fn outcome(line: usize, fate: Fate) -> Outcome {
        Outcome {
            mutant: mutant(line),
            fate,
        }
    }

    fn list() -> Survivors {
        Survivors::read(LIST).expect("a good list")
    }

    #[test]
    fn an_entry_is_for_the_line_that_it_names() {
        let list = list();
        assert!(list.entry(&mutant(7), &line_of).is_some());
        assert!(list.entry(&mutant(9), &line_of).is_none());
        assert!(list.entry(&mutant(10), &line_of).is_none());
        let other = Mutant {
            name: "a/b.rs:7:9: replace < with > in x::y".to_owned(),
            ..mutant(7)
        };
        assert!(list.entry(&other, &line_of).is_none());
    }

    #[test]
    fn an_entry_for_no_mutant_is_an_error() {
        let list = list();
        assert_eq!(
            list.unfounded(&[mutant(9), mutant(7)], &line_of),
            Vec::<String>::new()
        );
        let wrong = list.unfounded(&[mutant(9)], &line_of);
        assert_eq!(wrong.len(), 1);
        assert!(wrong[0].contains("`if a < b {`"), "{wrong:?}");
        let twice = Survivors::read(&[LIST, LIST].concat()).expect("a good form");
        assert_eq!(twice.unfounded(&[mutant(7)], &line_of).len(), 1);
    }

    #[test]
    fn an_entry_for_a_mutant_that_is_killed_is_an_error() {
        let list = list();
        for fate in [Fate::Killed, Fate::Hung, Fate::Unviable] {
            assert_eq!(
                list.killed(&[mutant(7)], &[outcome(7, fate)], &line_of)
                    .len(),
                1
            );
        }
        for outcomes in [
            vec![],
            vec![outcome(9, Fate::Killed)],
            vec![outcome(7, Fate::Survived)],
            vec![outcome(7, Fate::Killed), outcome(8, Fate::Survived)],
        ] {
            let killed = list.killed(&[mutant(7), mutant(8)], &outcomes, &line_of);
            assert_eq!(killed, Vec::<String>::new());
        }
        let both = [outcome(7, Fate::Killed), outcome(8, Fate::Killed)];
        let all = [mutant(7), mutant(8)];
        assert_eq!(list.killed(&all, &both, &line_of).len(), 1);
        assert_eq!(list.killed(&all, &both[..1], &line_of).len(), 0);
    }

    #[test]
    fn an_entry_needs_a_reason_and_no_more_than_there_is() {
        assert!(Survivors::read("").is_ok());
        let lazy = LIST.replace("a is never b here, for whoever calls it has looked", "fine");
        let error = Survivors::read(&lazy).expect_err("no reason");
        assert!(error.to_string().contains("without a reason"), "{error}");
        assert!(Survivors::read(&LIST.replace("change", "chnage")).is_err());
    }

    #[test]
    fn what_is_suggested_can_be_read_once_it_has_a_reason() {
        let text = suggested(&mutant(7), &line_of).expect("there is such a line");
        assert!(Survivors::read(&text).is_err());
        let text = text.replace("\"\"", "\"a is never b here, as its callers look\"");
        let list = Survivors::read(&text).expect("a good list");
        assert!(list.entry(&mutant(7), &line_of).is_some());
        assert!(suggested(&mutant(10), &line_of).is_err());
    }
}
