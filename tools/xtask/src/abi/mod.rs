//! `cargo xtask abi`: the kernel's structures and constants, by three witnesses.
//!
//! Our bindings are made of mingw-w64's headers with supplements of ours, and the rig is
//! built with them, too: a wrong offset would be wrong on both sides there, and fail on
//! Windows. So they are compared with the headers as mingw-w64 has them and with
//! `windows-sys`, which Microsoft generates from its own metadata. Where they disagree,
//! `tests/abi/disagreements.toml` says who is right, why, and where that is written.

mod compare;
mod debug_information;
mod headers;
mod items;
mod layout;
mod metadata;
mod ours;
mod own;
mod page;
mod resolutions;
mod rust_layout;
mod usage;

use std::{env, path::PathBuf};

use anyhow::{Context as _, bail, ensure};
use clap::Args;

use crate::{
    build, command, cross_cargo::CrossCargo, toolchain::Target, workspace, workspace::Workspace,
};
use compare::Outcome;
use headers::Headers;
use layout::Witness;
use metadata::Metadata;
use ours::Ours;
use own::Own;
use resolutions::Resolutions;

/// What is right where they disagree, relative to the workspace's root.
const RESOLUTIONS: &str = "tests/abi/disagreements.toml";
/// What people read.
const PAGE: &str = "tests/abi/ABI.md";

/// Why only the compiler compares.
pub(crate) const NO_WITNESSES: &str = "compared by the compiler alone: the three witnesses are \
     for the stand-in for the WDK, and WDKContentRoot names a real one, or this is Windows";

/// Whether the bindings are made of the stand-in's headers, which have to be compared.
pub(crate) fn has_witnesses() -> bool {
    !cfg!(windows) && env::var_os("WDKContentRoot").is_none()
}

#[derive(Args, Debug)]
pub(crate) struct AbiArguments {
    /// Write the page, tests/abi/ABI.md, instead of comparing with it
    #[arg(long)]
    write: bool,
}

/// Compares, and writes the page if `arguments` say so.
pub(crate) fn run(arguments: &AbiArguments) -> anyhow::Result<()> {
    ensure!(has_witnesses(), "{NO_WITNESSES}");
    let workspace = Workspace::current()?;
    let (page, summary) = compared(&workspace)?;
    let path = workspace.root().join(PAGE);
    if arguments.write {
        workspace::write_if_changed(&path, page.as_bytes())?;
    } else {
        is_up_to_date(&workspace, &page)?;
    }
    println!("abi: {summary}");
    Ok(())
}

/// What was compared, if all witnesses agree, or it is written down why they do not, and
/// the page says so.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<String> {
    let (page, summary) = compared(workspace)?;
    is_up_to_date(workspace, &page)?;
    Ok(summary)
}

fn is_up_to_date(workspace: &Workspace, page: &str) -> anyhow::Result<()> {
    let present = workspace::read(&workspace.root().join(PAGE))?;
    if present == page.as_bytes() {
        return Ok(());
    }
    let present = String::from_utf8_lossy(&present);
    bail!(
        "{PAGE} is not what the witnesses say now: review what differs, and have it written by \
         `cargo xtask abi --write`\n{}",
        diffy::create_patch(&present, page)
    )
}

/// Compares; the page, and its numbers in a sentence.
fn compared(workspace: &Workspace) -> anyhow::Result<(String, String)> {
    let outcome = outcome(workspace)?;
    let resolutions = Resolutions::read(&workspace.root().join(RESOLUTIONS))?;
    let mut complaints = resolutions.complaints(&outcome);
    complaints.extend(outcome.own.complaints.iter().cloned());
    for complaint in &complaints {
        println!("abi: {complaint}");
    }
    if !complaints.is_empty() {
        bail!(
            "{} points are open: mend the bindings (tools/wdk/include), or write into \
             {RESOLUTIONS} who is right, why, and where that is documented",
            complaints.len()
        );
    }
    Ok((page::page(&outcome, &resolutions), page::summary(&outcome)))
}

fn outcome(workspace: &Workspace) -> anyhow::Result<Outcome> {
    let sources = sources(workspace)?;
    let ours = Ours::read(&sources.bindings, &sources.wdk_sys)?;
    let metadata = Metadata::read(&sources.windows_sys, &sources.features)?;
    let files = usage::files(workspace)?;
    let identifiers = usage::identifiers(&files)?;
    let usage = usage::of(&identifiers, &ours)?;
    let macros = usage.constants.iter().map(String::as_str);
    let headers = Headers::read(
        &workspace.target().join("abi"),
        macros.filter(|name| !name.contains("::")),
    )?;
    let witnesses: [&dyn Witness; 2] = [&headers, &metadata];
    let mut outcome = Outcome {
        own: Own::of(&files, &ours)?,
        ..Outcome::default()
    };
    for name in &usage.structures {
        let names = ours.names(name);
        let layout = ours.structure(&names)?.context("it is in the bindings")?;
        outcome.structure(name, &names, &layout, &witnesses)?;
    }
    for name in &usage.constants {
        let value = ours.constant(name).context("it is in the bindings")?;
        outcome.constant(name, value, &witnesses);
    }
    Ok(outcome)
}

/// Where the witnesses are.
struct Sources {
    /// The folder with what bindgen made.
    bindings: PathBuf,
    /// The root of each crate.
    wdk_sys: PathBuf,
    windows_sys: PathBuf,
    /// With which `windows-sys` was compiled.
    features: Vec<String>,
}

/// Compiles the crate that has both bindings, and has cargo say where they are.
fn sources(workspace: &Workspace) -> anyhow::Result<Sources> {
    let cargo = CrossCargo::new(workspace, &build::target_dir(workspace))?;
    let mut command = cargo.command(Target::Kernel, "check")?;
    command.args([
        "--package",
        "abi",
        "--message-format=json-render-diagnostics",
    ]);
    let messages = command::output(&mut command)?;
    let (mut bindings, mut wdk_sys, mut windows_sys) = (None, None, None);
    let mut features = Vec::new();
    for line in messages.lines() {
        let message: serde_json::Value =
            serde_json::from_str(line).context("cargo wrote what is no JSON")?;
        let text = |pointer| message.pointer(pointer).and_then(serde_json::Value::as_str);
        let (Some(reason), Some(package)) = (text("/reason"), text("/package_id")) else {
            continue;
        };
        let is_of = |name: &str| package.contains(&format!("#{name}@"));
        if reason == "build-script-executed" && is_of("wdk-sys") {
            bindings = text("/out_dir").map(PathBuf::from);
        } else if reason == "compiler-artifact" && text("/target/kind/0") == Some("lib") {
            let source = text("/target/src_path").map(PathBuf::from);
            if is_of("wdk-sys") {
                wdk_sys = source;
            } else if is_of("windows-sys") {
                windows_sys = source;
                let all = message.get("features").cloned().unwrap_or_default();
                features = serde_json::from_value(all)?;
            }
        }
    }
    Ok(Sources {
        bindings: bindings.context("cargo names no folder with the bindings of wdk-sys")?,
        wdk_sys: wdk_sys.context("cargo names no source of wdk-sys")?,
        windows_sys: windows_sys.context("cargo names no source of windows-sys")?,
        features,
    })
}
