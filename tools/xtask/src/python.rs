//! The Python packages that tests need, in an environment of their own below `target`:
//! the system's Python stays as it is.

use std::{path::PathBuf, process::Command};

use crate::{command, workspace, workspace::Workspace};

/// The interpreter that has what `tests/package/requirements.txt` names, which is
/// installed if that has changed since.
pub(crate) fn interpreter(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let folder = workspace.target().join("python");
    let requirements = workspace.root().join("tests/package/requirements.txt");
    let (interpreter, installed) = (folder.join("bin/python"), folder.join("requirements.txt"));
    let wanted = workspace::read(&requirements)?;
    if interpreter.is_file() && workspace::read(&installed).is_ok_and(|has| has == wanted) {
        return Ok(interpreter);
    }
    command::run(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&folder),
    )?;
    command::run(
        Command::new(&interpreter)
            .args(["-m", "pip", "install", "--quiet"])
            .args(["--disable-pip-version-check", "--require-hashes"])
            .args(["--only-binary", ":all:", "--requirement"])
            .arg(&requirements),
    )?;
    // Last, so that an installation that broke off is not taken for a whole one.
    workspace::write_if_changed(&installed, &wanted)?;
    Ok(interpreter)
}
