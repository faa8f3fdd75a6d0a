//! What the benchmark found, for people: a page with plots, and the picture of the README.

mod chart;
mod page;
mod picture;

use std::path::{Path, PathBuf};

use super::figures::Bench;
use crate::workspace;
pub(crate) use picture::picture;

/// Writes the page into `folder`; its path.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write(bench: &Bench, folder: &Path) -> anyhow::Result<PathBuf> {
    let file = folder.join("bench.html");
    workspace::write_if_changed(&file, page::page(bench).as_bytes())?;
    Ok(file)
}
