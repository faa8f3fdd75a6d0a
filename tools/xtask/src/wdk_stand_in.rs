//! A folder that is laid out like an installed WDK, for systems where none can
//! be installed: mingw-w64's DDK headers, our supplements in
//! `tools/wdk/include`, and import libraries made from `tools/wdk/*.def`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};

use crate::{command, workspace, workspace::Workspace};

/// The SDK version of Windows 10 1809, the oldest system that the driver is
/// for.
const VERSION: &str = "10.0.17763.0";
/// Where Debian puts mingw-w64's headers.
const MINGW_HEADERS: &str = "/usr/share/mingw-w64/include";
/// What `wdk-sys` links a WDM driver with and nothing here is taken from.
const EMPTY_LIBRARIES: [&str; 2] = ["BufferOverflowFastFailK", "wmilib"];

/// The WDK to build with: the one that `WDKContentRoot` names, else the
/// stand-in, made or brought up to date.
pub(crate) fn content_root(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    if let Some(root) = env::var_os("WDKContentRoot").map(PathBuf::from) {
        ensure!(
            root.join("Include").is_dir() && root.join("Lib").is_dir(),
            "WDKContentRoot is {}, which has no Include and Lib folders: set it to an installed \
             WDK, or unset it to use the stand-in.",
            root.display()
        );
        return Ok(root);
    }
    let root = workspace.target().join("wdk");
    make_headers(workspace, &root)?;
    make_libraries(workspace, &root)?;
    Ok(root)
}

/// Where the headers of the WDK at `root` are, in the order in which `wdk-build` has
/// them searched.
pub(crate) fn include_folders(root: &Path) -> anyhow::Result<[PathBuf; 3]> {
    let newest = newest_version(&root.join("Include"))?;
    Ok(["km/crt", "km", "shared"].map(|folder| newest.join(folder)))
}

/// Where the import libraries of the WDK at `root` are.
pub(crate) fn library_folder(root: &Path) -> anyhow::Result<PathBuf> {
    Ok(newest_version(&root.join("Lib"))?.join("km/x64"))
}

/// The folder of the newest version below `folder` that has a part for the kernel.
fn newest_version(folder: &Path) -> anyhow::Result<PathBuf> {
    let numbers = |path: &Path| -> Vec<u32> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.split('.')
            .filter_map(|part| part.parse().ok())
            .collect()
    };
    fs::read_dir(folder)
        .with_context(|| format!("cannot list {}", folder.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.join("km").is_dir())
        .max_by_key(|path| numbers(path))
        .with_context(|| format!("{} has nothing for the kernel", folder.display()))
}

fn make_headers(workspace: &Workspace, root: &Path) -> anyhow::Result<()> {
    let include = root.join("Include").join(VERSION);
    let mingw = Path::new(MINGW_HEADERS);
    // `wdk-build` searches km/crt first, so a supplement there can wrap the
    // header of its name.
    copy_headers(
        &workspace.wdk_sources().join("include"),
        &include.join("km/crt"),
    )?;
    copy_headers(&mingw.join("ddk"), &include.join("km"))?;
    let shared = include.join("shared");
    for folder in ["", "psdk_inc", "sdks", "sec_api"] {
        copy_headers(&mingw.join(folder), &shared.join(folder))?;
    }
    Ok(())
}

/// The supplements' text: bindings that were made from another are stale.
pub(crate) fn supplements(workspace: &Workspace) -> anyhow::Result<Vec<u8>> {
    let folder = workspace.wdk_sources().join("include");
    let mut paths = fs::read_dir(&folder)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path()))
                .collect::<Result<Vec<_>, _>>()
        })
        .with_context(|| format!("cannot list the headers in {}", folder.display()))?;
    paths.sort();
    let mut text = Vec::new();
    for path in paths {
        text.extend(workspace::read(&path)?);
    }
    Ok(text)
}

/// Copies the headers right in `from`, none below, to `to`.
fn copy_headers(from: &Path, to: &Path) -> anyhow::Result<()> {
    let unreadable = || {
        format!(
            "cannot list the headers in {}: `cargo xtask setup` gets them",
            from.display()
        )
    };
    for entry in fs::read_dir(from).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "h" || extension == "inl")
            && let Some(name) = path.file_name()
        {
            workspace::write_if_changed(&to.join(name), &workspace::read(&path)?)?;
        }
    }
    Ok(())
}

fn make_libraries(workspace: &Workspace, root: &Path) -> anyhow::Result<()> {
    let folder = root.join("Lib").join(VERSION).join("km/x64");
    workspace::create_folder(&folder)?;
    for name in ["ntoskrnl", "hal"] {
        make_import_library(
            &workspace.wdk_sources().join(format!("{name}.def")),
            &folder.join(format!("{name}.lib")),
        )?;
    }
    for name in EMPTY_LIBRARIES {
        // An archive without members is its signature alone.
        workspace::write_if_changed(&folder.join(format!("{name}.lib")), b"!<arch>\n")?;
    }
    Ok(())
}

/// Makes `library` of what `definition` lists, unless it was made of that before.
pub(crate) fn make_import_library(definition: &Path, library: &Path) -> anyhow::Result<()> {
    let made_from = library.with_extension("def");
    let contents = workspace::read(definition)?;
    if library.is_file() && fs::read(&made_from).is_ok_and(|present| present == contents) {
        return Ok(());
    }
    command::run(
        Command::new("llvm-dlltool")
            .args(["-m", "i386:x86-64", "-d"])
            .arg(definition)
            .arg("-l")
            .arg(library),
    )?;
    workspace::write_if_changed(&made_from, &contents)
}
