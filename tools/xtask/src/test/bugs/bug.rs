//! A file of `tests/bugs`: what is wrong, who must find it, and the patch.

use std::{fs, path::Path};

use anyhow::{Context as _, bail, ensure};
use diffy::patch_set::{FileOperation, ParseOptions, PatchKind, PatchSet};

use crate::{workspace, workspace::Workspace};

/// What a patch may change: what ships.
const SHIPPED: &str = "driver/";

/// A deliberate bug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bug {
    /// The name of its file.
    pub(super) name: String,
    /// What it breaks, in a sentence.
    pub(super) breaks: String,
    /// The scenario that must fail because of it.
    pub(super) scenario: String,
    /// A part of what that says then.
    pub(super) says: String,
    patch: String,
}

/// A source file that the bug is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Changed {
    /// From the root of the repository on.
    pub(super) name: String,
    /// As it ships.
    pub(super) original: String,
    /// With the bug.
    pub(super) broken: String,
}

/// All bugs whose names hold one of `words`, or all if there is no word, by their names.
pub(super) fn all(workspace: &Workspace, words: &[String]) -> anyhow::Result<Vec<Bug>> {
    let folder = workspace.root().join("tests/bugs");
    let mut bugs = Vec::new();
    let entries =
        fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot list {}", folder.display()))?
            .path();
        if path
            .extension()
            .is_some_and(|extension| extension == "patch")
        {
            bugs.push(Bug::read(&path)?);
        }
    }
    if !words.is_empty() {
        bugs.retain(|bug| words.iter().any(|word| bug.name.contains(word)));
    }
    ensure!(
        !bugs.is_empty(),
        "no bug has such a name: {}",
        words.join(" ")
    );
    bugs.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(bugs)
}

impl Bug {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&name, &text).with_context(|| format!("{}", path.display()))
    }

    /// The head has one line each for what the bug breaks, its scenario and what that says.
    fn parse(name: &str, text: &str) -> anyhow::Result<Self> {
        let (head, _) = text
            .split_once("\n--- ")
            .context("there is no patch in it")?;
        let field = |key: &str| {
            head.lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
                .map(|value| value.trim().to_owned())
                .filter(|value| !value.is_empty())
                .with_context(|| format!("its head has no line `{key}: ...`"))
        };
        Ok(Self {
            name: name.to_owned(),
            breaks: field("Breaks")?,
            scenario: field("Scenario")?,
            says: field("Says")?,
            patch: text.to_owned(),
        })
    }

    /// The files of `workspace` that the bug is in, without it and with it.
    ///
    /// # Errors
    /// The patch does not apply to them any more.
    pub(super) fn changed(&self, workspace: &Workspace) -> anyhow::Result<Vec<Changed>> {
        let mut changed = Vec::new();
        for file in PatchSet::parse(&self.patch, ParseOptions::unidiff()) {
            let file = file.with_context(|| format!("{} is no patch", self.name))?;
            let FileOperation::Modify { original: name, .. } = file.operation().strip_prefix(1)
            else {
                bail!(
                    "{}: a bug changes files, and makes or removes none",
                    self.name
                );
            };
            ensure!(
                name.starts_with(SHIPPED),
                "{}: {name} is not part of the driver",
                self.name
            );
            let PatchKind::Text(patch) = file.patch() else {
                bail!("{}: {name} is no text", self.name);
            };
            let original = workspace::read(&workspace.root().join(&*name))?;
            let original =
                String::from_utf8(original).with_context(|| format!("{name} is no text"))?;
            let broken = diffy::apply(&original, patch).with_context(|| {
                format!(
                    "the patch {} does not apply to {name} any more: make it anew for the code \
                     as it is now",
                    self.name
                )
            })?;
            changed.push(Changed {
                name: name.into_owned(),
                original,
                broken,
            });
        }
        ensure!(!changed.is_empty(), "{} changes nothing", self.name);
        Ok(changed)
    }
}

#[cfg(test)]
mod tests {
    use super::{Bug, all};
    use crate::workspace::Workspace;

    const TEXT: &str = "\
Breaks: It says so.
Scenario: some/where
Says: XYZ-01

--- a/driver/edu/src/lib.rs
+++ b/driver/edu/src/lib.rs
@@ -1 +1 @@
-this line is not in it
+nor is this
";

    #[test]
    fn the_head_is_read() {
        let bug = Bug::parse("name", TEXT).unwrap();
        assert_eq!(
            (
                bug.breaks.as_str(),
                bug.scenario.as_str(),
                bug.says.as_str()
            ),
            ("It says so.", "some/where", "XYZ-01")
        );
        for missing in ["Breaks", "Scenario", "Says"] {
            let text = TEXT.replace(missing, "Other");
            let error = Bug::parse("name", &text).unwrap_err();
            assert!(error.to_string().contains(missing), "{error}");
        }
        assert!(Bug::parse("name", "Breaks: nothing\n").is_err());
    }

    #[test]
    fn a_patch_that_does_not_apply_is_told() {
        let bug = Bug::parse("name", TEXT).unwrap();
        let error = bug.changed(&Workspace::current().unwrap()).unwrap_err();
        assert!(error.to_string().contains("does not apply"), "{error:#}");
        let elsewhere = TEXT.replace("driver/edu/src/lib.rs", "tools/xtask/src/main.rs");
        let bug = Bug::parse("name", &elsewhere).unwrap();
        let error = bug.changed(&Workspace::current().unwrap()).unwrap_err();
        assert!(error.to_string().contains("not part of"), "{error:#}");
    }

    #[test]
    fn those_that_are_there_apply() {
        let workspace = Workspace::current().unwrap();
        for bug in all(&workspace, &[]).unwrap() {
            for file in bug.changed(&workspace).unwrap() {
                assert_ne!(file.original, file.broken, "{} changes nothing", bug.name);
            }
        }
    }
}
