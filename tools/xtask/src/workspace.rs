//! Where things are: every path that the verbs share is made here.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

/// The drivers under `tests/drivers`: each is a package `test-NAME`, and becomes
/// `NAME.sys`.
#[rustfmt::skip]
pub(crate) const TEST_DRIVERS: &[&str] = &[
    "basics",
    "controller",
    "dma",
    "dpc",
    "interrupt",
    "leaks",
    "messages",
    "passive",
    "power",
    "queues",
    "timers",
    "waits",
];

/// The package of the test driver `name`.
#[must_use]
pub(crate) fn test_driver_package(name: &str) -> String {
    format!("test-{name}")
}

/// The name under which this executable was started, without its folder.
#[must_use]
pub(crate) fn invoked_as() -> Option<String> {
    let program = PathBuf::from(env::args_os().next()?);
    program
        .file_stem()
        .and_then(OsStr::to_str)
        .map(str::to_owned)
}

/// A checked-out copy of this repository.
#[derive(Clone, Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The copy that this executable was built from.
    pub(crate) fn current() -> anyhow::Result<Self> {
        let manifest_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = manifest_dir.ancestors().nth(2).with_context(|| {
            format!(
                "{} should be two folders below the workspace root",
                manifest_dir.display()
            )
        })?;
        Ok(Self::at(root))
    }

    /// The copy whose root folder is `root`.
    pub(crate) fn at(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Everything that is made goes below here. `wdk-build` finds the workspace
    /// by looking for Cargo.lock above its output, so this stays inside.
    pub(crate) fn target(&self) -> PathBuf {
        self.root.join("target")
    }

    /// Finished files: what a person copies, and what the tests use.
    pub(crate) fn out(&self) -> PathBuf {
        self.target().join("out")
    }

    /// Our own part of the stand-in for an installed WDK.
    pub(crate) fn wdk_sources(&self) -> PathBuf {
        self.root.join("tools").join("wdk")
    }
}

/// Writes `contents` to `path` unless it holds just that already, so that cargo
/// sees a change only where there is one.
pub(crate) fn write_if_changed(path: &Path, contents: &[u8]) -> anyhow::Result<()> {
    if fs::read(path).is_ok_and(|present| present == contents) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        create_folder(folder)?;
    }
    // In one step: another process may be reading the file.
    let unfinished = path.with_added_extension(std::process::id().to_string());
    fs::write(&unfinished, contents)
        .and_then(|()| fs::rename(&unfinished, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Whether `product` is there and not older than `source`.
pub(crate) fn is_newer(product: &Path, source: &Path) -> bool {
    let written = |path: &Path| fs::metadata(path).and_then(|data| data.modified());
    match (written(product), written(source)) {
        (Ok(product), Ok(source)) => product >= source,
        _ => false,
    }
}

/// Creates `folder` with all folders above it.
pub(crate) fn create_folder(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}

/// Reads a whole file, naming it if that fails.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Makes `link` a link to the file or folder `original`.
pub(crate) fn link(original: &Path, link: &Path) -> anyhow::Result<()> {
    symlink(original, link).with_context(|| format!("cannot create {}", link.display()))
}

#[cfg(unix)]
use std::os::unix::fs::symlink;

#[cfg(windows)]
fn symlink(original: &Path, link: &Path) -> std::io::Result<()> {
    if original.is_dir() {
        std::os::windows::fs::symlink_dir(original, link)
    } else {
        std::os::windows::fs::symlink_file(original, link)
    }
}
