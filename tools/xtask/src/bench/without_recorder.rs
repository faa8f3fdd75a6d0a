//! The driver without its flight recorder: what it takes less is what the recorder takes while
//! it is off.
//!
//! A copy of the sources, in which the recorder is never on as far as the compiler can see.

use std::path::PathBuf;

use anyhow::ensure;

use crate::{
    build::{self, Product},
    cross_cargo::CrossCargo,
    source_copy, workspace,
    workspace::Workspace,
};

/// The file that asks whether the recorder is on, and how.
const FILE: &str = "driver/recorder/src/recorder.rs";
const QUESTION: &str = "self.on.load(Relaxed)";
/// The answer that takes all that is recorded away. Not even looking is what it takes: compilers
/// leave no atomic load out.
const ANSWER: &str = "false";

/// Builds it; the image.
///
/// # Errors
/// When the sources are not what they were, or cannot be built.
pub(super) fn build(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let folder = workspace.target().join("bench").join("tree");
    source_copy::update(workspace, &folder)?;
    let copy = Workspace::at(&folder);
    let original = String::from_utf8(workspace::read(&workspace.root().join(FILE))?)?;
    workspace::write_if_changed(&folder.join(FILE), never_on(&original)?.as_bytes())?;
    let cargo = CrossCargo::new(&copy, &build::target_dir(&copy))?;
    build::build(Product::Edu, &copy, &cargo)?;
    Ok(copy.out().join("edu.sys"))
}

/// The source of a recorder that is never on.
fn never_on(source: &str) -> anyhow::Result<String> {
    ensure!(
        source.matches(QUESTION).count() == 1,
        "{FILE} does not ask once whether the recorder is on, with {QUESTION}: \
         tools/xtask/src/bench/without_recorder.rs has to know how"
    );
    Ok(source.replace(QUESTION, ANSWER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorder_is_asked_in_one_place() {
        let source = include_str!("../../../../driver/recorder/src/recorder.rs");
        let without = never_on(source).unwrap();
        assert!(!without.contains(QUESTION));
        assert_eq!(without.len() + QUESTION.len(), source.len() + ANSWER.len());
        assert!(never_on(&source.replace(QUESTION, "true")).is_err());
    }
}
