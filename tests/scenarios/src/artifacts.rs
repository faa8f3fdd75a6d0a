//! The files that `cargo xtask build` makes, and what a run needs of them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

/// Where the finished files are.
#[derive(Clone, Debug)]
pub(crate) struct Artifacts {
    out: PathBuf,
}

impl Artifacts {
    /// Those of the workspace that this program was built in.
    ///
    /// # Errors
    /// When one is missing.
    pub(crate) fn find() -> anyhow::Result<Self> {
        Self::at(&Self::expected()?.out)
    }

    /// Those of the workspace that this program was built in, whether they have been
    /// built or not.
    ///
    /// # Errors
    /// When there is no workspace.
    pub(crate) fn expected() -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .nth(2)
            .context("this package should lie two folders below the workspace root")?;
        Ok(Self {
            out: root.join("target").join("out"),
        })
    }

    /// Those in the folder `out`.
    ///
    /// # Errors
    /// When one is missing.
    pub(crate) fn at(out: &Path) -> anyhow::Result<Self> {
        let artifacts = Self {
            out: out.to_path_buf(),
        };
        for file in [artifacts.driver(), artifacts.rig(), artifacts.eductl()] {
            ensure!(
                file.is_file(),
                "{} is not there: run `cargo xtask build` first.",
                file.display()
            );
        }
        Ok(artifacts)
    }

    /// The driver that ships.
    #[must_use]
    pub(crate) fn driver(&self) -> PathBuf {
        self.out.join("edu.sys")
    }

    /// The driver `name` of those under `tests/drivers`.
    ///
    /// # Errors
    /// When it is missing.
    pub(crate) fn test_driver(&self, name: &str) -> anyhow::Result<PathBuf> {
        let driver = self.out.join(name).with_extension("sys");
        ensure!(
            driver.is_file(),
            "{} is not there: run `cargo xtask build -p test-drivers` first.",
            driver.display()
        );
        Ok(driver)
    }

    /// The rig.
    #[must_use]
    pub(crate) fn rig(&self) -> PathBuf {
        self.out.join("rig.efi")
    }

    /// Where the states are in which runs begin.
    #[must_use]
    pub(crate) fn states(&self) -> PathBuf {
        self.out.join("states")
    }

    /// eductl for Windows.
    #[must_use]
    pub(crate) fn eductl_exe(&self) -> PathBuf {
        self.out.join("eductl.exe")
    }

    /// What Wine needs beside eductl.exe.
    #[must_use]
    pub(crate) fn wine_folder(&self) -> PathBuf {
        self.out.join("wine")
    }

    /// The symbols of a module that the rig has named.
    #[must_use]
    pub(crate) fn symbols(&self, module: &str) -> PathBuf {
        self.out.join(module).with_extension("pdb")
    }

    /// Where the demonstration puts its picture.
    #[must_use]
    pub(crate) fn demo_picture(&self) -> PathBuf {
        self.out.join("demo-timeline.svg")
    }

    /// Where the demonstration puts its page.
    #[must_use]
    pub(crate) fn demo_page(&self) -> PathBuf {
        self.out.join("demo-timeline.html")
    }

    /// eductl for this host.
    #[must_use]
    pub(crate) fn eductl(&self) -> PathBuf {
        self.out.join("eductl")
    }
}
