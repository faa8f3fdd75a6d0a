//! Finding QEMU and its UEFI firmware.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;

const QEMU: &str = "qemu-system-x86_64";

/// Code and variables of OVMF, where distributions put them: Debian and Ubuntu,
/// Fedora, Arch.
const FIRMWARE: [(&str, &str); 5] = [
    (
        "/usr/share/OVMF/OVMF_CODE_4M.fd",
        "/usr/share/OVMF/OVMF_VARS_4M.fd",
    ),
    (
        "/usr/share/OVMF/OVMF_CODE.fd",
        "/usr/share/OVMF/OVMF_VARS.fd",
    ),
    (
        "/usr/share/edk2/ovmf/OVMF_CODE.fd",
        "/usr/share/edk2/ovmf/OVMF_VARS.fd",
    ),
    (
        "/usr/share/edk2/x64/OVMF_CODE.4m.fd",
        "/usr/share/edk2/x64/OVMF_VARS.4m.fd",
    ),
    (
        "/usr/share/edk2-ovmf/x64/OVMF_CODE.fd",
        "/usr/share/edk2-ovmf/x64/OVMF_VARS.fd",
    ),
];

/// UEFI firmware: its code, and the variables that it starts with.
#[derive(Clone, Debug)]
pub(crate) struct Firmware {
    /// Mapped read-only.
    pub(crate) code: PathBuf,
    /// A run's changes to them are thrown away.
    pub(crate) variables: PathBuf,
}

/// The path of QEMU.
///
/// # Errors
/// When it is not installed.
pub(crate) fn qemu() -> anyhow::Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    find_program(QEMU, env::split_paths(&path)).with_context(|| {
        format!(
            "{QEMU} is not installed: run `cargo xtask setup`, or install your system's package \
             of QEMU for x86."
        )
    })
}

/// How QEMU is told to execute guest code one instruction at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OneAtATime {
    /// An option of its own: up to version 8.2.
    Option(&'static str),
    /// A property of the accelerator: from version 8.1 on.
    Property(&'static str),
}

/// How the installed QEMU is told so.
///
/// # Errors
/// When QEMU cannot be asked.
pub(crate) fn one_at_a_time() -> anyhow::Result<OneAtATime> {
    let help = Command::new(qemu()?)
        .arg("--help")
        .output()
        .context("cannot ask QEMU for its options")?;
    Ok(spelling(&String::from_utf8_lossy(&help.stdout)))
}

fn spelling(help: &str) -> OneAtATime {
    const OLD: &str = "-singlestep";
    if help.lines().any(|line| line.starts_with(OLD)) {
        OneAtATime::Option(OLD)
    } else {
        OneAtATime::Property(",one-insn-per-tb=on")
    }
}

/// The path of the firmware.
///
/// # Errors
/// When it is not installed.
pub(crate) fn ovmf() -> anyhow::Result<Firmware> {
    find_firmware(&FIRMWARE).context(
        "OVMF, the UEFI firmware for QEMU, is not installed: run `cargo xtask setup`, or install \
         your system's package `ovmf` or `edk2-ovmf`.",
    )
}

fn find_program(name: &str, mut folders: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    folders.find_map(|folder| Some(folder.join(name)).filter(|file| file.is_file()))
}

fn find_firmware(candidates: &[(&str, &str)]) -> Option<Firmware> {
    candidates
        .iter()
        .find(|(code, variables)| Path::new(code).is_file() && Path::new(variables).is_file())
        .map(|(code, variables)| Firmware {
            code: code.into(),
            variables: variables.into(),
        })
}

#[cfg(test)]
mod tests {
    use super::{OneAtATime, find_firmware, find_program, spelling};

    #[test]
    fn each_qemu_is_told_in_its_own_words() {
        let old = "-smp ...\n-singlestep     always run in singlestep mode\n";
        assert_eq!(spelling(old), OneAtATime::Option("-singlestep"));
        let new = "                one-insn-per-tb=on|off (one guest instruction per TCG TB)\n";
        assert!(matches!(spelling(new), OneAtATime::Property(_)));
    }

    #[test]
    fn a_program_is_found_where_it_is_and_nowhere_else() {
        let empty = tempfile::tempdir().unwrap();
        let full = tempfile::tempdir().unwrap();
        std::fs::write(full.path().join("program"), "").unwrap();
        let folders = || [empty.path().to_path_buf(), full.path().to_path_buf()].into_iter();
        let found = find_program("program", folders());
        assert_eq!(found, Some(full.path().join("program")));
        assert_eq!(find_program("other", folders()), None);
    }

    #[test]
    fn firmware_without_variables_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let code = folder.path().join("code");
        let variables = folder.path().join("variables");
        std::fs::write(&code, "").unwrap();
        let candidates = [(code.to_str().unwrap(), variables.to_str().unwrap())];
        assert!(find_firmware(&candidates).is_none());
        std::fs::write(&variables, "").unwrap();
        assert_eq!(find_firmware(&candidates).unwrap().code, code);
    }
}
