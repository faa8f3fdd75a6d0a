//! That each check fails when it should: a copy of the image is made wrong in
//! one way, and just the check for that has to notice.

use anyhow::{Context as _, ensure};
use object::pe::{
    IMAGE_DIRECTORY_ENTRY_DEBUG, IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE,
    IMAGE_DLLCHARACTERISTICS_HIGH_ENTROPY_VA, IMAGE_DLLCHARACTERISTICS_NX_COMPAT,
    IMAGE_FILE_RELOCS_STRIPPED, IMAGE_SCN_MEM_EXECUTE, IMAGE_SCN_MEM_WRITE,
};

use super::{LARGEST, Subject, Verdict, failing};
use crate::pe_checksum;

/// One way to make an image wrong.
struct Corruption {
    /// What is done, to follow "an image with".
    what: &'static str,
    /// The check that has to fail, and no other.
    noticed_by: &'static str,
    apply: fn(&mut Subject) -> anyhow::Result<()>,
}

// Offsets from the PE signature, from Microsoft's "PE Format".
const MACHINE: usize = 4;
const OPTIONAL_HEADER_SIZE: usize = 20;
const CHARACTERISTICS: usize = 22;
const OPTIONAL_HEADER: usize = 24;
const SECTION_ALIGNMENT: usize = OPTIONAL_HEADER + 32;
const SUBSYSTEM_VERSION: usize = OPTIONAL_HEADER + 48;
const SUBSYSTEM: usize = OPTIONAL_HEADER + 68;
const DLL_CHARACTERISTICS: usize = OPTIONAL_HEADER + 70;
const DIRECTORIES: usize = OPTIONAL_HEADER + 112;
const DIRECTORY_SIZE: usize = 8;
/// Of a section header, whose 36th byte starts its flags.
const SECTION_FLAGS: usize = 36;

const CORRUPTIONS: &[Corruption] = &[
    Corruption {
        what: "another machine",
        noticed_by: "machine",
        apply: |subject| subject.put(MACHINE, &0x01C4_u16.to_le_bytes()),
    },
    Corruption {
        what: "the subsystem of a console program",
        noticed_by: "subsystem",
        apply: |subject| subject.put(SUBSYSTEM, &[3]),
    },
    Corruption {
        what: "the subsystem version of Windows Vista",
        noticed_by: "subsystem",
        apply: |subject| subject.put(SUBSYSTEM_VERSION, &[6]),
    },
    Corruption {
        what: "data that may be executed",
        noticed_by: "no execution of data",
        apply: |subject| subject.clear(DLL_CHARACTERISTICS, IMAGE_DLLCHARACTERISTICS_NX_COMPAT.0),
    },
    Corruption {
        what: "a fixed base",
        noticed_by: "dynamic base",
        apply: |subject| {
            subject.clear(DLL_CHARACTERISTICS, IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE.0)
        },
    },
    Corruption {
        what: "a base below 4 GiB",
        noticed_by: "dynamic base",
        apply: |subject| {
            subject.clear(
                DLL_CHARACTERISTICS,
                IMAGE_DLLCHARACTERISTICS_HIGH_ENTROPY_VA.0,
            )
        },
    },
    Corruption {
        what: "its relocations stripped",
        noticed_by: "dynamic base",
        apply: |subject| {
            let flags = subject.get(CHARACTERISTICS)? | IMAGE_FILE_RELOCS_STRIPPED.0;
            subject.put(CHARACTERISTICS, &flags.to_le_bytes())
        },
    },
    Corruption {
        what: "code that can be written",
        noticed_by: "section protection",
        apply: |subject| {
            let last = subject.first_section_flags()?;
            subject.image[last] |= IMAGE_SCN_MEM_WRITE.0.to_le_bytes()[3];
            Ok(())
        },
    },
    Corruption {
        what: "sections that share pages",
        noticed_by: "section alignment",
        apply: |subject| subject.put(SECTION_ALIGNMENT, &512_u32.to_le_bytes()),
    },
    Corruption {
        what: "an entry point in data",
        noticed_by: "entry point",
        apply: |subject| {
            let last = subject.first_section_flags()?;
            subject.image[last] &= !IMAGE_SCN_MEM_EXECUTE.0.to_le_bytes()[3];
            Ok(())
        },
    },
    Corruption {
        what: "another checksum",
        noticed_by: "checksum",
        apply: |subject| {
            let checksum = pe_checksum::offset(&subject.image)?;
            subject.image[checksum] ^= 1;
            Ok(())
        },
    },
    Corruption {
        what: "an import that Windows 10 1809 lacks",
        noticed_by: "imports",
        apply: |subject| subject.rename(b"\0IofCompleteRequest\0", b"\0ExAllocatePool2xxx\0"),
    },
    Corruption {
        what: "an import from another image",
        noticed_by: "imports",
        apply: |subject| subject.rename(b"ntoskrnl.exe\0", b"win32kfu.sys\0"),
    },
    Corruption {
        what: "another build's GUID",
        noticed_by: "symbols",
        apply: |subject| {
            let signature = find(&subject.image, b"RSDS")?;
            subject.image[signature + 4] ^= 1;
            Ok(())
        },
    },
    Corruption {
        what: "a PDB in a folder",
        noticed_by: "symbols",
        apply: |subject| subject.rename(b"edu.pdb\0", b"a/b.pdb\0"),
    },
    Corruption {
        what: "symbols of another source",
        noticed_by: "source lines",
        apply: |subject| {
            let mut found = 0;
            while let Ok(at) = find(&subject.symbols, b"/dirql/driver/") {
                subject.symbols[at..at + 6].copy_from_slice(b"/other");
                found += 1;
            }
            ensure!(found > 0, "the PDB names no source of the driver");
            Ok(())
        },
    },
    Corruption {
        what: "a time stamp that is a time",
        noticed_by: "time stamp",
        apply: |subject| {
            // Leaves the first entry, which names the PDB.
            let size = directory(IMAGE_DIRECTORY_ENTRY_DEBUG) + 4;
            subject.put(size, &28_u32.to_le_bytes())
        },
    },
    Corruption {
        what: "a folder of this machine in it",
        noticed_by: "build folders",
        apply: |subject| {
            let folder = subject
                .folders
                .first()
                .context("there is a folder")?
                .clone();
            subject.image.extend(folder.as_bytes());
            Ok(())
        },
    },
    Corruption {
        what: "a byte too many",
        noticed_by: "size",
        apply: |subject| {
            subject.image.resize(LARGEST + 1, 0);
            Ok(())
        },
    },
];

