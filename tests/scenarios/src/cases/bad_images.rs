//! Driver images that must not run: the rig says what is wrong with each.

use std::{fs, path::Path};

use anyhow::{Context as _, ensure};

use super::{List, support::refused};
use crate::{artifacts::Artifacts, machine::Machine};

/// Offset of the PE header's offset in the DOS header.
const PE_OFFSET: usize = 0x3c;
/// Offsets from the PE signature on.
const MACHINE: usize = 4;
const SECTIONS: usize = 6;
const OPTIONAL_HEADER_SIZE: usize = 20;
const OPTIONAL_HEADER: usize = 24;
/// In the optional header.
const SUBSYSTEM: usize = 68;
/// In a section header.
const CHARACTERISTICS: usize = 36;
const SECTION_HEADER: usize = 40;

const I386: u16 = 0x14c;
const CONSOLE: u16 = 3;
const EXECUTE: u32 = 0x2000_0000;
const WRITE: u32 = 0x8000_0000;

/// An import of the driver, and a name of the same length that no kernel has.
const IMPORT: &[u8] = b"KeSynchronizeExecution\0";
const NO_IMPORT: &[u8] = b"KeSynchronizeExecutixn\0";

pub(super) fn add(list: &mut List) {
    list.add("bad-image/empty", |artifacts| {
        altered(artifacts, &["edu.sys"], |image| {
            image.clear();
            Ok(())
        })
    });
    list.add("bad-image/no-image", |artifacts| {
        altered(artifacts, &["edu.sys", "not a PE"], |image| {
            *image = b"This is a text file, and no driver at all.\n".repeat(100);
            Ok(())
        })
    });
    list.add("bad-image/cut-in-the-headers", |artifacts| {
        altered(artifacts, &["truncated"], |image| {
            image.truncate(pe_header(image)? + OPTIONAL_HEADER + 8);
            Ok(())
        })
    });
    list.add("bad-image/cut-in-the-middle", |artifacts| {
        altered(artifacts, &["truncated"], |image| {
            image.truncate(image.len() / 2);
            Ok(())
        })
    });
    list.add("bad-image/another-machine", |artifacts| {
        altered(artifacts, &["machine"], |image| {
            let at = pe_header(image)? + MACHINE;
            put(image, at, &I386.to_le_bytes())
        })
    });
    list.add("bad-image/a-console-program", |artifacts| {
        altered(artifacts, &["subsystem"], |image| {
            let at = pe_header(image)? + OPTIONAL_HEADER + SUBSYSTEM;
            put(image, at, &CONSOLE.to_le_bytes())
        })
    });
    list.add("bad-image/writable-code", |artifacts| {
        altered(artifacts, &["writable", "executable"], |image| {
            make_code_writable(image)
        })
    });
    list.add("bad-image/missing-import", |artifacts| {
        altered(artifacts, &["KeSynchronizeExecutixn"], |image| {
            let at = find(image, IMPORT).context("the driver does not import what it should")?;
            put(image, at, NO_IMPORT)
        })
    });
    list.add("bad-image/eductl.exe", |artifacts| {
        let program = artifacts.eductl_exe();
        ensure!(program.is_file(), "{} is not there", program.display());
        refused(
            &Machine::new(artifacts).with_driver(&program),
            &["subsystem"],
        )
    });
}

/// Boots the rig with an altered copy of the driver, which it must refuse with a
/// sentence that holds `words`.
fn altered(
    artifacts: &Artifacts,
    words: &[&str],
    alter: impl FnOnce(&mut Vec<u8>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut image = fs::read(artifacts.driver()).context("cannot read the driver")?;
    alter(&mut image)?;
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let copy: &Path = &folder.path().join("edu.sys");
    fs::write(copy, &image).context("cannot write the altered driver")?;
    refused(&Machine::new(artifacts).with_driver(copy), words)
}

fn make_code_writable(image: &mut [u8]) -> anyhow::Result<()> {
    let header = pe_header(image)?;
    let count = usize::from(u16::from_le_bytes(take(image, header + SECTIONS)?));
    let optional = usize::from(u16::from_le_bytes(take(
        image,
        header + OPTIONAL_HEADER_SIZE,
    )?));
    let first = header + OPTIONAL_HEADER + optional;
    for index in 0..count {
        let at = first + index * SECTION_HEADER + CHARACTERISTICS;
        let characteristics = u32::from_le_bytes(take(image, at)?);
        if characteristics & EXECUTE != 0 {
            return put(image, at, &(characteristics | WRITE).to_le_bytes());
        }
    }
    anyhow::bail!("the driver has no code")
}

fn pe_header(image: &[u8]) -> anyhow::Result<usize> {
    let at = usize::try_from(u32::from_le_bytes(take(image, PE_OFFSET)?))?;
    ensure!(
        image.get(at..at + 4) == Some(b"PE\0\0"),
        "the driver that was built is no PE image"
    );
    Ok(at)
}

fn take<const N: usize>(image: &[u8], at: usize) -> anyhow::Result<[u8; N]> {
    let bytes = image.get(at..at + N).context("the driver is too short")?;
    Ok(bytes.try_into()?)
}

fn put(image: &mut [u8], at: usize, bytes: &[u8]) -> anyhow::Result<()> {
    image
        .get_mut(at..at + bytes.len())
        .context("the driver is too short")?
        .copy_from_slice(bytes);
    Ok(())
}

fn find(image: &[u8], needle: &[u8]) -> Option<usize> {
    image
        .windows(needle.len())
        .position(|window| window == needle)
}
