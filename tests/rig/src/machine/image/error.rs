//! Why an image cannot be loaded.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Why an image cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LoadError {
    /// No PE image at all; the reason is the parser's.
    NotAnImage(String),
    /// The file ends before what its headers describe.
    Truncated {
        /// Bytes that the headers describe.
        needed: u64,
        /// Bytes that there are.
        found: u64,
    },
    /// For another kind of processor.
    ForeignMachine(u16),
    /// Not a kernel image.
    WrongSubsystem(u16),
    /// The checksum in the header is not the file's.
    Checksum {
        /// What the header says; 0 when it says nothing.
        stated: u32,
        /// What the file has.
        computed: u32,
    },
    /// A section is both writable and executable.
    WritableCode(String),
    /// Sections that overlap, leave the image or are not aligned to pages.
    BadLayout(String),
    /// The image can only be loaded at one address.
    NotRelocatable,
    /// A relocation that x64 images do not have, or outside of the image.
    BadRelocation(String),
    /// The import table cannot be read.
    BadImports(String),
    /// Imports that the rig does not export, as `DLL!NAME`.
    MissingImports(Vec<String>),
    /// The entry point lies in no executable section.
    BadEntryPoint(u32),
    /// There is no memory to load it.
    NoMemory,
}

impl fmt::Display for LoadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnImage(why) => write!(formatter, "it is no PE image ({why})"),
            Self::Truncated { needed, found } => write!(
                formatter,
                "it is truncated: its headers describe {needed} bytes and it has {found}"
            ),
            Self::ForeignMachine(machine) => write!(
                formatter,
                "it is for another machine (type {machine:#06x}; x64 is 0x8664)"
            ),
            Self::WrongSubsystem(subsystem) => write!(
                formatter,
                "it is no kernel image (subsystem {subsystem}; a driver's is 1, native)"
            ),
            Self::Checksum {
                stated: 0,
                computed,
            } => write!(
                formatter,
                "its header has no checksum (it would be {computed:#x})"
            ),
            Self::Checksum { stated, computed } => write!(
                formatter,
                "it is damaged: its checksum is {computed:#x}, and its header says {stated:#x}"
            ),
            Self::WritableCode(section) => write!(
                formatter,
                "its section {section} is both writable and executable"
            ),
            Self::BadLayout(why) => write!(formatter, "its sections are laid out badly: {why}"),
            Self::NotRelocatable => formatter.write_str(
                "it has no relocations, so it could only be loaded at its preferred address",
            ),
            Self::BadRelocation(why) => write!(formatter, "it has a bad relocation: {why}"),
            Self::BadImports(why) => write!(formatter, "its imports cannot be read ({why})"),
            Self::MissingImports(names) => {
                formatter.write_str("it imports what the rig does not export: ")?;
                for (index, name) in names.iter().enumerate() {
                    let separator = if index == 0 { "" } else { ", " };
                    write!(formatter, "{separator}{name}")?;
                }
                Ok(())
            }
            Self::BadEntryPoint(offset) => write!(
                formatter,
                "its entry point at {offset:#x} lies in no executable section"
            ),
            Self::NoMemory => formatter.write_str("there is no memory to load it"),
        }
    }
}

impl core::error::Error for LoadError {}
