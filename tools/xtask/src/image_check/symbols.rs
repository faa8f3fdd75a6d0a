//! Whether a debugger will find the symbols, and take them for the image's own.

use std::io::Cursor;

use anyhow::{Context as _, ensure};
use object::{
    LittleEndian as LE, Object as _,
    pe::{IMAGE_DEBUG_TYPE_REPRO, IMAGE_DIRECTORY_ENTRY_DEBUG, ImageDebugDirectory},
};
use pdb_addr2line::{ContextPdbData, pdb::PDB};

use super::Subject;

/// The PDB's name in the image, which a debugger looks for beside it.
const PDB_NAME: &str = "edu.pdb";

/// Fails unless the image names its PDB, without a folder, and the PDB that was
/// built is that one.
pub(super) fn judge(subject: &Subject) -> anyhow::Result<String> {
    let pe = subject.pe()?;
    let named = pe.pdb_info()?.context("the image names no PDB")?;
    let name = String::from_utf8_lossy(named.path());
    ensure!(
        name == PDB_NAME,
        "the image names its PDB {name}, not {PDB_NAME}"
    );

    let mut pdb = PDB::open(Cursor::new(&subject.symbols)).context("edu.pdb is no PDB")?;
    let guid = pdb.pdb_information().context("edu.pdb has no header")?.guid;
    ensure!(
        named.guid() == guid.to_bytes_le(),
        "edu.pdb has the GUID {guid}, which is not the image's: one of them is from another build"
    );
    let age = pdb
        .debug_information()
        .context("edu.pdb has no debug information")?
        .age();
    ensure!(
        age == Some(named.age()),
        "edu.pdb has the age {age:?}, the image {}",
        named.age()
    );
    Ok(format!("{PDB_NAME} {guid}"))
}

/// Where the source of the driver's crates lies, as far as the PDB says.
const SOURCE: &str = "/dirql/driver/";

/// Fails unless the PDB has the source line of the image's entry point.
pub(super) fn judge_source_lines(subject: &Subject) -> anyhow::Result<String> {
    let entry = subject.header()?.address_of_entry_point.get(LE);
    let pdb = PDB::open(Cursor::new(&subject.symbols)).context("edu.pdb is no PDB")?;
    let symbols = ContextPdbData::try_from_pdb(pdb).context("edu.pdb has no debug information")?;
    let context = symbols.make_context()?;
    let frames = context
        .find_frames(entry)?
        .with_context(|| format!("edu.pdb has no function at the entry point {entry:#x}"))?;
    let frame = frames
        .frames
        .last()
        .context("edu.pdb has a function without a frame")?;
    let (function, file) = (frame.function.as_deref(), frame.file.as_deref());
    ensure!(
        file.is_some_and(|file| file.starts_with(SOURCE)),
        "edu.pdb says that the entry point is in {file:?}, and not below {SOURCE}"
    );
    Ok(format!(
        "the entry point is {} in {}:{}",
        function.unwrap_or_default(),
        file.unwrap_or_default(),
        frame.line.unwrap_or_default()
    ))
}

/// Fails unless the time stamp is a hash, so that the same source gives the same
/// image.
pub(super) fn judge_time_stamp(subject: &Subject) -> anyhow::Result<String> {
    let pe = subject.pe()?;
    let directory = pe
        .data_directory(IMAGE_DIRECTORY_ENTRY_DEBUG)
        .context("the image has no debug directory")?
        .data(pe.data(), &pe.section_table())?;
    let entries: &[ImageDebugDirectory] = object::slice_from_all_bytes(directory)
        .ok()
        .context("the image's debug directory has an odd size")?;
    ensure!(
        entries
            .iter()
            .any(|entry| entry.typ.get(LE) == IMAGE_DEBUG_TYPE_REPRO),
        "the image has the time of its build in it (/Brepro is missing)"
    );
    Ok("a hash".to_owned())
}
