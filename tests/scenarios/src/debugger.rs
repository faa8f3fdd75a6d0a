//! A rig under gdb: symbols that gdb can read, and a script that loads them.
//!
//! The images' symbols are in PDBs, which gdb does not read. What it needs of them,
//! functions and line numbers, is copied into ELF files with DWARF ([`object_file`]).
//! Variables are not, nor the unwind information, which gdb has no form for that it
//! would believe: its stacks are guesses beyond the innermost frame.

mod object_file;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};

use crate::{artifacts::Artifacts, record::Record};

/// The port at which QEMU serves gdb.
pub(crate) const PORT: u16 = 1234;

/// Where the sources are.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// What the build puts in place of the repository's own folder.
const REMAPPED: &str = "/dirql";

/// Writes gdb's script and what it loads; where the script is. `records` are the rig's
/// up to where it waits for the debugger.
///
/// # Errors
/// When the rig did not say where things are, or a PDB cannot be read.
pub(crate) fn script(artifacts: &Artifacts, records: &[Record]) -> anyhow::Result<PathBuf> {
    let (flag, entry) = records
        .iter()
        .find_map(|record| match record {
            Record::Debugger { flag, entry } => Some((*flag, *entry)),
            _ => None,
        })
        .context("the rig does not wait for a debugger")?;
    let mut loads = Vec::new();
    for record in records {
        let Record::Module { name, base, size } = record else {
            continue;
        };
        let symbols = artifacts.debug_symbols(name);
        let pdb = artifacts.symbols(name);
        if pdb.is_file() {
            let contents = object_file::from_pdb(&pdb, name, *base, *size)
                .with_context(|| format!("cannot take the symbols of {}", pdb.display()))?;
            fs::write(&symbols, contents)
                .with_context(|| format!("cannot write {}", symbols.display()))?;
            loads.push(format!("add-symbol-file {} {base:#x}", in_gdb(&symbols)?));
        } else {
            loads.push(format!(
                "echo {name} has no symbols: {} is not there\\n",
                pdb.display()
            ));
        }
    }
    let sources = Path::new(SOURCES)
        .canonicalize()
        .context("the repository is not where it was built")?;
    let script = artifacts.debug_script();
    let text = format!(
        "set confirm off\n\
         set pagination off\n\
         set architecture i386:x86-64\n\
         set substitute-path {REMAPPED} {}\n\
         {}\n\
         target remote localhost:{PORT}\n\
         hbreak *{entry:#x}\n\
         with language c -- set {{unsigned int}}{flag:#x} = 1\n\
         continue\n",
        in_gdb(&sources)?,
        loads.join("\n")
    );
    fs::write(&script, text).with_context(|| format!("cannot write {}", script.display()))?;
    Ok(script)
}

/// A path as gdb takes it.
fn in_gdb(path: &Path) -> anyhow::Result<String> {
    let path = path
        .to_str()
        .with_context(|| format!("the path {} is not UTF-8", path.display()))?;
    ensure!(
        !path.contains(['"', '\n']),
        "gdb cannot be told the path {path}"
    );
    Ok(format!("\"{path}\""))
}
