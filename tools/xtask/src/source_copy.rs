//! A copy of this repository's sources in another folder, to be built there.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;

use crate::{command, workspace, workspace::Workspace};

/// Copies what git knows of to the folder `to`, with what was changed or added since. Files
/// that are there already and the same stay as they are, so cargo builds only what is new.
pub(crate) fn copy(workspace: &Workspace, to: &Path) -> anyhow::Result<()> {
    for name in names(workspace)? {
        let contents = workspace::read(&workspace.root().join(&name))?;
        workspace::write_if_changed(&to.join(name), &contents)?;
    }
    Ok(())
}

/// As [`copy`], into a folder in which an earlier copy may lie: what is no source any more is
/// removed from it. What was built there stays.
pub(crate) fn update(workspace: &Workspace, to: &Path) -> anyhow::Result<()> {
    copy(workspace, to)?;
    let names = names(workspace)?;
    remove_others(to, Path::new(""), &names)
}

/// The names of all source files, from the root on.
fn names(workspace: &Workspace) -> anyhow::Result<BTreeSet<PathBuf>> {
    let listed = command::output(Command::new("git").current_dir(workspace.root()).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))
    .context("the source can only be copied where git can list it")?;
    Ok(listed
        .split_terminator('\0')
        .map(PathBuf::from)
        // Listed, and deleted since.
        .filter(|name| workspace.root().join(name).is_file())
        .collect())
}

/// Removes the files in the folder `below` of `root` that are none of `names`.
fn remove_others(root: &Path, below: &Path, names: &BTreeSet<PathBuf>) -> anyhow::Result<()> {
    let folder = root.join(below);
    let entries =
        fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
        let name = below.join(entry.file_name());
        let kind = entry
            .file_type()
            .with_context(|| format!("cannot look at {}", entry.path().display()))?;
        if kind.is_dir() {
            if name != Path::new("target") {
                remove_others(root, &name, names)?;
            }
        } else if !names.contains(&name) {
            fs::remove_file(entry.path())
                .with_context(|| format!("cannot remove {}", entry.path().display()))?;
        }
    }
    Ok(())
}
