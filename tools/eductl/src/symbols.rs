//! What a PDB says of an address in its image: functions, and the lines of their source.

use std::{
    fmt,
    fs::File,
    path::{Path, PathBuf},
};

use pdb_addr2line::{ContextPdbData, pdb::PDB};
use serde::Serialize;

/// What the build puts in place of the repository's own folder.
const SOURCES: &str = "/dirql/";

/// A function at an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Function {
    /// Its name, with its path.
    pub name: String,
    /// The file that the address comes from; below the repository if it is one of its own.
    pub file: Option<String>,
    /// The line in it, counted from 1.
    pub line: Option<u32>,
}

impl fmt::Display for Function {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)?;
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(formatter, "  {file}:{line}"),
            _ => Ok(()),
        }
    }
}

/// Why a PDB has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SymbolsError {
    /// It cannot be opened.
    #[error("{}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: std::io::Error,
    },
    /// It is no PDB, or a damaged one.
    #[error(
        "{}: this is no whole PDB ({reason}); name the .pdb file that was built with the image",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What its reader says.
        reason: String,
    },
}

/// The functions at the offset `offset` from the image's first byte, the innermost of those
/// that are inlined into each other first; none if no function is there.
///
/// # Errors
/// If `pdb` cannot be read.
pub fn functions(pdb: &Path, offset: u32) -> Result<Vec<Function>, SymbolsError> {
    let damaged = |reason: String| SymbolsError::Damaged {
        path: pdb.to_path_buf(),
        reason,
    };
    let contents = open(pdb)?;
    let data =
        ContextPdbData::try_from_pdb(contents).map_err(|error| damaged(error.to_string()))?;
    let context = data
        .make_context()
        .map_err(|error| damaged(error.to_string()))?;
    let found = context
        .find_frames(offset)
        .map_err(|error| damaged(error.to_string()))?;
    let frames = found.map(|found| found.frames).unwrap_or_default();
    Ok(frames
        .into_iter()
        .map(|frame| {
            let name = frame.function.as_deref().unwrap_or("(no name)");
            Function {
                // Functions without parameters that the compiler knows keep the name that the
                // linker sees.
                name: format!("{:#}", rustc_demangle::demangle(name)),
                file: frame
                    .file
                    .as_deref()
                    .map(repository_path)
                    .map(str::to_owned),
                line: frame.line,
            }
        })
        .collect())
}

/// The identity of the build that `pdb` belongs to.
///
/// # Errors
/// If `pdb` cannot be read.
pub fn identity(pdb: &Path) -> Result<[u8; 16], SymbolsError> {
    let information = open(pdb)?
        .pdb_information()
        .map_err(|error| SymbolsError::Damaged {
            path: pdb.to_path_buf(),
            reason: error.to_string(),
        })?;
    Ok(information.guid.to_bytes_le())
}

fn open(path: &Path) -> Result<PDB<'static, File>, SymbolsError> {
    let file = File::open(path).map_err(|reason| SymbolsError::Unreadable {
        path: path.to_path_buf(),
        reason,
    })?;
    PDB::open(file).map_err(|error| SymbolsError::Damaged {
        path: path.to_path_buf(),
        reason: error.to_string(),
    })
}

/// The path below the repository, of what lies in it.
#[must_use]
pub fn repository_path(path: &str) -> &str {
    path.strip_prefix(SOURCES).unwrap_or(path)
}
