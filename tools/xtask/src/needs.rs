//! What the verbs need besides Rust itself, and how to tell whether it is
//! there: by looking for the program or file, never by asking a package
//! manager, since it may have come from anywhere.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;

use crate::{
    command,
    toolchain::{self, Target},
};

/// One thing that a verb needs.
#[derive(Debug)]
pub(crate) struct Need {
    pub(crate) name: &'static str,
    /// What it is for, to follow "needed to".
    pub(crate) purpose: &'static str,
    probe: Probe,
    /// Debian's packages that have it: the first set that can be had is taken.
    pub(crate) packages: &'static [&'static [&'static str]],
}

#[derive(Debug)]
enum Probe {
    /// One of these programs starts. A name without a folder is looked for in
    /// PATH.
    Program(&'static [&'static str]),
    /// One of these files exists.
    File(&'static [&'static str]),
    /// A shared library whose name starts so, where LLVM's are.
    LlvmLibrary(&'static str),
    /// A Rust toolchain that compiles for this target.
    Rust(Target),
    /// clippy of the toolchain that compiles for this target.
    Clippy(Target),
    /// A Python that has these modules.
    Python(&'static [&'static str]),
}

/// Where wine may be: Debian's `wine64` alone puts nothing in PATH.
const WINE: &[&str] = &["wine", "wine64", "/usr/lib/wine/wine64"];
const RUST_PACKAGES: &[&[&str]] = &[
    &["rustc-web", "cargo-web", "rust-web-src"],
    &["rustc", "cargo", "rust-src"],
];

pub(crate) const NEEDS: &[Need] = &[
    Need {
        name: "Rust for Windows kernel images",
        purpose: "compile edu.sys and the rig for x86_64-pc-windows-msvc",
        probe: Probe::Rust(Target::Kernel),
        packages: RUST_PACKAGES,
    },
    Need {
        name: "Rust for Windows programs",
        purpose: "compile eductl.exe for x86_64-pc-windows-gnu",
        probe: Probe::Rust(Target::User),
        packages: RUST_PACKAGES,
    },
    Need {
        name: "clippy of that Rust",
        purpose: "lint edu.sys and the rig",
        probe: Probe::Clippy(Target::Kernel),
        packages: &[&["rust-web-clippy"], &["rust-clippy"]],
    },
    Need {
        name: "lld-link",
        purpose: "link edu.sys and the rig, and write their symbols",
        probe: Probe::Program(&["lld-link"]),
        packages: &[&["lld"]],
    },
    Need {
        name: "llvm-dlltool",
        purpose: "make the import libraries that edu.sys is linked with",
        probe: Probe::Program(&["llvm-dlltool"]),
        packages: &[&["llvm"]],
    },
    Need {
        name: "clang",
        purpose: "compile the driver in C, and the C that the wrappers' code is compared with",
        probe: Probe::Program(&["clang"]),
        packages: &[&["clang"]],
    },
    Need {
        name: "libclang",
        purpose: "read the Windows headers that wdk-sys makes its bindings from",
        probe: Probe::LlvmLibrary("libclang"),
        packages: &[&["libclang-dev"]],
    },
    Need {
        name: "mingw-w64's DDK headers",
        purpose: "stand in for the headers of an installed WDK",
        probe: Probe::File(&["/usr/share/mingw-w64/include/ddk/ntifs.h"]),
        packages: &[&["mingw-w64-x86-64-dev"]],
    },
    Need {
        name: "mingw-w64's linker",
        purpose: "link eductl.exe",
        probe: Probe::Program(&["x86_64-w64-mingw32-gcc"]),
        packages: &[&["gcc-mingw-w64-x86-64-win32"]],
    },
    Need {
        name: "QEMU",
        purpose: "boot the rig with the edu device",
        probe: Probe::Program(&["qemu-system-x86_64"]),
        packages: &[&["qemu-system-x86"]],
    },
    Need {
        name: "OVMF",
        purpose: "be the firmware that starts the rig in QEMU",
        probe: Probe::File(&[
            "/usr/share/OVMF/OVMF_CODE_4M.fd",
            "/usr/share/OVMF/OVMF_CODE.fd",
        ]),
        packages: &[&["ovmf"]],
    },
    Need {
        name: "Wine",
        purpose: "run eductl.exe in the tests",
        probe: Probe::Program(WINE),
        packages: &[&["wine64"], &["wine"]],
    },
    Need {
        name: "OpenSSL",
        purpose: "make the test certificate",
        probe: Probe::Program(&["openssl"]),
        packages: &[&["openssl"]],
    },
    Need {
        name: "osslsigncode",
        purpose: "sign edu.sys and its catalogue, and verify both",
        probe: Probe::Program(&["osslsigncode"]),
        packages: &[&["osslsigncode"]],
    },
    Need {
        name: "Node",
        purpose: "run the debugger extension in what stands in for WinDbg",
        probe: Probe::Program(&["node", "nodejs"]),
        packages: &[&["nodejs"]],
    },
    Need {
        name: "Python",
        purpose: "verify the signatures with a second program",
        probe: Probe::Python(&["venv", "ensurepip"]),
        packages: &[&["python3", "python3-venv"]],
    },
];

