//! Which Rust toolchain compiles for Windows here.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};

use crate::{command, workspace::Workspace};

/// What is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Kernel images and UEFI programs, linked by `lld-link`.
    Kernel,
    /// User-mode programs, linked by mingw-w64.
    User,
}

impl Target {
    pub(crate) const fn triple(self) -> &'static str {
        match self {
            Self::Kernel => "x86_64-pc-windows-msvc",
            Self::User => "x86_64-pc-windows-gnu",
        }
    }

    /// The parts of the standard library that such code uses.
    const fn std_crates(self) -> &'static str {
        match self {
            Self::Kernel => "core,alloc",
            Self::User => "std,panic_abort",
        }
    }
}

/// The first Rust that compiles for Windows on other systems: the compiler's
/// wrapper remaps paths with `--remap-path-scope`. The crates themselves are
/// content with the workspace's `rust-version`.
const OLDEST: (u32, u32) = (1, 95);

/// A cargo and a rustc that belong together.
#[derive(Clone, Debug)]
pub(crate) struct Toolchain {
    /// Where its programs are.
    folder: PathBuf,
    /// The toolchain's root folder, which holds `lib/rustlib`.
    pub(crate) sysroot: PathBuf,
    /// Such as "1.96.0".
    pub(crate) version: String,
}

impl Toolchain {
    /// The toolchain whose programs are in `folder`, or None where there is
    /// none.
    fn in_folder(folder: &Path) -> anyhow::Result<Option<Self>> {
        let rustc = program(folder, "rustc");
        if !program(folder, "cargo").is_file() || !rustc.is_file() {
            return Ok(None);
        }
        let version = command::output(clean(&mut Command::new(&rustc)).arg("--version"))?;
        let sysroot =
            command::output(clean(&mut Command::new(&rustc)).args(["--print", "sysroot"]))?;
        Ok(Some(Self {
            folder: folder.to_path_buf(),
            sysroot: PathBuf::from(sysroot.trim()),
            version: version
                .split(' ')
                .nth(1)
                .with_context(|| format!("rustc --version wrote {version:?}"))?
                .to_owned(),
        }))
    }

    /// Where the standard library's source is.
    pub(crate) fn library_source(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib/src/rust/library")
    }

    fn has_source(&self) -> bool {
        self.library_source().join("core/Cargo.toml").is_file()
    }

    /// Whether the standard library for `target` came with the toolchain and
    /// will do. For a kernel image it never does: there is no C run-time, so
    /// `memcpy` and its kin have to be compiled in.
    fn has_std(&self, target: Target) -> bool {
        let library = self.sysroot.join("lib/rustlib").join(target.triple());
        target == Target::User && library.join("lib").is_dir()
    }

    fn is_new_enough(&self) -> bool {
        let mut parts = self.version.split(['.', '-']).map(str::parse::<u32>);
        match (parts.next(), parts.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= OLDEST,
            _ => false,
        }
    }

    /// A cargo that uses this toolchain, whichever started this process.
    pub(crate) fn cargo(&self) -> Command {
        self.command("cargo")
    }

    /// One of the toolchain's programs, with the rest of the toolchain for it to
    /// use.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(program(&self.folder, name));
        clean(&mut command)
            .env("CARGO", program(&self.folder, "cargo"))
            .env("RUSTC", program(&self.folder, "rustc"))
            .env("RUSTDOC", program(&self.folder, "rustdoc"));
        command
    }

    /// `cargo verb` for `target`, with the standard library built first where
    /// none that will do came with the toolchain.
    pub(crate) fn cargo_for(&self, target: Target, verb: &str) -> Command {
        // Cargo would take the first cargo-clippy in PATH, which may be another
        // toolchain's.
        let mut cargo = self.command(match verb {
            "clippy" => "cargo-clippy",
            _ => "cargo",
        });
        cargo.args([verb, "--target", target.triple()]);
        if !self.has_std(target) {
            cargo
                .arg(format!("-Zbuild-std={}", target.std_crates()))
                // Building the standard library is a nightly feature, and this
                // is a stable compiler.
                .env("RUSTC_BOOTSTRAP", "1");
        }
        match target {
            Target::Kernel => {
                cargo.arg("-Zbuild-std-features=compiler-builtins-mem");
            }
            // The workspace's release profile is for kernel images. These
            // settings save minutes for a program that waits for a device all
            // its life.
            Target::User => {
                for setting in [
                    "lto=false",
                    "codegen-units=16",
                    "debug=false",
                    "opt-level=1",
                ] {
                    cargo.args(["--config", &format!("profile.release.{setting}")]);
                }
            }
        }
        cargo
    }
}

/// The toolchain to compile for `target` with: the one that started this
/// program where it can, else the system's.
pub(crate) fn for_target(target: Target) -> anyhow::Result<Toolchain> {
    let mut seen = Vec::new();
    for folder in folders() {
        let Some(toolchain) = Toolchain::in_folder(&folder)? else {
            continue;
        };
        if toolchain.is_new_enough() && (toolchain.has_std(target) || toolchain.has_source()) {
            return Ok(toolchain);
        }
        seen.push(format!("{} in {}", toolchain.version, folder.display()));
    }
    bail!(
        "no Rust toolchain here can compile for {}: that takes Rust {}.{} or later with the \
         standard library's source (`rustup component add rust-src`, or `cargo xtask setup`). \
         Without it: {}.",
        target.triple(),
        OLDEST.0,
        OLDEST.1,
        if seen.is_empty() {
            "none".to_owned()
        } else {
            seen.join(", ")
        }
    )
}

/// Where toolchains may be, best first.
fn folders() -> Vec<PathBuf> {
    // A system may have no rustc in PATH but Debian's, or none that starts.
    let sysroot = command::output(Command::new("rustc").args(["--print", "sysroot"])).ok();
    sysroot
        .map(|sysroot| Path::new(sysroot.trim()).join("bin"))
        .into_iter()
        .chain([PathBuf::from("/usr/bin")])
        .collect()
}

/// The cargo that started this program, for what runs on this system.
pub(crate) fn host_cargo(workspace: &Workspace) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace.root());
    cargo
}

fn program(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}{}", env::consts::EXE_SUFFIX))
}

/// Takes away what the cargo that started this program has set for it, since
/// the next cargo may be another one, and what a person may have set that would
/// change the result.
fn clean(command: &mut Command) -> &mut Command {
    for (name, _) in env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        let unwanted = name == "CARGO_TARGET_DIR"
            || name == "LD_LIBRARY_PATH"
            || name.starts_with("CARGO_PKG_")
            || name.starts_with("CARGO_MANIFEST_")
            || name.starts_with("CARGO_PROFILE_")
            || name.starts_with("RUSTUP_")
            || name.ends_with("RUSTFLAGS");
        if unwanted {
            command.env_remove(name);
        }
    }
    command
}
