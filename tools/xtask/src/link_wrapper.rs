//! What rustc starts in place of Microsoft's linker on other systems: LLVM's
//! `lld-link`, with the options that it does not know taken away.

use std::{
    env,
    ffi::{OsStr, OsString},
    process::{Command, ExitCode},
};

/// The name of the link to this executable that rustc is given. rustc infers
/// from it what kind of linker it has before it.
pub(crate) const INVOKED_AS: &str = "lld-link";
/// The linker to start.
pub(crate) const LINKER: &str = "DIRQL_LINKER";

/// Runs the linker with this process's arguments, less those that it lacks.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let linker = env::var_os(LINKER).unwrap_or_else(|| OsString::from(INVOKED_AS));
    let arguments = env::args_os().skip(1).filter(|argument| !is_unknown(argument));
    crate::command::replace_process(Command::new(linker).args(arguments))
}

/// `/KERNEL` says that all objects were compiled for kernel mode, which sets
/// nothing in the image; `/MAPINFO` adds exports to the map file.
fn is_unknown(argument: &OsStr) -> bool {
    argument.to_str().is_some_and(|argument| {
        argument.eq_ignore_ascii_case("/KERNEL")
            || argument.to_ascii_uppercase().starts_with("/MAPINFO:")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lld_lacks_is_taken_away() {
        for unknown in ["/KERNEL", "/kernel", "/MAPINFO:EXPORTS"] {
            assert!(is_unknown(OsStr::new(unknown)), "{unknown}");
        }
        for known in ["/DRIVER", "/MAP", "/KERNELS.obj", "/OPT:REF,ICF"] {
            assert!(!is_unknown(OsStr::new(known)), "{known}");
        }
    }
}
