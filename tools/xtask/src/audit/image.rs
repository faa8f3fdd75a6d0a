//! The image as the audit reads it: code, imports, unwind records, and the places in its
//! data that hold addresses. Addresses are relative to the image's base.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, bail, ensure};
use iced_x86::{Decoder, DecoderOptions, Instruction};
use object::{
    LittleEndian as LE,
    pe::{
        IMAGE_DIRECTORY_ENTRY_EXCEPTION, IMAGE_FILE_MACHINE_AMD64, IMAGE_REL_BASED_DIR64,
        IMAGE_SCN_MEM_DISCARDABLE, IMAGE_SCN_MEM_EXECUTE, IMAGE_SCN_MEM_WRITE,
        IMAGE_SUBSYSTEM_NATIVE, ImageNtHeaders64,
    },
    read::pe::{Import, PeFile64},
};

use super::unwind;

/// The GUID and the age by which an image and its PDB know each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) guid: [u8; 16],
    pub(super) age: u32,
}

/// A 64-bit kernel image.
#[derive(Debug)]
pub(super) struct Image {
    sections: Vec<Section>,
    entry: u64,
    /// Imports, by the address of their slot.
    imports: BTreeMap<u64, String>,
    /// What the loader will find an absolute address in, and that address.
    pointers: BTreeMap<u64, u64>,
    /// Bytes of stack that a routine takes, by its first address; and where it ends.
    frames: BTreeMap<u64, Frame>,
    identity: Identity,
}

/// What `.pdata` says about a routine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) end: u64,
    pub(super) stack: u64,
}

#[derive(Debug)]
struct Section {
    start: u64,
    bytes: Vec<u8>,
    is_code: bool,
    /// What is in it may be something else by the time it is read.
    is_writable: bool,
    /// It is there at every moment: neither paged out nor thrown away after loading.
    is_resident: bool,
}

impl Image {
    /// Reads an image.
    ///
    /// # Errors
    /// Says what is wrong with it, and what to do.
    pub(super) fn parse(bytes: &[u8]) -> anyhow::Result<Self> {
        let pe = PeFile64::parse(bytes)
            .context("this is no 64-bit PE image; name the .sys file that the linker wrote")?;
        let headers = pe.nt_headers();
        ensure!(
            headers.file_header.machine.get(LE) == IMAGE_FILE_MACHINE_AMD64,
            "this image is not for x64, and the audit reads no other machine's code"
        );
        ensure!(
            headers.optional_header.subsystem.get(LE) == IMAGE_SUBSYSTEM_NATIVE,
            "this is no driver: its subsystem is not native; name a .sys file"
        );
        let sections = pe
            .section_table()
            .iter()
            .map(|header| {
                let contents = header.pe_data(bytes).context(
                    "a section lies outside the file, so it was cut off: build it again",
                )?;
                let flags = header.characteristics.get(LE).0;
                // What the file does not have is zero.
                let size = usize::try_from(header.virtual_size.get(LE))?;
                ensure!(
                    size <= LARGEST_SECTION,
                    "a section says that it has {size} bytes"
                );
                let mut contents = contents.to_vec();
                contents.resize(size.max(contents.len()), 0);
                Ok(Section {
                    start: u64::from(header.virtual_address.get(LE)),
                    bytes: contents,
                    is_code: flags & IMAGE_SCN_MEM_EXECUTE.0 != 0,
                    is_writable: flags & IMAGE_SCN_MEM_WRITE.0 != 0,
                    // The memory manager pages what is named so, see "Making Drivers Pageable".
                    is_resident: flags & IMAGE_SCN_MEM_DISCARDABLE.0 == 0
                        && !header.raw_name().starts_with(b"PAGE"),
                })
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let mut image = Self {
            sections,
            entry: u64::from(headers.optional_header.address_of_entry_point.get(LE)),
            imports: imports(&pe).context("the import table cannot be read")?,
            pointers: BTreeMap::new(),
            frames: BTreeMap::new(),
            identity: identity(&pe)?,
        };
        image.pointers = image
            .relocated(&pe, headers.optional_header.image_base.get(LE))
            .context("the relocations cannot be read")?;
        image.frames = image
            .unwind_records(&pe)
            .context("the unwind records cannot be read")?;
        ensure!(
            image.is_code(image.entry),
            "the entry point {:#x} is in no code, so this is no driver",
            image.entry
        );
        Ok(image)
    }

    pub(super) const fn entry(&self) -> u64 {
        self.entry
    }

    pub(super) const fn identity(&self) -> Identity {
        self.identity
    }

    /// The name of the import whose address the loader writes to `slot`.
    pub(super) fn import(&self, slot: u64) -> Option<&str> {
        self.imports.get(&slot).map(String::as_str)
    }

    /// All imports.
    pub(super) fn imports(&self) -> impl Iterator<Item = &str> {
        self.imports.values().map(String::as_str)
    }

    /// Where the loader writes the address of an import.
    pub(super) fn slot(&self, import: &str) -> Option<u64> {
        let (&slot, _) = self.imports.iter().find(|(_, name)| *name == import)?;
        Some(slot)
    }

    /// The address that the image's data has in it at `place`, for good: none where it can be
    /// written over.
    pub(super) fn pointer(&self, place: u64) -> Option<u64> {
        let is_constant = !self.section(place)?.is_writable;
        self.pointers.get(&place).copied().filter(|_| is_constant)
    }

    /// Whether what is at `address` can be neither paged out nor gone.
    pub(super) fn is_resident(&self, address: u64) -> bool {
        self.section(address)
            .is_some_and(|section| section.is_resident)
    }

    /// Every address in the image's data, behind where it is.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (u64, u64)> {
        self.pointers
            .iter()
            .map(|(place, address)| (*place, *address))
    }

    /// Every address in the image's data.
    pub(super) fn pointers(&self) -> impl Iterator<Item = u64> {
        self.pointers.values().copied()
    }

    /// The unwind records, by the first address of what they are for.
    pub(super) const fn frames(&self) -> &BTreeMap<u64, Frame> {
        &self.frames
    }

    pub(super) fn is_code(&self, address: u64) -> bool {
        self.section(address).is_some_and(|section| section.is_code)
    }

    /// The instruction at `address`.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn instruction(&self, address: u64) -> anyhow::Result<Instruction> {
        let section = self
            .section(address)
            .filter(|section| section.is_code)
            .with_context(|| format!("{address:#x} is no code"))?;
        let offset = usize::try_from(address - section.start)?;
        let rest = section.bytes.get(offset..).unwrap_or_default();
        let instruction = Decoder::with_ip(64, rest, address, DecoderOptions::NONE).decode();
        ensure!(
            !instruction.is_invalid(),
            "there is no instruction at {address:#x}"
        );
        Ok(instruction)
    }

