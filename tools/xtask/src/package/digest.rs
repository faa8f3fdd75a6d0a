//! What a catalogue knows a file by: the hash of an image as Authenticode takes it,
//! without the checksum and the signature, and that of any other file as it is.

use std::ops::Range;

use anyhow::Context as _;
use authenticode::{PeOffsetError, PeOffsets, PeTrait, authenticode_digest};
use object::{LittleEndian as LE, pe::IMAGE_DIRECTORY_ENTRY_SECURITY, read::pe::PeFile64};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use crate::pe_checksum;

/// The two hashes by which Windows looks a file up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Digests {
    pub(super) sha1: Vec<u8>,
    pub(super) sha256: Vec<u8>,
}

impl Digests {
    /// Of any file but an image.
    pub(super) fn of_flat_file(contents: &[u8]) -> Self {
        Self {
            sha1: Sha1::digest(contents).to_vec(),
            sha256: Sha256::digest(contents).to_vec(),
        }
    }

    /// Of an image, signed or not.
    pub(super) fn of_image(image: &[u8]) -> anyhow::Result<Self> {
        let image = Image::parse(image)?;
        let (mut sha1, mut sha256) = (Sha1::new(), Sha256::new());
        authenticode_digest(&image, &mut sha1)?;
        authenticode_digest(&image, &mut sha256)?;
        Ok(Self {
            sha1: sha1.finalize().to_vec(),
            sha256: sha256.finalize().to_vec(),
        })
    }
}

/// A signed image without its signature: the certificate table cut off, its entry in
/// the directory empty, and the checksum made right again.
pub(super) fn without_signature(image: &[u8]) -> anyhow::Result<Vec<u8>> {
    let parsed = Image::parse(image)?;
    let (entry, table) = (parsed.security_entry, parsed.certificates.clone());
    let table = table.context("the image has no signature")?;
    let mut bare = image
        .get(..table.start)
        .context("the signature is not in the image")?
        .to_vec();
    bare.get_mut(entry..entry + SECURITY_ENTRY_SIZE)
        .context("the image ends in its headers")?
        .fill(0);
    pe_checksum::store(&mut bare)?;
    Ok(bare)
}

/// From the PE signature to the directories: the signature (4), the file header (20)
/// and the fixed part of the optional header of PE32+ (112).
const DIRECTORIES: usize = 4 + 20 + 112;
const SECURITY_ENTRY_SIZE: usize = 8;
const CHECKSUM_SIZE: usize = 4;

/// What `authenticode` has to know of an image.
struct Image<'a> {
    data: &'a [u8],
    sections: Vec<Range<usize>>,
    certificates: Option<Range<usize>>,
    security_entry: usize,
    offsets: PeOffsets,
}

impl<'a> Image<'a> {
    fn parse(data: &'a [u8]) -> anyhow::Result<Self> {
        let pe = PeFile64::parse(data).context("this is no 64-bit PE image")?;
        let headers = usize::try_from(pe.dos_header().nt_headers_offset())?;
        let security_entry =
            headers + DIRECTORIES + IMAGE_DIRECTORY_ENTRY_SECURITY * SECURITY_ENTRY_SIZE;
        let check_sum = pe_checksum::offset(data)?;
        let sections = pe
            .section_table()
            .iter()
            .map(|section| {
                let start = section.pointer_to_raw_data.get(LE);
                range(start, section.size_of_raw_data.get(LE))
            })
            .collect::<anyhow::Result<_>>()?;
        let certificates = pe
            .data_directory(IMAGE_DIRECTORY_ENTRY_SECURITY)
            .map(|entry| range(entry.virtual_address.get(LE), entry.size.get(LE)))
            .transpose()?
            .filter(|range| !range.is_empty());
        let after_header = pe.nt_headers().optional_header.size_of_headers.get(LE);
        Ok(Self {
            data,
            sections,
            certificates,
            security_entry,
            offsets: PeOffsets {
                check_sum,
                after_check_sum: check_sum + CHECKSUM_SIZE,
                security_data_dir: security_entry,
                after_security_data_dir: security_entry + SECURITY_ENTRY_SIZE,
                after_header: usize::try_from(after_header)?,
            },
        })
    }
}

/// In the directory of certificates an address is an offset in the file.
fn range(start: u32, size: u32) -> anyhow::Result<Range<usize>> {
    let start = usize::try_from(start)?;
    let end = start
        .checked_add(usize::try_from(size)?)
        .context("a part of the image ends behind all addresses")?;
    Ok(start..end)
}

impl PeTrait for Image<'_> {
    fn data(&self) -> &[u8] {
        self.data
    }

    fn num_sections(&self) -> usize {
        self.sections.len()
    }

    fn section_data_range(&self, index: usize) -> Result<Range<usize>, PeOffsetError> {
        let section = index
            .checked_sub(1)
            .and_then(|index| self.sections.get(index));
        section.cloned().ok_or(PeOffsetError)
    }

    fn certificate_table_range(&self) -> Result<Option<Range<usize>>, PeOffsetError> {
        Ok(self.certificates.clone())
    }

    fn offsets(&self) -> Result<PeOffsets, PeOffsetError> {
        Ok(self.offsets.clone())
    }
}
