//! `tests/abi/disagreements.toml`: who is right where the witnesses disagree, by whose
//! word.

use std::{fs, path::Path};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use super::compare::{Disagreement, NOBODY, Outcome};

/// The reviewed list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resolutions {
    #[serde(default)]
    pub(super) resolution: Vec<Resolution>,
}

/// What some disagreements come from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resolution {
    /// What a reader knows it by.
    pub(super) title: String,
    /// Structures or constants; a `*` at the end stands for any rest.
    of: Vec<String>,
    /// Who disagrees.
    witness: String,
    /// Fields, or what else it is about, with `*` at the end as above; all if there is none.
    #[serde(default)]
    about: Vec<String>,
    /// What is right on Windows for x64.
    pub(super) right: String,
    /// Why they differ.
    pub(super) reason: String,
    /// Where it is written.
    pub(super) source: Vec<String>,
}

impl Resolutions {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is wrong", path.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let found: Self = toml::from_str(text)?;
        for it in &found.resolution {
            ensure!(
                !it.reason.trim().is_empty()
                    && !it.right.trim().is_empty()
                    && it.source.iter().any(|source| source.starts_with("http")),
                "the resolution of {} lacks what is right, its reason, or a source with an address",
                it.of.join(", ")
            );
        }
        Ok(found)
    }

    /// The number of the resolution that `disagreement` has.
    pub(super) fn of(&self, disagreement: &Disagreement) -> Option<usize> {
        self.resolution.iter().position(|it| it.is_of(disagreement))
    }

    /// What is not resolved, and what resolves nothing.
    pub(super) fn complaints(&self, outcome: &Outcome) -> Vec<String> {
        let mut used = vec![false; self.resolution.len()];
        let mut complaints = Vec::new();
        for it in &outcome.disagreements {
            let Disagreement {
                of,
                about,
                witness,
                ours,
                theirs,
            } = it;
            match self.of(it).and_then(|number| used.get_mut(number)) {
                Some(used) => *used = true,
                None if *witness == NOBODY => complaints.push(format!(
                    "{of} ({ours}) is known to {witness}: look it up in the documentation, and \
                     write that down"
                )),
                None => complaints.push(format!(
                    "{of}, {about}: our bindings have {ours}, {witness} has {theirs}"
                )),
            }
        }
        for (it, used) in self.resolution.iter().zip(used) {
            if !used {
                complaints.push(format!(
                    "the resolution of {} against {} resolves nothing (any more)",
                    it.of.join(", "),
                    it.witness
                ));
            }
        }
        complaints
    }
}

impl Resolution {
    fn is_of(&self, disagreement: &Disagreement) -> bool {
        self.witness == disagreement.witness
            && self.of.iter().any(|it| fits(it, &disagreement.of))
            && (self.about.is_empty() || self.about.iter().any(|it| fits(it, &disagreement.about)))
    }
}

fn fits(pattern: &str, text: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(begin) => text.starts_with(begin),
        None => pattern == text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESOLUTION: &str = r#"
        [[resolution]]
        title = "Packing"
        of = ["_CM_*"]
        about = ["size", "u.*"]
        witness = "windows-sys"
        right = "20 bytes"
        reason = "They are packed."
        source = ["https://example.org"]
    "#;

    fn complaints(found: &[(&str, &str)]) -> Vec<String> {
        let outcome = Outcome {
            disagreements: found
                .iter()
                .map(|(of, about)| Disagreement {
                    of: (*of).to_owned(),
                    about: (*about).to_owned(),
                    witness: "windows-sys",
                    ours: "1".to_owned(),
                    theirs: "2".to_owned(),
                })
                .collect(),
            ..Outcome::default()
        };
        let resolutions = Resolutions::parse(RESOLUTION).expect("it is well-formed");
        resolutions.complaints(&outcome)
    }

    #[test]
    fn a_disagreement_needs_a_resolution_and_a_resolution_a_disagreement() {
        assert_eq!(
            complaints(&[("_CM_LIST", "size"), ("_CM_LIST", "u.Port")]),
            [""; 0]
        );
        assert_eq!(
            complaints(&[("_CM_LIST", "size"), ("_CM_LIST", "Version")]),
            ["_CM_LIST, Version: our bindings have 1, windows-sys has 2"]
        );
        assert_eq!(
            complaints(&[]),
            ["the resolution of _CM_* against windows-sys resolves nothing (any more)"]
        );
    }

    #[test]
    fn a_resolution_has_a_reason_and_a_source() {
        for part in ["They are packed.", "20 bytes", "https://example.org"] {
            let error = Resolutions::parse(&RESOLUTION.replace(part, ""));
            let error = error.expect_err("a part of it is missing").to_string();
            assert!(error.contains("the resolution of _CM_*"), "{error}");
        }
        assert!(Resolutions::parse(&RESOLUTION.replace("title", "tile")).is_err());
    }
}
