//! Which Rust toolchain compiles for Windows here.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};

use crate::command;

/// Kernel images and UEFI programs.
pub(crate) const MSVC: &str = "x86_64-pc-windows-msvc";
/// User-mode programs, linked by mingw-w64.
pub(crate) const GNU: &str = "x86_64-pc-windows-gnu";
/// The workspace's `rust-version`.
const OLDEST: (u32, u32) = (1, 91);

/// A cargo and a rustc that belong together.
#[derive(Clone, Debug)]
pub(crate) struct Toolchain {
    pub(crate) cargo: PathBuf,
    pub(crate) rustc: PathBuf,
    /// The toolchain's root folder, which holds `lib/rustlib`.
    pub(crate) sysroot: PathBuf,
    /// Such as "1.96.0".
    pub(crate) version: String,
}

impl Toolchain {
    /// The toolchain whose programs are in `folder`, or None where there is
    /// none.
    fn in_folder(folder: &Path) -> anyhow::Result<Option<Self>> {
        let (cargo, rustc) = (folder.join("cargo"), folder.join("rustc"));
        if !cargo.is_file() || !rustc.is_file() {
            return Ok(None);
        }
        let version = command::output(clean(&mut Command::new(&rustc)).arg("--version"))?;
        let sysroot = command::output(clean(&mut Command::new(&rustc)).args(["--print", "sysroot"]))?;
        Ok(Some(Self {
            cargo,
            rustc,
            sysroot: PathBuf::from(sysroot.trim()),
            version: version
                .split(' ')
                .nth(1)
                .with_context(|| format!("rustc --version wrote {version:?}"))?
                .to_owned(),
        }))
    }

    /// Whether the standard library for `target` came with the toolchain.
    fn has_std(&self, target: &str) -> bool {
        self.sysroot.join("lib/rustlib").join(target).join("lib").is_dir()
    }

    /// Whether the standard library can be built from its source.
    fn has_source(&self) -> bool {
        self.library_source().join("core/Cargo.toml").is_file()
    }

    /// Where the standard library's source is.
    pub(crate) fn library_source(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib/src/rust/library")
    }

    fn is_new_enough(&self) -> bool {
        let mut parts = self.version.split(['.', '-']).map(str::parse::<u32>);
        match (parts.next(), parts.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= OLDEST,
            _ => false,
        }
    }

    /// The crates of the standard library that a build for `target` has to
    /// compile first: none where they came with the toolchain.
    pub(crate) fn build_std<'a>(&self, target: &str, crates: &'a str) -> Option<&'a str> {
        (!self.has_std(target)).then_some(crates)
    }

    /// A cargo that uses this toolchain, whichever started this process.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = Command::new(&self.cargo);
        clean(&mut cargo).env("RUSTC", &self.rustc);
        cargo
    }
}

/// The toolchain to compile for `target` with: the one that this program was
/// started from if it has that target, else one of the system that has its
/// sources.
pub(crate) fn for_target(target: &str) -> anyhow::Result<Toolchain> {
    let mut seen = Vec::new();
    for folder in folders()? {
        let Some(toolchain) = Toolchain::in_folder(&folder)? else {
            continue;
        };
        if toolchain.is_new_enough() && (toolchain.has_std(target) || toolchain.has_source()) {
            return Ok(toolchain);
        }
        seen.push(format!("{} in {}", toolchain.version, folder.display()));
    }
    bail!(
        "no Rust toolchain here can compile for {target}: it needs Rust {}.{} or later with that \
         target or with the standard library's source (seen: {}). `cargo xtask setup` gets one.",
        OLDEST.0,
        OLDEST.1,
        if seen.is_empty() { "none".to_owned() } else { seen.join(", ") }
    )
}

/// Where toolchains may be, best first.
fn folders() -> anyhow::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    let sysroot = command::output(Command::new("rustc").args(["--print", "sysroot"]))?;
    folders.push(Path::new(sysroot.trim()).join("bin"));
    folders.push(PathBuf::from("/usr/bin"));
    Ok(folders)
}

/// Takes away what the cargo that started this program has set for it: the next
/// cargo may be another one.
fn clean(command: &mut Command) -> &mut Command {
    for (name, _) in env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        let set_by_cargo = name == "CARGO"
            || name.starts_with("CARGO_PKG_")
            || name.starts_with("CARGO_MANIFEST_")
            || name.starts_with("RUSTUP_")
            || name.ends_with("RUSTFLAGS")
            || name == "LD_LIBRARY_PATH";
        if set_by_cargo {
            command.env_remove(name);
        }
    }
    command
}
