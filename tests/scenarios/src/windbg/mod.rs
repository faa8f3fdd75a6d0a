//! What the debugger extension is tested on: a machine that was stopped, its memory and the types
//! of the driver that runs in it, for `tests/windbg`, which stands in for WinDbg.

pub(crate) mod natvis;
pub(crate) mod types;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::{qemu, record::Record, running::Running};

/// Stops `running` for as long as its memory is written to `folder`, with all else that the
/// stand-in needs.
///
/// # Errors
/// When QEMU refuses, or the rig did not say where the driver object is.
pub(crate) fn snapshot(running: &Running, pdb: &Path, folder: &Path) -> anyhow::Result<()> {
    let driver = running
        .records()
        .into_iter()
        .find_map(|record| match record {
            Record::DriverObject { address } => Some(address),
            _ => None,
        })
        .context("the rig did not say where the driver object is")?;
    let mut monitor = running.monitor()?;
    monitor.stop()?;
    let root = monitor.page_tables()?;
    monitor.write_memory(&folder.join("memory"), qemu::MEMORY_BYTES)?;
    monitor.go_on()?;
    // Texts, because numbers of 64 bits lose digits in JavaScript.
    let machine = json!({ "root": root.to_string(), "driver": driver.to_string() });
    write(&folder.join("machine.json"), &machine)?;
    write(&folder.join("types.json"), &types::read(pdb)?)
}

fn write(file: &Path, value: &Value) -> anyhow::Result<()> {
    fs::write(file, value.to_string()).with_context(|| format!("cannot write {}", file.display()))
}

/// Runs the extension on what is in `folder`; what its commands answer, and what else was told.
///
/// # Errors
/// When Node is missing, or the extension does not do what it should.
pub(crate) fn run(folder: &Path) -> anyhow::Result<Value> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = Command::new("node")
        .arg(root.join("tests/windbg/run.js"))
        .arg(root.join("tools/windbg/edu.js"))
        .arg(folder)
        .output()
        .context("cannot start node: run `cargo xtask setup`")?;
    ensure!(
        output.status.success(),
        "the debugger extension: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).context("the extension did not answer with JSON")
}
