//! Reading a PE file and judging it; nothing is mapped yet.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use object::LittleEndian as LE;
use object::pe::{
    IMAGE_FILE_MACHINE_AMD64, IMAGE_FILE_RELOCS_STRIPPED, IMAGE_NT_OPTIONAL_HDR64_MAGIC,
    IMAGE_SCN_MEM_EXECUTE, IMAGE_SCN_MEM_WRITE, IMAGE_SUBSYSTEM_NATIVE, ImageDosHeader,
    ImageNtHeaders32, ImageNtHeaders64, ImageSectionHeader,
};
use object::read::ReadRef;
use object::read::pe::{
    DataDirectories, ImageNtHeaders, ImageOptionalHeader, SectionTable, optional_header_magic,
};

use super::error::LoadError;
use crate::machine::memory::{PAGE, PAGEABLE_SECTION, Protection};
use crate::machine::word::low_32;

/// Largest image that is loaded: far above any driver.
const LARGEST: u32 = 64 << 20;

/// Offset of the checksum field in the optional header, of both kinds.
const CHECKSUM_OFFSET: usize = 64;

/// Bytes of signature and file header, in front of the optional header.
const BEFORE_OPTIONAL_HEADER: usize = 24;

/// A section that passed.
#[derive(Clone, Debug)]
pub(super) struct Section {
    /// Offset in the image.
    pub(super) offset: usize,
    /// Bytes in the image, whole pages.
    pub(super) length: usize,
    /// Where in the file its contents are.
    pub(super) file: core::ops::Range<usize>,
    /// What may be done there.
    pub(super) protection: Protection,
}

/// A file that passed.
#[derive(Debug)]
pub(super) struct Layout<'data> {
    /// The whole file.
    pub(super) data: &'data [u8],
    /// Bytes of the image, whole pages.
    pub(super) size: usize,
    /// Bytes of the headers, which lie at its beginning.
    pub(super) headers: usize,
    /// Address for which it was linked.
    pub(super) preferred_base: u64,
    /// Offset of the entry point.
    pub(super) entry: usize,
    /// In the order of their offsets.
    pub(super) sections: Vec<Section>,
    /// The file's own tables, for imports and relocations.
    pub(super) directories: DataDirectories<'data>,
    /// As above.
    pub(super) table: SectionTable<'data>,
}

/// Reads and judges a file.
pub(super) fn read(data: &[u8]) -> Result<Layout<'_>, LoadError> {
    let not_an_image = |error: object::read::Error| LoadError::NotAnImage(format!("{error}"));
    let dos = ImageDosHeader::parse(data).map_err(not_an_image)?;
    let mut offset = u64::from(dos.nt_headers_offset());
    let optional_header = dos.nt_headers_offset() as usize + BEFORE_OPTIONAL_HEADER;
    check_machine(data, offset)?;
    let (nt, directories) = ImageNtHeaders64::parse(data, &mut offset).map_err(not_an_image)?;
    let optional = nt.optional_header();
    let subsystem = optional.subsystem();
    if subsystem != IMAGE_SUBSYSTEM_NATIVE {
        return Err(LoadError::WrongSubsystem(subsystem.0));
    }
    let table = nt.sections(data, offset).map_err(not_an_image)?;
    check_complete(data, &table, optional.size_of_headers())?;
    check_checksum(data, optional_header, optional.check_sum())?;
    if nt.file_header().characteristics.get(LE).0 & IMAGE_FILE_RELOCS_STRIPPED.0 != 0 {
        return Err(LoadError::NotRelocatable);
    }
    let size = optional.size_of_image();
    if size == 0 || size > LARGEST || !(size as usize).is_multiple_of(PAGE) {
        return Err(LoadError::BadLayout(format!(
            "the image would have {size} bytes"
        )));
    }
    let headers = optional.size_of_headers() as usize;
    let sections = read_sections(&table, headers, size as usize)?;
    let entry = optional.address_of_entry_point();
    let is_code = sections.iter().any(|section| {
        section.protection.is_executable()
            && (section.offset..section.offset + section.length).contains(&(entry as usize))
    });
    if !is_code {
        return Err(LoadError::BadEntryPoint(entry));
    }
    Ok(Layout {
        data,
        size: size as usize,
        headers,
        preferred_base: optional.image_base(),
        entry: entry as usize,
        sections,
        directories,
        table,
    })
}

