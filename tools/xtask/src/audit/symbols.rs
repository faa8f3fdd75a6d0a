//! What the PDB says: routines by name, and of each instruction the source that it comes
//! from, through everything that was inlined.

use std::{collections::BTreeMap, io::Cursor};

use anyhow::{Context as _, ensure};
use pdb_addr2line::{
    ContextPdbData, FunctionFrames, TypeFormatterFlags,
    pdb::{FallibleIterator as _, PDB, SymbolData},
};

use super::image::Identity;

/// A PDB, read; [`Symbols`] borrows from it.
pub(super) struct Pdb<'a>(ContextPdbData<'a, 'a, Cursor<&'a [u8]>>);

impl<'a> Pdb<'a> {
    /// Reads the PDB of the image with this identity.
    ///
    /// # Errors
    /// Says what is wrong with it, and what to do.
    pub(super) fn parse(bytes: &'a [u8], image: Identity) -> anyhow::Result<Self> {
        let mut pdb = PDB::open(Cursor::new(bytes))
            .context("this is no PDB; name the .pdb file that the linker wrote with the image")?;
        let guid = pdb
            .pdb_information()
            .context("the PDB has no header, so it was cut off: build it again")?
            .guid;
        ensure!(
            guid.to_bytes_le() == image.guid,
            "the PDB is of another build than the image, for their GUIDs differ: build both \
             again, or name the PDB that was linked with it (--pdb)"
        );
        let age = pdb
            .debug_information()
            .context("the PDB has no debug information, so it was stripped or cut off")?
            .age();
        ensure!(
            age == Some(image.age),
            "the PDB has the age {age:?}, the image {}: build both again",
            image.age
        );
        ContextPdbData::try_from_pdb(pdb)
            .map(Self)
            .context("the PDB's debug information cannot be read: build it again")
    }
}

/// A place in the source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) function: String,
    pub(super) file: String,
    pub(super) line: u32,
}

/// Routines and source lines.
pub(super) struct Symbols<'a> {
    frames: Box<Look<'a>>,
    routines: BTreeMap<u64, Routine>,
}

/// Looks up the functions that are inlined into each other at an address.
type Look<'a> = dyn Fn(u32) -> Result<Option<Vec<Place>>, pdb_addr2line::Error> + 'a;

/// A routine, as the PDB has it.
#[derive(Clone, Debug, Default)]
pub(super) struct Routine {
    /// Several when identical routines were folded into one.
    pub(super) names: Vec<String>,
    /// Behind its last instruction, if the PDB says so.
    pub(super) end: Option<u64>,
}

impl<'a> Symbols<'a> {
    /// # Errors
    /// If the PDB has no routines.
    pub(super) fn of(pdb: &'a Pdb<'_>) -> anyhow::Result<Self> {
        let flags = TypeFormatterFlags::default() | TypeFormatterFlags::NO_ARGUMENTS;
        let context = pdb
            .0
            .make_context_with_formatter_flags(flags)
            .context("the PDB's symbols cannot be read: build it again")?;
        let mut routines: BTreeMap<u64, Routine> = BTreeMap::new();
        for function in context.functions() {
            let routine = routines.entry(u64::from(function.start_rva)).or_default();
            routine.names.extend(function.name);
            routine.end = routine.end.max(function.end_rva.map(u64::from));
        }
        ensure!(
            routines.values().any(|routine| routine.end.is_some()),
            "the PDB has no private symbols, so it was stripped: name the full PDB that the \
             linker wrote"
        );
        let frames = move |address| {
            let found = context.find_frames(address)?;
            Ok(found.map(|found| places(&found)))
        };
        Ok(Self {
            frames: Box::new(frames),
            routines,
        })
    }

    /// Whether some routine's name begins so.
    pub(super) fn has(&self, begin: &str) -> bool {
        self.routines
            .values()
            .flat_map(|routine| &routine.names)
            .any(|name| name.starts_with(begin))
    }

    pub(super) const fn routines(&self) -> &BTreeMap<u64, Routine> {
        &self.routines
    }

    /// The names of the routine that begins at `address`.
    pub(super) fn names(&self, address: u64) -> &[String] {
        self.routines
            .get(&address)
            .map_or(&[], |routine| routine.names.as_slice())
    }

    /// The source of an instruction, the innermost function first.
    ///
    /// # Errors
    /// If the PDB is damaged.
    pub(super) fn places(&self, address: u64) -> anyhow::Result<Vec<Place>> {
        (self.frames)(u32::try_from(address)?)
            .map(Option::unwrap_or_default)
            .context("the PDB's source lines cannot be read: build it again")
    }
}

fn places(found: &FunctionFrames<'_>) -> Vec<Place> {
    found
        .frames
        .iter()
        .map(|frame| Place {
            function: frame.function.clone().unwrap_or_default(),
            file: frame
                .file
                .as_deref()
                .map(|file| repository_path(file).to_owned())
                .unwrap_or_default(),
            line: frame.line.unwrap_or_default(),
        })
        .collect()
}

/// What compiled the program, as the first module says that has something of Rust's.
///
/// # Errors
/// If the PDB is damaged.
pub(super) fn compiler(bytes: &[u8]) -> anyhow::Result<String> {
    let read = || {
        let mut pdb = PDB::open(Cursor::new(bytes))?;
        let information = pdb.debug_information()?;
        let mut modules = information.modules()?;
        while let Some(module) = modules.next()? {
            let Some(module) = pdb.module_info(&module)? else {
                continue;
            };
            let mut symbols = module.symbols()?;
            while let Some(symbol) = symbols.next()? {
                if let Ok(SymbolData::CompileFlags(flags)) = symbol.parse() {
                    let version = flags.version_string.to_string();
                    // The version, its hash and its date; what a distributor adds is left out.
                    if let Some((_, rustc)) = version.split_once("(rustc version ") {
                        let end = rustc.find(')').map_or(rustc.len(), |end| end + 1);
                        return Ok(format!("rustc {}", &rustc[..end]));
                    }
                }
            }
        }
        Ok("an unknown compiler".to_owned())
    };
    read()
        .map_err(|error: pdb_addr2line::pdb::Error| error)
        .context("the PDB's modules cannot be read: build it again")
}

/// Where the PDB says that this repository lies, see `rustc_wrapper`.
const ROOT: &str = "/dirql/";

/// The path below the repository, of what lies in it.
fn repository_path(path: &str) -> &str {
    path.strip_prefix(ROOT).unwrap_or(path)
}