    /// Four bytes of data, as a jump table has them.
    pub(super) fn word(&self, address: u64) -> Option<i32> {
        self.bytes(address, 4)
            .and_then(|bytes| bytes.try_into().ok())
            .map(i32::from_le_bytes)
    }

    fn bytes(&self, address: u64, length: usize) -> Option<&[u8]> {
        let section = self.section(address)?;
        let offset = usize::try_from(address - section.start).ok()?;
        section.bytes.get(offset..offset.checked_add(length)?)
    }

    fn section(&self, address: u64) -> Option<&Section> {
        self.sections.iter().find(|section| {
            address
                .checked_sub(section.start)
                .and_then(|offset| usize::try_from(offset).ok())
                .is_some_and(|offset| offset < section.bytes.len())
        })
    }

    /// The absolute addresses in the image, by where they are.
    fn relocated(&self, pe: &PeFile64<'_>, base: u64) -> anyhow::Result<BTreeMap<u64, u64>> {
        let mut pointers = BTreeMap::new();
        let Some(mut blocks) = pe
            .data_directories()
            .relocation_blocks(pe.data(), &pe.section_table())?
        else {
            return Ok(pointers);
        };
        while let Some(block) = blocks.next()? {
            for relocation in block {
                if relocation.typ != IMAGE_REL_BASED_DIR64 {
                    continue;
                }
                let place = u64::from(relocation.virtual_address);
                let address = self
                    .bytes(place, 8)
                    .and_then(|bytes| bytes.try_into().ok())
                    .map(u64::from_le_bytes)
                    .and_then(|address| address.checked_sub(base))
                    .with_context(|| format!("there is no address at {place:#x}"))?;
                pointers.insert(place, address);
            }
        }
        Ok(pointers)
    }

    /// `.pdata`: of each routine where it begins and ends, and its frame.
    fn unwind_records(&self, pe: &PeFile64<'_>) -> anyhow::Result<BTreeMap<u64, Frame>> {
        let mut frames = BTreeMap::new();
        let Some(directory) = pe.data_directory(IMAGE_DIRECTORY_ENTRY_EXCEPTION) else {
            return Ok(frames);
        };
        let (start, size) = directory.address_range();
        let start = u64::from(start);
        for place in (start..start + u64::from(size)).step_by(RECORD) {
            let field = |index: u64| {
                self.word(place + 4 * index)
                    .map(|word| u64::from(word.cast_unsigned()))
                    .with_context(|| format!("the record at {place:#x} is cut off"))
            };
            let (begin, end, information) = (field(0)?, field(1)?, field(2)?);
            // 32 bits each, so the sum fits.
            let read = |offset: u64, length| self.bytes(information + offset, length);
            let stack = unwind::frame_size(read)
                .with_context(|| format!("of the routine at {begin:#x}"))?;
            frames.insert(begin, Frame { end, stack });
        }
        Ok(frames)
    }
}

/// Bytes of a record of `.pdata`.
const RECORD: usize = 12;
/// No driver's section is larger, and what a damaged header says is not to be believed.
const LARGEST_SECTION: usize = 64 << 20;

/// Every import's name, by the address of its slot.
fn imports(pe: &PeFile64<'_>) -> anyhow::Result<BTreeMap<u64, String>> {
    let mut imports = BTreeMap::new();
    let Some(table) = pe.import_table()? else {
        bail!("there is none: a driver without imports can do nothing");
    };
    let mut descriptors = table.descriptors()?;
    while let Some(descriptor) = descriptors.next()? {
        let mut thunks = table.thunks(descriptor.original_first_thunk.get(LE))?;
        let mut slot = u64::from(descriptor.first_thunk.get(LE));
        while let Some(thunk) = thunks.next::<ImageNtHeaders64>()? {
            let name = match table.import::<ImageNtHeaders64>(thunk)? {
                Import::Name(_, name) => String::from_utf8_lossy(name).into_owned(),
                Import::Ordinal(ordinal) => format!("ordinal {ordinal}"),
            };
            imports.insert(slot, name);
            slot += 8;
        }
    }
    let distinct: BTreeSet<_> = imports.values().collect();
    ensure!(
        distinct.len() == imports.len(),
        "something is imported twice"
    );
    Ok(imports)
}

/// The CodeView record.
fn identity(pe: &PeFile64<'_>) -> anyhow::Result<Identity> {
    use object::Object as _;
    let named = pe
        .pdb_info()
        .context("the debug directory cannot be read")?
        .context(
            "the image names no PDB, so it was stripped or linked without debug information: \
             link it with /DEBUG",
        )?;
    Ok(Identity {
        guid: named.guid(),
        age: named.age(),
    })
}
