//! The rig's own image: which pages are code, which are constants, which are data.

use alloc::string::String;
use alloc::vec::Vec;

use object::LittleEndian as LE;
use object::pe::{IMAGE_SCN_MEM_EXECUTE, IMAGE_SCN_MEM_WRITE, ImageDosHeader, ImageNtHeaders64};
use object::read::pe::ImageNtHeaders;

use super::PAGEABLE_SECTION;
use super::paging::Protection;
use crate::machine::boot::BootInformation;
use crate::machine::stop;

/// A section of the rig.
#[derive(Clone, Debug)]
pub(super) struct Section {
    /// First address.
    pub(super) start: u64,
    /// Address behind the last.
    pub(super) end: u64,
    /// What may be done there.
    pub(super) protection: Protection,
}

/// The rig as the firmware loaded it.
#[derive(Clone, Debug)]
pub(super) struct RigImage {
    /// First address.
    pub(super) start: u64,
    /// Address behind the last.
    pub(super) end: u64,
    /// Its sections; what lies between them is headers, and is read-only.
    pub(super) sections: Vec<Section>,
}

impl RigImage {
    /// Reads the headers that lie at the image's base.
    pub(super) fn of(boot: &BootInformation) -> Self {
        // SAFETY: The firmware loaded the image there, headers and all, and
        // nothing writes the headers or moves the image; only the headers are read.
        let headers = unsafe { core::slice::from_raw_parts(boot.image_base, super::PAGE) };
        let start = boot.image_base.addr() as u64;
        match read_sections(headers, start) {
            Ok(sections) => Self {
                start,
                end: start + boot.image_size,
                sections,
            },
            Err(why) => stop::refuse(format_args!(
                "The rig cannot read the headers of its own image: {why}."
            )),
        }
    }

    /// What may be done on the page at `address`, if it is the image's.
    pub(super) fn protection(&self, address: u64) -> Option<Protection> {
        if !(self.start..self.end).contains(&address) {
            return None;
        }
        let section = self
            .sections
            .iter()
            .find(|section| (section.start..section.end).contains(&address));
        Some(section.map_or(Protection::ReadOnly, |section| section.protection))
    }
}

/// Sections by the headers.
fn read_sections(headers: &[u8], base: u64) -> Result<Vec<Section>, String> {
    let dos = ImageDosHeader::parse(headers).map_err(|error| alloc::format!("{error}"))?;
    let mut offset = u64::from(dos.nt_headers_offset());
    let (nt, _) =
        ImageNtHeaders64::parse(headers, &mut offset).map_err(|error| alloc::format!("{error}"))?;
    let table = nt
        .sections(headers, offset)
        .map_err(|error| alloc::format!("{error}"))?;
    table
        .iter()
        .map(|section| {
            let flags = section.characteristics.get(LE).0;
            let protection = match (
                flags & IMAGE_SCN_MEM_WRITE.0 != 0,
                flags & IMAGE_SCN_MEM_EXECUTE.0 != 0,
            ) {
                (true, true) => {
                    return Err(alloc::format!(
                        "section {} is both writable and executable",
                        String::from_utf8_lossy(section.raw_name())
                    ));
                }
                (true, false) => Protection::ReadWrite,
                (false, true) => Protection::ReadExecute,
                (false, false) => Protection::ReadOnly,
            };
            let protection = if section.raw_name().starts_with(PAGEABLE_SECTION) {
                protection.pageable()
            } else {
                protection
            };
            let start = base + u64::from(section.virtual_address.get(LE));
            let length = u64::from(section.virtual_size.get(LE));
            Ok(Section {
                start,
                end: (start + length).next_multiple_of(super::PAGE as u64),
                protection,
            })
        })
        .collect()
}
