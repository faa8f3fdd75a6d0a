//! Cargo, set up to compile this workspace for Windows on whatever system this
//! is: toolchain, WDK, wrappers and the remapping of paths.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;

use crate::{
    command, link_wrapper, rustc_wrapper,
    toolchain::{self, Target},
    wdk_build_edits, wdk_stand_in, workspace,
    workspace::Workspace,
};

/// A workspace, where its output goes, and the WDK that it is built with.
pub(crate) struct CrossCargo {
    workspace: Workspace,
    target_dir: PathBuf,
    wdk: PathBuf,
}

impl CrossCargo {
    /// Cargo for `workspace`, with its output in `target_dir`, which must be
    /// below the workspace's root.
    pub(crate) fn new(workspace: &Workspace, target_dir: &Path) -> anyhow::Result<Self> {
        let cargo = Self {
            workspace: workspace.clone(),
            target_dir: target_dir.to_path_buf(),
            wdk: wdk_stand_in::content_root(workspace)?,
        };
        cargo.forget_stale_wdk_build()?;
        cargo.forget_stale_bindings()?;
        Ok(cargo)
    }

    /// Where cargo puts what it builds for `target`.
    pub(crate) fn output(&self, target: Target) -> PathBuf {
        self.target_dir.join(target.triple()).join("release")
    }

    /// `cargo verb` for `target`.
    pub(crate) fn command(&self, target: Target, verb: &str) -> anyhow::Result<Command> {
        let toolchain = toolchain::for_target(target)?;
        let mut cargo = toolchain.cargo_for(target, verb);
        cargo
            .current_dir(self.workspace.root())
            .args(["--locked", "--release", "--target-dir"])
            .arg(&self.target_dir)
            // About wdk-alloc, whose version is pinned.
            .args(["--config", "future-incompat-report.frequency='never'"])
            .env("WDKContentRoot", &self.wdk);
        if !cfg!(windows) {
            self.use_wrappers(&mut cargo, &toolchain.library_source())?;
        }
        Ok(cargo)
    }

    fn use_wrappers(&self, cargo: &mut Command, library: &Path) -> anyhow::Result<()> {
        let wrappers = self.target_dir.join("wrappers");
        let linker_variable = format!(
            "CARGO_TARGET_{}_LINKER",
            Target::Kernel.triple().replace('-', "_").to_uppercase()
        );
        cargo
            .env(
                "RUSTC_WRAPPER",
                self_as(&wrappers, rustc_wrapper::INVOKED_AS)?,
            )
            .env(linker_variable, self.linker()?);
        workspace::write_if_changed(
            &wrappers.join(rustc_wrapper::REMAPS),
            self.remaps(library)?.as_bytes(),
        )
    }

    /// What links drivers where Microsoft's linker is not.
    pub(crate) fn linker(&self) -> anyhow::Result<PathBuf> {
        self_as(&self.target_dir.join("wrappers"), link_wrapper::INVOKED_AS)
    }

    /// Paths that must not show in what is built, and what stands for them.
    /// rustc takes the last that matches.
    fn remaps(&self, library: &Path) -> anyhow::Result<String> {
        let cargo_home = env::var_os("CARGO_HOME")
            .map(PathBuf::from)
            .or_else(|| env::home_dir().map(|home| home.join(".cargo")))
            .context("there is neither CARGO_HOME nor a home folder")?;
        // A toolchain that came with its standard library may lack the source.
        let real_library = fs::canonicalize(library).unwrap_or_else(|_| library.to_path_buf());
        Ok([
            (cargo_home.join("registry/src").as_path(), "/crates"),
            (library, "/rust/library"),
            (real_library.as_path(), "/rust/library"),
            (self.workspace.root(), "/dirql"),
            (self.target_dir.as_path(), "/target"),
        ]
        .map(|(from, to)| format!("{}={to}", from.display()))
        .join("\n"))
    }

    /// Throws away a compiled `wdk-build` that other edits were applied to.
    fn forget_stale_wdk_build(&self) -> anyhow::Result<()> {
        let stamp_file = self.target_dir.join("wdk-build.stamp");
        let stamp = wdk_build_edits::stamp();
        let present = fs::read_to_string(&stamp_file).ok();
        if present.is_some_and(|present| present != stamp) {
            self.clean("wdk-build", None)?;
        }
        workspace::write_if_changed(&stamp_file, stamp.as_bytes())
    }

    /// Throws away bindings that were made from other headers: `wdk-sys` does not tell
    /// cargo which headers it reads.
    fn forget_stale_bindings(&self) -> anyhow::Result<()> {
        let stamp_file = self.target_dir.join("wdk-sys.stamp");
        let stamp = wdk_stand_in::supplements(&self.workspace)?;
        if fs::read(&stamp_file).ok().as_ref() != Some(&stamp) {
            self.clean("wdk-sys", Some(Target::Kernel))?;
        }
        workspace::write_if_changed(&stamp_file, &stamp)
    }

    /// Throws away what was built of `package`.
    fn clean(&self, package: &str, target: Option<Target>) -> anyhow::Result<()> {
        let mut cargo = toolchain::for_target(Target::Kernel)?.cargo();
        cargo
            .current_dir(self.workspace.root())
            .args(["clean", "--release", "--package", package])
            .arg("--target-dir")
            .arg(&self.target_dir);
        if let Some(target) = target {
            cargo.args(["--target", target.triple()]);
        }
        command::run(&mut cargo)
    }
}

/// A link to this executable under `name`, which tells it what to do.
fn self_as(folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let executable = env::current_exe().context("cannot tell where this program is")?;
    let link = folder.join(name);
    if fs::read_link(&link).is_ok_and(|present| present == executable) {
        return Ok(link);
    }
    workspace::create_folder(folder)?;
    if link.is_symlink() {
        fs::remove_file(&link).with_context(|| format!("cannot replace {}", link.display()))?;
    }
    workspace::link(&executable, &link)?;
    Ok(link)
}
