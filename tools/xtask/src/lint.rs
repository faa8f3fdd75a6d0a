//! `cargo xtask lint`: formatting, clippy and documentation, without a warning,
//! for this system and for the target of the kernel images.

use std::{env, ffi::OsString, process::Command};

use anyhow::bail;

use crate::{build, command, cross_cargo::CrossCargo, toolchain::Target, workspace::Workspace};

/// What only the target of the kernel images compiles whole.
const KERNEL_PACKAGES: [&str; 5] = ["dirql", "edu", "edu-controller", "edu-interface", "rig"];

/// Runs every lint, all of them even if one fails.
pub(crate) fn run() -> anyhow::Result<()> {
    let workspace = Workspace::current()?;
    let kernel = CrossCargo::new(&workspace, &build::target_dir(&workspace))?;
    let mut failed = Vec::new();
    let mut commands = vec![
        ("formatting", host(&workspace, &["fmt", "--all", "--check"])),
        (
            "clippy",
            host(
                &workspace,
                &[
                    "clippy",
                    "--locked",
                    "--all-targets",
                    "--",
                    "--deny",
                    "warnings",
                ],
            ),
        ),
        (
            "documentation",
            host(&workspace, &["doc", "--locked", "--no-deps"]),
        ),
    ];
    let mut clippy = kernel.command(Target::Kernel, "clippy")?;
    clippy.args(packages()).args(["--", "--deny", "warnings"]);
    commands.push(("clippy, for the kernel", clippy));
    let mut doc = kernel.command(Target::Kernel, "doc")?;
    doc.arg("--no-deps").args(packages());
    commands.push(("documentation, for the kernel", doc));

    let count = commands.len();
    for (name, mut lint) in commands {
        lint.env("RUSTDOCFLAGS", "--deny warnings");
        if let Err(error) = command::run(&mut lint) {
            eprintln!("error: {name}: {error:#}");
            failed.push(name);
        }
    }
    println!(
        "lint: {} passed, {} failed",
        count - failed.len(),
        failed.len()
    );
    if !failed.is_empty() {
        bail!("these found something: {}", failed.join(", "));
    }
    Ok(())
}

fn packages() -> impl Iterator<Item = &'static str> {
    KERNEL_PACKAGES
        .into_iter()
        .flat_map(|package| ["--package", package])
}

/// The cargo that started this program.
fn host(workspace: &Workspace, arguments: &[&str]) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    cargo.current_dir(workspace.root()).args(arguments);
    cargo
}
