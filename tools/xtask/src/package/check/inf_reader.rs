//! The INF as SetupAPI understands it: Wine's, which is the only one off Windows.
//!
//! Windows' own may be stricter (InfVerif is), but whatever this one cannot read or
//! reads as something else, Windows would not install either.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context as _, ensure};

use super::super::{Package, VERSION, catalogue};
use crate::{command, needs, workspace, workspace::Workspace};

/// The section that the INF's models install.
const INSTALL_SECTION: &str = "Edu";

/// What has to be read, line by line as `inf-reader` prints it.
const EXPECTED: &[&str] = &[
    "Version|Signature|$WINDOWS NT$",
    "Version|Provider|Dirql",
    "Version|CatalogFile|edu.cat",
    "Version|PnpLockdown|1",
    // A driver package that is isolated runs from the driver store, DIRID 13.
    "DestinationDirs|DefaultDestDir|13",
    "SourceDisksFiles|edu.sys|1||",
    "Manufacturer|Dirql|Devices|NTamd64.10.0...17763",
    "Edu.CopyFiles|edu.sys|edu.sys",
    "Edu.NT.Services|AddService|edu|0x00000002|Edu.Service",
    "Edu.Service|ServiceType|1",
    "Edu.Service|StartType|3",
    "Edu.Service|ErrorControl|1",
    "install|Edu.NT",
    // What the device's hardware key has after the installation.
    r"registry|Interrupt Management\MessageSignaledInterruptProperties|MSISupported|4|0x1",
    r"registry|Interrupt Management\MessageSignaledInterruptProperties|MessageNumberLimit|4|0x1",
    "registry||DeviceCharacteristics|4|0x100",
    "registry||Security|1|D:P(A;;GA;;;SY)(A;;GA;;;BA)",
    // Two entries, which are all: everything for the system and for administrators.
    "access|protected|2",
    "access|allowed|S-1-5-18|0x10000000",
    "access|allowed|S-1-5-32-544|0x10000000",
];
/// The line of the device, and that of the service's image. Wine knows no driver store,
/// so of the image's path only the end is told.
const MODEL: &str = "Devices.NTamd64.10.0...17763|QEMU edu device|Edu|";
const SERVICE_BINARY: &str = "Edu.Service|ServiceBinary|";

/// Reads the INF of `package`.
pub(super) fn judge(workspace: &Workspace, package: &Package) -> anyhow::Result<String> {
    let output = read(workspace, &package.file("edu.inf"))?;
    ensure!(
        output.status.success(),
        "SetupAPI cannot read the INF: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).context("inf-reader did not print UTF-8")?;
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let version = format!("Version|DriverVer|{}|{VERSION}", package.date.for_inf());
    for expected in EXPECTED.iter().copied().chain([version.as_str()]) {
        ensure!(
            lines.contains(&expected),
            "SetupAPI should have read\n{expected}\nbut it read\n{text}"
        );
    }
    let after = |start| lines.iter().find_map(|line| line.strip_prefix(start));
    let device = after(MODEL).context("the INF has no model")?;
    let [_, (_, catalogued)] = catalogue::ATTRIBUTES;
    ensure!(
        device.eq_ignore_ascii_case(catalogued),
        "the INF is for {device}, its catalogue for {catalogued}"
    );
    let image = after(SERVICE_BINARY).context("the service has no image")?;
    ensure!(
        image.ends_with(r"\edu.sys") && stored_in_driver_store(package)?,
        "the service's image should be edu.sys in the driver store, but is {image}"
    );
    Ok(format!("{} lines, for {device}", lines.len()))
}

fn stored_in_driver_store(package: &Package) -> anyhow::Result<bool> {
    let inf = workspace::read(&package.file("edu.inf"))?;
    Ok(String::from_utf8_lossy(&inf).contains(r"ServiceBinary = %13%\edu.sys"))
}

/// That the reader refuses what is no INF, or it would show nothing.
pub(super) fn judge_nonsense(workspace: &Workspace) -> anyhow::Result<String> {
    let file = folder(workspace)?.join("nonsense.inf");
    workspace::write_if_changed(&file, b"[Version\r\nSignature = $WINDOWS NT$\r\n")?;
    let output = read(workspace, &file)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        output.status.code() == Some(1) && said.contains("this is no INF"),
        "a section without its bracket should have been refused, but inf-reader said {said:?}"
    );
    Ok(said.trim_end().to_owned())
}

fn read(workspace: &Workspace, inf: &Path) -> anyhow::Result<Output> {
    let program = build(workspace)?;
    let folder = folder(workspace)?;
    // A name without a folder is looked for where this system's INFs are.
    let named = Path::new("Z:").join(inf);
    Command::new("timeout")
        // The first start makes a prefix, which takes a while.
        .args(["--kill-after=5", "180"])
        .arg(needs::wine()?)
        .arg(program)
        .arg(named)
        .arg(INSTALL_SECTION)
        .env("WINEPREFIX", folder.join("prefix"))
        .env("WINEDEBUG", "-all")
        .env("WINEDLLOVERRIDES", "mscoree,mshtml=")
        .env_remove("DISPLAY")
        .output()
        .context("cannot start inf-reader under Wine")
}

/// Compiles the reader, unless it is there.
fn build(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let source = workspace.root().join("tests/package/inf-reader.c");
    let program = folder(workspace)?.join("inf-reader.exe");
    if !workspace::is_newer(&program, &source) {
        command::run(
            Command::new("x86_64-w64-mingw32-gcc")
                .args(["-municode", "-O2", "-Wall", "-Wextra", "-Werror", "-o"])
                .arg(&program)
                .arg(source)
                .args(["-lsetupapi", "-ladvapi32"]),
        )?;
    }
    Ok(program)
}

fn folder(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let folder = workspace.out().join("wine");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}
