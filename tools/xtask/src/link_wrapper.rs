//! What rustc starts in place of Microsoft's linker on other systems: LLVM's
//! `lld-link`, with the options that it does not know taken away, and what
//! `/RELEASE` asks for done afterwards.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, ensure};

use crate::{command, link_staging::Staging, pe_checksum, workspace};

/// The name of the link to this executable that rustc is given. rustc infers
/// from it what kind of linker it has before it.
pub(crate) const INVOKED_AS: &str = "lld-link";
/// The linker to start, from PATH.
const LINKER: &str = "lld-link";

/// Where the build says it was, in the PDB.
const FOLDER_IN_PDB: &str = "/PDBSOURCEPATH:/dirql";

/// Runs the linker with this process's arguments, less those that it lacks.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    ensure!(
        !arguments
            .iter()
            .any(|argument| argument.as_encoded_bytes().starts_with(b"@")),
        "rustc passed the linker its arguments in a file, which tools/xtask/src/link_wrapper.rs \
         does not read"
    );
    let image = arguments
        .iter()
        .find_map(|argument| argument.to_str()?.strip_prefix("/OUT:"))
        .map(PathBuf::from)
        .context("rustc should name the image to link")?;
    let folder = image.parent().context("the image should be in a folder")?;

    let mut staging = Staging::beside(&image)?;
    let mut command = Command::new(LINKER);
    command.current_dir(staging.folder());
    for argument in arguments.iter().filter(|argument| !is_unknown(argument)) {
        command.arg(staging.stage(argument)?);
    }
    command.arg(FOLDER_IN_PDB);
    let code = command::replace_process(&mut command)?;
    if code == ExitCode::SUCCESS {
        staging.finish(folder)?;
        if arguments.iter().any(|argument| is(argument, "/RELEASE")) {
            store_checksum(&image)?;
        }
    }
    Ok(code)
}

fn store_checksum(path: &Path) -> anyhow::Result<()> {
    let mut image = workspace::read(path)?;
    pe_checksum::store(&mut image).with_context(|| format!("in {}", path.display()))?;
    fs::write(path, image).with_context(|| format!("cannot write {}", path.display()))
}

/// Whether `argument` is the option `name`, which linkers take in any case.
fn is(argument: &OsStr, name: &str) -> bool {
    argument.eq_ignore_ascii_case(name)
}

/// `/KERNEL` says that all objects were compiled for kernel mode, which sets
/// nothing in the image; `/MAPINFO` adds exports to the map file; `/RELEASE` is
/// done by `run`.
fn is_unknown(argument: &OsStr) -> bool {
    is(argument, "/KERNEL")
        || is(argument, "/RELEASE")
        || argument
            .to_str()
            .is_some_and(|argument| argument.to_ascii_uppercase().starts_with("/MAPINFO:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lld_lacks_is_taken_away() {
        for unknown in ["/KERNEL", "/kernel", "/MAPINFO:EXPORTS", "/RELEASE"] {
            assert!(is_unknown(OsStr::new(unknown)), "{unknown}");
        }
        for known in ["/DRIVER", "/MAP", "/KERNELS.obj", "/OPT:REF,ICF"] {
            assert!(!is_unknown(OsStr::new(known)), "{known}");
        }
    }
}
