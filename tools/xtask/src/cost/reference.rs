//! The C side: `tests/cost/reference.c`, compiled by clang for the target of the
//! drivers and linked as one.

use std::{ffi::OsString, path::Path, process::Command};

use anyhow::{Context as _, ensure};

use super::code::Code;
use crate::{c_driver, command, wdk_stand_in, workspace, workspace::Workspace};

/// Compiles and links the reference.
pub(super) fn build(workspace: &Workspace) -> anyhow::Result<Code> {
    let source = workspace.root().join("tests/cost/reference.c");
    let folder = workspace.target().join("cost");
    workspace::create_folder(&folder)?;
    let wdk = wdk_stand_in::content_root(workspace)?;
    let (object, image) = (folder.join("reference.obj"), folder.join("reference.dll"));
    c_driver::compile(workspace, &source, &object)?;
    link(&wdk, &object, &image)?;
    Code::read(&image, &image.with_extension("pdb"))
}

/// Fails unless the guide's driver in C compiles.
pub(super) fn check_guide(workspace: &Workspace) -> anyhow::Result<String> {
    let guide = workspace.root().join("driver/dirql/GUIDE.md");
    let text = String::from_utf8(workspace::read(&guide)?).context("the guide is not UTF-8")?;
    let blocks: Vec<&str> = text
        .split("\n```c\n")
        .skip(1)
        .filter_map(|rest| rest.split("\n```\n").next())
        .collect();
    ensure!(!blocks.is_empty(), "{} has no C", guide.display());
    let source = workspace.target().join("cost/guide.c");
    let code = blocks.join("\n") + "\n";
    workspace::write_if_changed(&source, code.as_bytes())?;
    c_driver::compile(workspace, &source, &source.with_extension("obj"))?;
    Ok(format!("{} lines", code.lines().count()))
}

fn link(wdk: &Path, object: &Path, image: &Path) -> anyhow::Result<()> {
    let mut out = OsString::from("/OUT:");
    out.push(image);
    command::run(
        Command::new("lld-link")
            .args(["/DLL", "/NOENTRY", "/DRIVER", "/SUBSYSTEM:NATIVE", "/DEBUG"])
            .args(["/NODEFAULTLIB", "/OPT:REF"])
            .arg(out)
            .arg(object)
            .arg(wdk_stand_in::library_folder(wdk)?.join("ntoskrnl.lib")),
    )
}