impl Subject {
    /// Where the byte `offset` behind the PE signature is.
    fn at(&self, offset: usize) -> anyhow::Result<usize> {
        let signature = find(&self.image, b"PE\0\0")?;
        ensure!(
            signature + offset < self.image.len(),
            "the image ends in its headers"
        );
        Ok(signature + offset)
    }

    fn put(&mut self, offset: usize, bytes: &[u8]) -> anyhow::Result<()> {
        let at = self.at(offset)?;
        self.image[at..at + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn get(&self, offset: usize) -> anyhow::Result<u16> {
        let at = self.at(offset)?;
        Ok(u16::from_le_bytes([self.image[at], self.image[at + 1]]))
    }

    /// Where the last of the four bytes of the first section's flags is, which
    /// is the code's: it has what may be done with the section.
    fn first_section_flags(&self) -> anyhow::Result<usize> {
        let size = self.get(OPTIONAL_HEADER_SIZE)?;
        self.at(OPTIONAL_HEADER + usize::from(size) + SECTION_FLAGS + 3)
    }

    fn clear(&mut self, offset: usize, bits: u16) -> anyhow::Result<()> {
        let value = self.get(offset)? & !bits;
        self.put(offset, &value.to_le_bytes())
    }

    /// Puts `new` in the place of `old`.
    fn rename(&mut self, old: &[u8], new: &[u8]) -> anyhow::Result<()> {
        ensure!(old.len() == new.len(), "names of different length");
        let at = find(&self.image, old)?;
        self.image[at..at + new.len()].copy_from_slice(new);
        Ok(())
    }
}

const fn directory(index: usize) -> usize {
    DIRECTORIES + index * DIRECTORY_SIZE
}

fn find(image: &[u8], text: &[u8]) -> anyhow::Result<usize> {
    image
        .windows(text.len())
        .position(|window| window == text)
        .with_context(|| format!("the image has no {:?}", String::from_utf8_lossy(text)))
}

/// One verdict for each corruption.
pub(super) fn verdicts(subject: &Subject) -> Vec<Verdict> {
    CORRUPTIONS
        .iter()
        .map(|corruption| Verdict {
            check: format!("notices {}", corruption.what),
            result: noticed(subject, corruption),
        })
        .collect()
}

fn noticed(subject: &Subject, corruption: &Corruption) -> anyhow::Result<String> {
    let mut subject = subject.clone();
    (corruption.apply)(&mut subject)?;
    if corruption.noticed_by != "checksum" {
        pe_checksum::store(&mut subject.image)?;
    }
    let failing = failing(&subject);
    ensure!(
        failing == [corruption.noticed_by],
        "an image with {} fails {failing:?}, but should fail {:?} alone",
        corruption.what,
        corruption.noticed_by
    );
    Ok(format!("{} fails", corruption.noticed_by))
}

#[cfg(test)]
mod tests {
    use super::{super::CHECKS, CORRUPTIONS};

    #[test]
    fn every_check_is_shown_to_fail() {
        for check in CHECKS {
            assert!(
                CORRUPTIONS
                    .iter()
                    .any(|corruption| corruption.noticed_by == check.name),
                "nothing shows that the check {:?} can fail",
                check.name
            );
        }
    }
}
