//! The files that `cargo xtask build` makes, and what a run needs of them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use crate::book::Book;

/// Where the finished files are.
#[derive(Clone, Debug)]
pub(crate) struct Artifacts {
    out: PathBuf,
    /// Another driver than the one that was built.
    driver: Option<PathBuf>,
    /// Where runs write themselves down, if they are to.
    book: Option<Book>,
}

impl Artifacts {
    /// Those of the workspace that this program was built in.
    ///
    /// # Errors
    /// When one is missing.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .nth(2)
            .context("this package should lie two folders below the workspace root")?;
        Self::at(&root.join("target").join("out"))
    }

    /// Those in the folder `out`.
    ///
    /// # Errors
    /// When one is missing.
    pub(crate) fn at(out: &Path) -> anyhow::Result<Self> {
        let artifacts = Self::in_folder(out);
        for file in [artifacts.driver(), artifacts.rig(), artifacts.eductl()] {
            ensure!(
                file.is_file(),
                "{} is not there: run `cargo xtask build` first.",
                file.display()
            );
        }
        Ok(artifacts)
    }

    fn in_folder(out: &Path) -> Self {
        Self {
            out: out.to_path_buf(),
            driver: None,
            book: None,
        }
    }

    /// With this driver in place of the one that ships.
    #[must_use]
    pub(crate) fn with_driver(mut self, driver: &Path) -> Self {
        self.driver = Some(driver.to_path_buf());
        self
    }

    /// With a book that every run writes itself into.
    #[must_use]
    pub(crate) fn with_book(mut self, book: &Book) -> Self {
        self.book = Some(book.clone());
        self
    }

    /// The book that runs write themselves into, if they are to.
    #[must_use]
    pub(crate) const fn book(&self) -> Option<&Book> {
        self.book.as_ref()
    }

    /// The driver that ships, or the one that takes its place.
    #[must_use]
    pub(crate) fn driver(&self) -> PathBuf {
        self.driver
            .clone()
            .unwrap_or_else(|| self.out.join("edu.sys"))
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

    /// The driver in C that does what edu.sys does.
    ///
    /// # Errors
    /// When it is missing.
    pub(crate) fn reference(&self) -> anyhow::Result<PathBuf> {
        let driver = self.out.join("reference.sys");
        ensure!(
            driver.is_file(),
            "{} is not there: run `cargo xtask build -p reference` first.",
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
        match &self.driver {
            // The symbols of another driver lie beside it.
            Some(driver) if driver.file_name().is_some_and(|name| name == module) => driver.clone(),
            _ => self.out.join(module),
        }
        .with_extension("pdb")
    }

    /// Where gdb's copy of a module's symbols is put.
    #[must_use]
    pub(crate) fn debug_symbols(&self, module: &str) -> PathBuf {
        self.out.join(format!("{module}.debug"))
    }

    /// Where gdb's script is put.
    #[must_use]
    pub(crate) fn debug_script(&self) -> PathBuf {
        self.out.join("rig.gdb")
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