impl Need {
    /// What was found, in a form for a person, or None.
    pub(crate) fn found(&self) -> Option<String> {
        match self.probe {
            Probe::Program(names) => {
                let program = first_program(names)?;
                let told = Command::new(&program).arg("--version").output().ok()?;
                // llvm-dlltool has no such option, and starting is proof enough.
                if told.status.success() {
                    version_line(&String::from_utf8_lossy(&told.stdout))
                } else {
                    Some(program.display().to_string())
                }
            }
            Probe::File(paths) => paths
                .iter()
                .find(|path| Path::new(path).is_file())
                .map(|path| (*path).to_owned()),
            Probe::LlvmLibrary(name) => llvm_library(name).map(|path| path.display().to_string()),
            Probe::Rust(target) => {
                let toolchain = toolchain::for_target(target).ok()?;
                Some(format!(
                    "{} in {}",
                    toolchain.version,
                    toolchain.sysroot.display()
                ))
            }
            Probe::Clippy(target) => {
                let toolchain = toolchain::for_target(target).ok()?;
                let clippy = toolchain.sysroot.join("bin/clippy-driver");
                let version = command::output(Command::new(clippy).arg("--version")).ok()?;
                version_line(&version)
            }
            Probe::Python(modules) => {
                let import = format!("import sys, {}; print(sys.version)", modules.join(", "));
                let version = command::output(Command::new("python3").args(["-c", &import]));
                version_line(&version.ok()?)
            }
        }
    }
}

/// The program that runs programs of Windows.
pub(crate) fn wine() -> anyhow::Result<PathBuf> {
    first_program(WINE).context("Wine is not installed: run `cargo xtask setup`.")
}

fn first_program(names: &[&str]) -> Option<PathBuf> {
    names.iter().find_map(|name| {
        if name.contains('/') {
            return Some(PathBuf::from(name)).filter(|path| path.is_file());
        }
        env::split_paths(&env::var_os("PATH")?)
            .map(|folder| folder.join(name))
            .find(|path| path.is_file())
    })
}

/// The line of what a program wrote that has its version.
fn version_line(output: &str) -> Option<String> {
    output
        .lines()
        .map(str::trim)
        .find(|line| line.contains(|c: char| c.is_ascii_digit()))
        .or_else(|| output.lines().next())
        .map(str::to_owned)
}

/// The shared library that the environment or one of LLVM's folders has.
fn llvm_library(name: &str) -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = env::var_os("LIBCLANG_PATH")
        .map(PathBuf::from)
        .into_iter()
        .collect();
    for parent in ["/usr/lib", "/usr/local/lib"].map(Path::new) {
        let below = parent.read_dir().into_iter().flatten().flatten();
        folders.extend(
            below
                .map(|entry| entry.path())
                .filter(|path| is_llvm(path))
                .map(|path| path.join("lib")),
        );
        folders.push(parent.to_path_buf());
    }
    folders.push(PathBuf::from("/usr/lib/x86_64-linux-gnu"));
    folders.push(PathBuf::from("/usr/lib64"));
    folders
        .into_iter()
        .flat_map(|folder| folder.read_dir().into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .find(|path| is_shared_library(path, name))
}

fn is_llvm(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with("llvm"))
}

/// Whether `path` is `name.so`, `name-14.so`, `name.so.1` and the like, and not
/// `name-cpp.so`.
fn is_shared_library(path: &Path, name: &str) -> bool {
    let file = path
        .file_name()
        .map(|file| file.to_string_lossy().into_owned());
    file.as_deref()
        .and_then(|file| file.strip_prefix(name))
        .is_some_and(|rest| rest.contains(".so") && !rest.starts_with("-cpp") && path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_not_found() {
        let missing = Need {
            name: "a program that nobody has",
            purpose: "test",
            probe: Probe::Program(&["no-such-program-anywhere", "/no/such/program"]),
            packages: &[],
        };
        assert_eq!(missing.found(), None);
        let missing = Need {
            probe: Probe::File(&["/no/such/file"]),
            ..missing
        };
        assert_eq!(missing.found(), None);
        let missing = Need {
            probe: Probe::LlvmLibrary("libnosuchlibrary"),
            ..missing
        };
        assert_eq!(missing.found(), None);
    }

    #[test]
    fn the_version_is_taken_from_the_line_that_has_it() {
        let written = "LLVM (http://llvm.org/):\n  LLVM version 14.0.6\n";
        assert_eq!(
            version_line(written).as_deref(),
            Some("LLVM version 14.0.6")
        );
        assert_eq!(
            version_line("llvm-dlltool\n").as_deref(),
            Some("llvm-dlltool")
        );
    }

    #[test]
    fn every_need_says_what_for_and_where_from() {
        for need in NEEDS {
            assert!(
                !need.purpose.is_empty() && !need.packages.is_empty(),
                "{}",
                need.name
            );
        }
    }
}