/// The headers' kind of processor, before anything that depends on it is read.
fn check_machine(data: &[u8], offset: u64) -> Result<(), LoadError> {
    let nt = data
        .read_at::<ImageNtHeaders32>(offset)
        .map_err(|()| LoadError::NotAnImage("it ends within its headers".to_owned()))?;
    let magic =
        optional_header_magic(data).map_err(|error| LoadError::NotAnImage(format!("{error}")))?;
    let machine = nt.file_header().machine.get(LE);
    if machine != IMAGE_FILE_MACHINE_AMD64 || magic != IMAGE_NT_OPTIONAL_HDR64_MAGIC {
        return Err(LoadError::ForeignMachine(machine.0));
    }
    Ok(())
}

/// Whether the file has all that its headers describe.
fn check_complete(data: &[u8], table: &SectionTable<'_>, headers: u32) -> Result<(), LoadError> {
    let ends = table.iter().map(|section| {
        u64::from(section.pointer_to_raw_data.get(LE)) + u64::from(section.size_of_raw_data.get(LE))
    });
    let needed = ends.fold(u64::from(headers), u64::max);
    let found = data.len() as u64;
    if found < needed {
        return Err(LoadError::Truncated { needed, found });
    }
    Ok(())
}

/// Whether the file is what was linked. The checksum is the sum of the file's
/// 16-bit words with end-around carry, its own field taken as zero, plus the length
/// (PE format specification, "CheckSum"; `MapFileAndCheckSum`).
fn check_checksum(data: &[u8], optional_header: usize, stated: u32) -> Result<(), LoadError> {
    let field = optional_header + CHECKSUM_OFFSET;
    let mut sum = 0_u32;
    for (index, pair) in data.chunks(2).enumerate() {
        let at = index * 2;
        if at == field || at == field + 2 {
            continue;
        }
        let word = u32::from(pair[0]) | pair.get(1).map_or(0, |high| u32::from(*high) << 8);
        sum += word;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let computed = sum.wrapping_add(low_32(data.len() as u64));
    if stated != computed {
        return Err(LoadError::Checksum { stated, computed });
    }
    Ok(())
}

/// The sections, judged one by one and against each other.
fn read_sections(
    table: &SectionTable<'_>,
    headers: usize,
    size: usize,
) -> Result<Vec<Section>, LoadError> {
    let mut end = headers.next_multiple_of(PAGE);
    let mut sections = Vec::new();
    for header in table.iter() {
        let section = read_section(header)?;
        let name = name(header);
        if section.offset < end {
            return Err(LoadError::BadLayout(format!(
                "section {name} overlaps what lies before it"
            )));
        }
        end = section.offset + section.length;
        if end > size {
            return Err(LoadError::BadLayout(format!(
                "section {name} leaves the image"
            )));
        }
        sections.push(section);
    }
    Ok(sections)
}

/// One section.
fn read_section(header: &ImageSectionHeader) -> Result<Section, LoadError> {
    let flags = header.characteristics.get(LE).0;
    let protection = match (
        flags & IMAGE_SCN_MEM_WRITE.0 != 0,
        flags & IMAGE_SCN_MEM_EXECUTE.0 != 0,
    ) {
        (true, true) => return Err(LoadError::WritableCode(name(header))),
        (true, false) => Protection::ReadWrite,
        (false, true) => Protection::ReadExecute,
        (false, false) => Protection::ReadOnly,
    };
    let protection = if header.raw_name().starts_with(PAGEABLE_SECTION) {
        protection.pageable()
    } else {
        protection
    };
    let offset = header.virtual_address.get(LE) as usize;
    if !offset.is_multiple_of(PAGE) {
        return Err(LoadError::BadLayout(format!(
            "section {} does not begin with a page",
            name(header)
        )));
    }
    let raw = header.size_of_raw_data.get(LE) as usize;
    let in_image = match header.virtual_size.get(LE) as usize {
        0 => raw,
        length => length,
    };
    let start = header.pointer_to_raw_data.get(LE) as usize;
    Ok(Section {
        offset,
        length: in_image.next_multiple_of(PAGE),
        file: start..start + raw.min(in_image),
        protection,
    })
}

/// A section's name as text.
fn name(header: &ImageSectionHeader) -> String {
    String::from_utf8_lossy(header.raw_name()).into_owned()
}
