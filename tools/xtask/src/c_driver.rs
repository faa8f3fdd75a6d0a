//! Kernel code in C: compiled by clang for the target of the drivers, with the headers that
//! their bindings come from, and linked by the linker that links them.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;

use crate::{command, toolchain::Target, wdk_stand_in, workspace, workspace::Workspace};

/// What the WDK's project files and `wdk-build` define for x64, and that the headers are not
/// the WDK's.
const DEFINITIONS: [&str; 5] = [
    "_WIN64",
    "_AMD64_",
    "AMD64",
    "_KERNEL_MODE",
    "DIRQL_WDK_STAND_IN",
];

/// As `driver-link` has drivers on `wdk-build` linked.
const DRIVER_OPTIONS: [&str; 13] = [
    "/NOLOGO",
    "/DRIVER",
    "/ENTRY:DriverEntry",
    "/SUBSYSTEM:NATIVE,10.00",
    "/OSVERSION:10.0",
    "/NODEFAULTLIB",
    "/NXCOMPAT",
    "/DYNAMICBASE",
    "/INTEGRITYCHECK",
    "/OPT:REF,ICF",
    "/DEBUG",
    "/Brepro",
    "/RELEASE",
];

/// Compiles `source` to `object`.
pub(crate) fn compile(workspace: &Workspace, source: &Path, object: &Path) -> anyhow::Result<()> {
    let wdk = wdk_stand_in::content_root(workspace)?;
    let mut clang = Command::new("clang");
    clang.arg(format!("--target={}", Target::Kernel.triple()));
    // As the release profile of the drivers.
    clang.args([
        "-O2",
        "-g",
        "-gcodeview",
        "-ffreestanding",
        "-Wall",
        "-Wextra",
        "-Werror",
        // An unused argument of a callback has no name in newer C only.
        "-Wno-unused-parameter",
    ]);
    clang.args(DEFINITIONS.map(|name| format!("-D{name}")));
    let mut remap = OsString::from("-ffile-prefix-map=");
    remap.push(workspace.root());
    remap.push("=/dirql");
    clang.arg(remap);
    for folder in wdk_stand_in::include_folders(&wdk)? {
        // Warnings are about the code, not about the headers.
        clang.arg("-isystem").arg(folder);
    }
    command::run(clang.arg("-c").arg(source).arg("-o").arg(object))
}

/// Makes a driver of all C in `sources`: `name.sys` and `name.pdb` in the workspace's
/// `target/out`. `linker` is what links the drivers in Rust.
pub(crate) fn build(
    workspace: &Workspace,
    linker: &Path,
    sources: &Path,
    name: &str,
) -> anyhow::Result<()> {
    let wdk = wdk_stand_in::content_root(workspace)?;
    let folder = workspace.target().join("c").join(name);
    workspace::create_folder(&folder)?;
    let mut objects = Vec::new();
    for source in files(sources, "c")? {
        let file = source.file_name().context("a source should have a name")?;
        let object = folder.join(file).with_extension("obj");
        compile(workspace, &source, &object)?;
        objects.push(object);
    }
    let library = wdk_stand_in::library_folder(&wdk)?;
    let mut libraries = vec![library.join("ntoskrnl.lib"), library.join("hal.lib")];
    for definition in files(sources, "def")? {
        let file = definition
            .file_stem()
            .context("a file should have a name")?;
        let made = folder.join(file).with_extension("lib");
        wdk_stand_in::make_import_library(&definition, &made)?;
        libraries.push(made);
    }
    let image = folder.join(name).with_extension("sys");
    let mut out = OsString::from("/OUT:");
    out.push(&image);
    let pdb = format!("/PDBALTPATH:{name}.pdb");
    command::run(
        Command::new(linker)
            .args(DRIVER_OPTIONS)
            .arg(pdb)
            .arg(out)
            .args(objects)
            .args(libraries),
    )?;
    for file in [&image, &image.with_extension("pdb")] {
        let name = file.file_name().context("a driver should have a name")?;
        workspace::write_if_changed(&workspace.out().join(name), &workspace::read(file)?)?;
    }
    Ok(())
}

/// The files right in `folder` with this extension, by name.
fn files(folder: &Path, extension: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<Result<Vec<_>, _>>()
        })
        .with_context(|| format!("cannot list {}", folder.display()))?;
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    Ok(paths)
}
