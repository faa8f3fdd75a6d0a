//! `cargo xtask build`: everything that ships or that the tests boot, into
//! `target/out`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};
use clap::Args;

use crate::{
    command, link_wrapper, rustc_wrapper,
    toolchain::{self, Toolchain},
    wdk_build_edits, wdk_stand_in, workspace,
    workspace::Workspace,
};

#[derive(Args, Debug, Default)]
pub(crate) struct BuildArguments {
    /// Build only this package
    #[arg(long, short, value_name = "PACKAGE")]
    package: Option<String>,
    /// Type-check only; nothing is linked
    #[arg(long)]
    check: bool,
    /// Build into this folder below target, beside other builds
    #[arg(long, value_name = "NAME", default_value = "windows")]
    target_dir: String,
}

/// The images that this builds: package, what cargo calls the result, what it
/// is called in `target/out`.
const IMAGES: [Image; 2] = [
    Image {
        package: "edu",
        made: "edu.dll",
        shipped: "edu.sys",
        symbols: "edu.pdb",
    },
    Image {
        package: "rig",
        made: "rig.exe",
        shipped: "rig.efi",
        symbols: "rig.pdb",
    },
];

#[derive(Clone, Copy, Debug)]
struct Image {
    package: &'static str,
    made: &'static str,
    shipped: &'static str,
    symbols: &'static str,
}

/// Builds what `arguments` name.
pub(crate) fn run(arguments: &BuildArguments) -> anyhow::Result<()> {
    let workspace = Workspace::current()?;
    let builder = Builder::new(&workspace, &workspace.target().join(&arguments.target_dir))?;
    if arguments.check {
        let package = arguments.package.as_deref().unwrap_or("edu");
        return builder.check(package);
    }
    let chosen: Vec<Image> = IMAGES
        .into_iter()
        .filter(|image| arguments.package.as_deref().is_none_or(|name| name == image.package))
        .collect();
    if chosen.is_empty() {
        bail!(
            "{} is no image: choose one of {}.",
            arguments.package.as_deref().unwrap_or_default(),
            IMAGES.map(|image| image.package).join(", ")
        );
    }
    for image in chosen {
        builder.image(image, &workspace.out())?;
    }
    Ok(())
}

/// One way of building for `x86_64-pc-windows-msvc`: a workspace, a target
/// folder, a toolchain and a WDK.
struct Builder {
    workspace: Workspace,
    target_dir: PathBuf,
    toolchain: Toolchain,
    wdk: PathBuf,
}

impl Builder {
    fn new(workspace: &Workspace, target_dir: &Path) -> anyhow::Result<Self> {
        let builder = Self {
            workspace: workspace.clone(),
            target_dir: target_dir.to_path_buf(),
            toolchain: toolchain::for_target(toolchain::MSVC)?,
            wdk: wdk_stand_in::content_root(workspace)?,
        };
        builder.forget_stale_wdk_build()?;
        Ok(builder)
    }

    fn check(&self, package: &str) -> anyhow::Result<()> {
        command::run(self.cargo("check")?.args(["--package", package]))
    }

    /// Builds `image` and copies it with its symbols to `out`.
    fn image(&self, image: Image, out: &Path) -> anyhow::Result<()> {
        command::run(self.cargo("build")?.args(["--package", image.package]))?;
        let made = self.target_dir.join(toolchain::MSVC).join("release");
        copy(&made.join(image.made), &out.join(image.shipped))?;
        copy(&made.join(image.symbols), &out.join(image.symbols))
    }

    /// `cargo verb` for the target, with all that it takes.
    fn cargo(&self, verb: &str) -> anyhow::Result<Command> {
        let mut cargo = self.toolchain.cargo();
        cargo
            .current_dir(self.workspace.root())
            .arg(verb)
            .args(["--locked", "--release", "--target", toolchain::MSVC])
            .arg("--target-dir")
            .arg(&self.target_dir)
            .env("WDKContentRoot", &self.wdk);
        if let Some(crates) = self.toolchain.build_std(toolchain::MSVC, "core,alloc") {
            cargo
                .arg(format!("-Zbuild-std={crates}"))
                .arg("-Zbuild-std-features=compiler-builtins-mem")
                // Building the standard library is a nightly feature, and this
                // is a stable compiler.
                .env("RUSTC_BOOTSTRAP", "1");
        }
        if !cfg!(windows) {
            self.use_wrappers(&mut cargo)?;
        }
        Ok(cargo)
    }

    fn use_wrappers(&self, cargo: &mut Command) -> anyhow::Result<()> {
        let wrappers = self.target_dir.join("wrappers");
        let linker_variable = format!(
            "CARGO_TARGET_{}_LINKER",
            toolchain::MSVC.replace('-', "_").to_uppercase()
        );
        cargo
            .env("RUSTC_WRAPPER", self_as(&wrappers, rustc_wrapper::INVOKED_AS)?)
            .env(linker_variable, self_as(&wrappers, link_wrapper::INVOKED_AS)?)
            .env(link_wrapper::LINKER, "lld-link")
            .env(rustc_wrapper::ADAPTED_DIR, &self.target_dir)
            .env(rustc_wrapper::REMAPS, self.remaps()?);
        Ok(())
    }

    /// Paths that must not show in what is built, and what stands for them.
    /// rustc takes the last that matches.
    fn remaps(&self) -> anyhow::Result<String> {
        let cargo_home = env::var_os("CARGO_HOME")
            .map(PathBuf::from)
            .or_else(|| env::home_dir().map(|home| home.join(".cargo")))
            .context("there is neither CARGO_HOME nor a home folder")?;
        let library = fs::canonicalize(self.toolchain.library_source())
            .unwrap_or_else(|_| self.toolchain.library_source());
        Ok([
            (cargo_home.join("registry/src"), "/crates"),
            (self.toolchain.library_source(), "/rust/library"),
            (library, "/rust/library"),
            (self.workspace.root().to_path_buf(), "/dirql"),
            (self.target_dir.clone(), "/target"),
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
            command::run(
                self.toolchain
                    .cargo()
                    .current_dir(self.workspace.root())
                    .args(["clean", "--package", "wdk-build", "--target-dir"])
                    .arg(&self.target_dir),
            )?;
        }
        workspace::write_if_changed(&stamp_file, stamp.as_bytes())
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

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    workspace::write_if_changed(to, &workspace::read(from)?)
}
