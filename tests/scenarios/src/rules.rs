//! The list of rules, `tests/rig/rules.toml`: which the rig enforces, what proves
//! it, and why it does not enforce the rest.
//!
//! The list is held to the rig by the tests below: a rule that is in neither group,
//! or whose proof is not there, fails them.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Write as _},
};

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::rule::Rule;

/// The list as it is kept.
const LIST: &str = include_str!("../../rig/rules.toml");

/// The list: rules by id.
#[derive(Clone, Debug)]
pub(crate) struct Rules(BTreeMap<String, Entry>);

/// What the list says of one rule.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Entry {
    /// Not of the specification.
    #[serde(default)]
    own: bool,
    /// What breaks the rule, and is found.
    #[serde(default)]
    broken_by: Vec<Proof>,
    /// Why nothing does.
    not_enforced: Option<String>,
    /// The rule, where the rig has no sentence for it.
    sentence: Option<String>,
}

/// What breaks a rule, and is told so.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
enum Proof {
    /// The rig's own test of that id.
    SelfTest,
    /// A driver under `tests/drivers`.
    Driver(String),
    /// A deliberate bug under `tests/bugs`.
    Bug(String),
    /// A scenario that plays the wrongdoer.
    Scenario(String),
}

impl TryFrom<String> for Proof {
    type Error = anyhow::Error;

    fn try_from(text: String) -> anyhow::Result<Self> {
        Ok(match text.split_once(' ') {
            None if text == "self-test" => Self::SelfTest,
            Some(("driver", name)) => Self::Driver(name.to_owned()),
            Some(("bug", name)) => Self::Bug(name.to_owned()),
            Some(("scenario", name)) => Self::Scenario(name.to_owned()),
            _ => bail!("'{text}' is nothing that breaks a rule: see the head of rules.toml"),
        })
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SelfTest => formatter.write_str("self-test"),
            Self::Driver(name) => write!(formatter, "driver {name}"),
            Self::Bug(name) => write!(formatter, "bug {name}"),
            Self::Scenario(name) => write!(formatter, "scenario {name}"),
        }
    }
}

impl Rules {
    /// Reads the list.
    ///
    /// # Errors
    /// When it is not as its head says.
    pub(crate) fn read() -> anyhow::Result<Self> {
        toml::from_str(LIST)
            .map(Self)
            .context("tests/rig/rules.toml is not a list of rules")
    }

    /// What the rule says.
    fn sentence(id: &str, entry: &Entry) -> String {
        rule(id).map_or_else(
            || entry.sentence.clone().unwrap_or_default(),
            |rule| rule.sentence().to_owned(),
        )
    }

    /// How many are enforced, and how many there are: of the specification alone.
    fn specified(&self) -> (usize, usize) {
        let specified = self.0.values().filter(|entry| !entry.own);
        let enforced = specified.clone().filter(|entry| entry.is_enforced());
        (enforced.count(), specified.count())
    }
}

impl Entry {
    const fn is_enforced(&self) -> bool {
        !self.broken_by.is_empty()
    }
}

/// A rule that nothing enforces.
#[derive(Clone, Debug)]
pub(crate) struct NotEnforced {
    /// Its id.
    pub(crate) id: String,
    /// What it says.
    pub(crate) sentence: String,
    /// Why nothing enforces it.
    pub(crate) why: String,
}

/// The rules that nothing enforces.
///
/// # Errors
/// When the list cannot be read.
pub(crate) fn not_enforced() -> anyhow::Result<Vec<NotEnforced>> {
    let Rules(list) = Rules::read()?;
    Ok(list
        .into_iter()
        .filter_map(|(id, entry)| {
            let why = entry.not_enforced.clone()?;
            Some(NotEnforced {
                sentence: Rules::sentence(&id, &entry),
                id,
                why,
            })
        })
        .collect())
}

/// The list as a page in Markdown.
impl fmt::Display for Rules {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (enforced, all) = self.specified();
        writeln!(formatter, "# The rules\n")?;
        writeln!(
            formatter,
            "{enforced} of the {all} rules of the specification are enforced, and {} more.\n",
            self.0
                .values()
                .filter(|entry| entry.own && entry.is_enforced())
                .count()
        )?;
        writeln!(formatter, "| rule | says | is enforced |\n|---|---|---|")?;
        for (id, entry) in &self.0 {
            let state = entry.not_enforced.as_ref().map_or_else(
                || {
                    let proofs: Vec<String> =
                        entry.broken_by.iter().map(ToString::to_string).collect();
                    format!("yes: {}", proofs.join(", "))
                },
                |reason| format!("no: {reason}"),
            );
            writeln!(
                formatter,
                "| {id} | {} | {state} |",
                Self::sentence(id, entry)
            )?;
        }
        Ok(())
    }
}

/// The rig's rule of this id.
fn rule(id: &str) -> Option<Rule> {
    Rule::ALL.iter().copied().find(|rule| rule.id() == id)
}

/// Prints the list.
///
/// # Errors
/// When it cannot be read, or nobody takes it.
pub(crate) fn print() -> anyhow::Result<()> {
    write!(io::stdout().lock(), "{}", Rules::read()?).context("cannot print the rules")
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use super::{Proof, Rules, rule};
    use crate::{
        cases::{self, self_tests},
        rule::Rule,
    };

    /// Rules of the specification. The list may hold more, which are its own.
    const SPECIFIED: usize = 131;

    #[test]
    fn every_rule_of_the_rig_is_in_the_list() {
        let list = Rules::read().unwrap();
        for rule in Rule::ALL {
            assert!(
                list.0.contains_key(rule.id()),
                "{} is in nt/rule.rs and not in rules.toml",
                rule.id()
            );
        }
        for id in self_tests::RULES {
            assert!(
                list.0[*id].broken_by.contains(&Proof::SelfTest),
                "{id} has a self test, and rules.toml does not say so"
            );
        }
    }

    #[test]
    fn every_rule_of_the_specification_is_in_the_list() {
        assert_eq!(Rules::read().unwrap().specified().1, SPECIFIED);
    }

    #[test]
    fn every_rule_is_enforced_or_the_list_says_why_not() {
        for (id, entry) in Rules::read().unwrap().0 {
            assert_ne!(
                entry.is_enforced(),
                entry.not_enforced.is_some(),
                "{id} needs either broken-by or not-enforced"
            );
            assert_ne!(
                rule(&id).is_some(),
                entry.sentence.is_some(),
                "{id} needs a sentence, once: in nt/rule.rs if it is there, else in rules.toml"
            );
            assert!(
                rule(&id).is_none() || entry.is_enforced(),
                "{id} is a rule of the rig's, and nothing breaks it"
            );
        }
    }

    #[test]
    fn every_proof_is_there() {
        let scenarios: BTreeSet<String> = cases::all()
            .iter()
            .map(|scenario| scenario.name().to_owned())
            .collect();
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for (id, entry) in Rules::read().unwrap().0 {
            for proof in &entry.broken_by {
                let is_there = match proof {
                    Proof::SelfTest => rule(&id).is_some() && self_tests::RULES.contains(&&*id),
                    Proof::Driver(name) => tests.join("drivers").join(name).is_dir(),
                    Proof::Bug(name) => tests
                        .join("bugs")
                        .join(name)
                        .with_extension("patch")
                        .is_file(),
                    Proof::Scenario(name) => scenarios.contains(name),
                };
                assert!(
                    is_there,
                    "{id} is said to be broken by '{proof}', which is not there"
                );
            }
        }
    }
}
