//! What cargo starts in place of `rustc` while it builds for Windows on another
//! system (`RUSTC_WRAPPER`).
//!
//! It does three things. `wdk-build` is compiled from a copy of its source with
//! the edits of `wdk_build_edits`; a `[patch]` section could do that too, but
//! would put another Cargo.lock on each system. The `windows` crate, which only
//! the edited-out part of `wdk-build` uses, does not compile on this system and
//! becomes an empty crate. And what is compiled for the target gets its paths
//! remapped, so that the same source gives the same bytes wherever it lies; a
//! cargo flag for that would end up in the crate hashes.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, ensure};

use crate::{wdk_build_edits, workspace};

/// The name of the link to this executable that cargo is given.
pub(crate) const INVOKED_AS: &str = "rustc-wrapper";
/// Beside that link: `from=to` pairs, one a line, for `--remap-path-prefix`.
pub(crate) const REMAPS: &str = "remaps.txt";

/// The `windows` crate and what only it depends on.
const EMPTIED: [&str; 6] = [
    "windows",
    "windows_collections",
    "windows_core",
    "windows_future",
    "windows_numerics",
    "windows_threading",
];

/// Runs the compiler named by the first argument with the rest of them, changed
/// where needed.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let mut arguments = env::args_os();
    let folder = arguments
        .next()
        .and_then(|program| Path::new(&program).parent().map(Path::to_path_buf))
        .context("cargo should start its wrapper by a path")?;
    let compiler = arguments
        .next()
        .context("cargo should name the compiler as the first argument of its wrapper")?;
    let mut arguments: Vec<OsString> = arguments.collect();

    if is_for_windows(&arguments) {
        let path = folder.join(REMAPS);
        let remaps = String::from_utf8(workspace::read(&path)?)
            .with_context(|| format!("{} is not UTF-8", path.display()))?;
        arguments.extend(
            remaps
                .lines()
                .map(|pair| format!("--remap-path-prefix={pair}").into()),
        );
        // Diagnostics keep the paths that a person can open.
        arguments.push("--remap-path-scope=object".into());
    } else if is_wdk_build(&arguments) {
        let adapted = adapted_wdk_build(&folder)?;
        replace_source(&mut arguments, &adapted)?;
    } else if is_emptied(&arguments) {
        let empty = folder.join("empty.rs");
        workspace::write_if_changed(&empty, b"#![no_std]\n")?;
        replace_source(&mut arguments, &empty)?;
    }
    crate::command::replace_process(Command::new(compiler).args(arguments))
}

/// The value of `--name value` or `--name=value`.
fn option<'a>(arguments: &'a [OsString], name: &str) -> Option<&'a str> {
    let mut words = arguments.iter().filter_map(|word| word.to_str());
    while let Some(word) = words.next() {
        if word == name {
            return words.next();
        }
        if let Some(value) = word
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('='))
        {
            return Some(value);
        }
    }
    None
}

fn is_wdk_build(arguments: &[OsString]) -> bool {
    option(arguments, "--crate-name") == Some("wdk_build")
}

fn is_emptied(arguments: &[OsString]) -> bool {
    option(arguments, "--crate-name").is_some_and(|name| EMPTIED.contains(&name))
}

fn is_for_windows(arguments: &[OsString]) -> bool {
    option(arguments, "--target").is_some_and(|target| target.contains("-windows-"))
}

/// Where the source of the package is that is compiled.
fn package_source() -> anyhow::Result<PathBuf> {
    let package =
        env::var_os("CARGO_MANIFEST_DIR").context("cargo should set CARGO_MANIFEST_DIR")?;
    Ok(Path::new(&package).join("src"))
}

/// Makes the compiler compile `source` instead of the library that cargo named.
fn replace_source(arguments: &mut [OsString], source: &Path) -> anyhow::Result<()> {
    let original = package_source()?.join("lib.rs");
    let entry = arguments
        .iter_mut()
        .find(|argument| Path::new(argument) == original)
        .with_context(|| format!("cargo should pass {} to the compiler", original.display()))?;
    *entry = source.into();
    Ok(())
}

/// The edited `src/lib.rs` of `wdk-build`, below `folder` with the rest of it.
fn adapted_wdk_build(folder: &Path) -> anyhow::Result<PathBuf> {
    let version = env::var("CARGO_PKG_VERSION").context("cargo should set CARGO_PKG_VERSION")?;
    ensure!(
        version == wdk_build_edits::VERSION,
        "Cargo.lock has wdk-build {version}, but the edits that let it build on this system are \
         for {}: bring tools/xtask/src/wdk_build_edits.rs up to date with it.",
        wdk_build_edits::VERSION
    );
    let original = package_source()?;
    let adapted = folder.join(format!("wdk-build-{version}")).join("src");
    adapt(&original, &adapted)?;
    Ok(adapted.join("lib.rs"))
}

/// Copies the source tree `original` to `adapted`, with the edits.
fn adapt(original: &Path, adapted: &Path) -> anyhow::Result<()> {
    let files = files_below(original, Path::new(""))?;
    wdk_build_edits::check_all_found(&files)?;
    for file in files {
        let source = workspace::read(&original.join(&file))?;
        let source = String::from_utf8(source)
            .with_context(|| format!("wdk-build's src/{file} is not UTF-8"))?;
        // The package was published from Windows.
        let source = wdk_build_edits::apply(&file, &source.replace("\r\n", "\n"))?;
        workspace::write_if_changed(&adapted.join(&file), source.as_bytes())?;
    }
    Ok(())
}

/// The names of all files below `root/folder`, relative to `root`.
fn files_below(root: &Path, folder: &Path) -> anyhow::Result<Vec<String>> {
    let path = root.join(folder);
    let unreadable = || format!("cannot list {}", path.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(&path).with_context(unreadable)? {
        let entry = entry.with_context(unreadable)?;
        let name = folder.join(entry.file_name());
        if entry.file_type().with_context(unreadable)?.is_dir() {
            files.extend(files_below(root, &name)?);
        } else {
            files.push(forward_slashes(name.as_os_str()));
        }
    }
    files.sort();
    Ok(files)
}

fn forward_slashes(path: &OsStr) -> String {
    path.to_string_lossy().replace('\\', "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn only_the_library_of_wdk_build_is_adapted() {
        assert!(is_wdk_build(&words(
            "--crate-name wdk_build --edition=2024"
        )));
        assert!(!is_wdk_build(&words("--crate-name build_script_build")));
        assert!(!is_wdk_build(&words("-vV")));
    }

    #[test]
    fn only_what_runs_on_the_target_is_remapped() {
        assert!(is_for_windows(&words("--target x86_64-pc-windows-msvc")));
        assert!(is_for_windows(&words("--target=x86_64-pc-windows-gnu")));
        assert!(!is_for_windows(&words("--crate-name build_script_build")));
    }
}
