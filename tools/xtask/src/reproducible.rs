//! That the same source gives the same `edu.sys`, wherever and whenever it is
//! built: a copy of the source in another folder, built from nothing.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::ensure;

use crate::{
    build::{self, Product},
    cross_cargo::CrossCargo,
    source_copy, workspace,
    workspace::Workspace,
};

/// What has to come out the same.
const RESULTS: [&str; 2] = ["edu.sys", "edu.pdb"];

/// Fails unless `edu.sys` and `edu.pdb`, as they were built last, come out the
/// same from a second build that shares nothing with the first but the source.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<String> {
    let read = |out: PathBuf| -> anyhow::Result<Vec<Vec<u8>>> {
        RESULTS
            .iter()
            .map(|name| workspace::read(&out.join(name)))
            .collect()
    };
    let first = read(workspace.out())?;
    let elsewhere = Elsewhere::new()?;
    source_copy::copy(workspace, elsewhere.folder())?;
    let copy = Workspace::at(elsewhere.folder());
    // Not even the output folder has the same name.
    let cargo = CrossCargo::new(&copy, &copy.root().join("made").join("here"))?;
    build::build(Product::Edu, &copy, &cargo)?;

    let second = read(copy.out())?;
    for ((name, first), second) in RESULTS.iter().zip(first).zip(second) {
        let differing = first
            .iter()
            .zip(&second)
            .position(|(first, second)| first != second);
        ensure!(
            first == second,
            "{name} came out different when built in {}: {} and {} bytes, first difference at {}",
            copy.root().display(),
            first.len(),
            second.len(),
            differing.map_or_else(|| "the end".to_owned(), |offset| format!("{offset:#x}"))
        );
    }
    Ok("edu.sys and edu.pdb are the same bytes when built elsewhere".to_owned())
}

/// A folder far from the workspace, so that cargo reads no configuration of the
/// workspace's; removed again with all that was built in it.
struct Elsewhere(PathBuf);

impl Elsewhere {
    fn new() -> anyhow::Result<Self> {
        let folder = env::temp_dir().join(format!("dirql-elsewhere-{}", std::process::id()));
        workspace::create_folder(&folder)?;
        Ok(Self(folder))
    }

    fn folder(&self) -> &Path {
        &self.0
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("warning: cannot remove {}: {error}", self.0.display());
        }
    }
}
