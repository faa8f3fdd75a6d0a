//! Driver images that must not run: the rig says what is wrong with each.

use std::{fs, path::Path};

use anyhow::{Context as _, ensure};

use super::{
    List,
    support::{refused, to_the_end},
};
use crate::{artifacts::Artifacts, ended::Stop, machine::Machine};

/// Offset of the PE header's offset in the DOS header.
const PE_OFFSET: usize = 0x3c;
/// Offsets from the PE signature on.
const MACHINE: usize = 4;
const SECTIONS: usize = 6;
const OPTIONAL_HEADER_SIZE: usize = 20;
const OPTIONAL_HEADER: usize = 24;
/// In the optional header.
const ENTRY_POINT: usize = 16;
const CHECKSUM: usize = 64;
const SUBSYSTEM: usize = 68;
/// In a section header.
const NAME: usize = 0;
const ADDRESS: usize = 12;
const FILE_OFFSET: usize = 20;
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
    let mut bad = |name: &str, words: &'static [&'static str], alter: Alteration| {
        list.add(format!("bad-image/{name}"), move |artifacts| {
            altered(artifacts, words, alter)
        });
    };
    bad("empty", &["image"], |image| {
        image.clear();
        Ok(())
    });
    bad("no-image", &["no PE image"], |image| {
        *image = b"This is a text file, and no driver at all.\n".repeat(100);
        Ok(())
    });
    bad("cut-in-the-headers", &["PE image"], |image| {
        image.truncate(pe_header(image)? + OPTIONAL_HEADER + 8);
        Ok(())
    });
    bad("cut-in-the-middle", &["truncated"], |image| {
        image.truncate(image.len() / 2);
        Ok(())
    });
    bad("damaged", &["damaged", "checksum"], |image| {
        let at = image.len() / 2;
        image[at] ^= 1;
        Ok(())
    });
    bad("without-checksum", &["no checksum"], |image| {
        let at = pe_header(image)? + OPTIONAL_HEADER + CHECKSUM;
        put(image, at, &[0; 4])
    });
    bad("another-machine", &["another machine", "0x014c"], |image| {
        let at = pe_header(image)? + MACHINE;
        put(image, at, &I386.to_le_bytes())?;
        sign(image)
    });
    bad(
        "a-console-program",
        &["no kernel image", "subsystem 3"],
        |image| {
            let at = pe_header(image)? + OPTIONAL_HEADER + SUBSYSTEM;
            put(image, at, &CONSOLE.to_le_bytes())?;
            sign(image)
        },
    );
    bad(
        "writable-code",
        &["both writable and executable"],
        |image| {
            make_code_writable(image)?;
            sign(image)
        },
    );
    bad("missing-import", &["KeSynchronizeExecutixn"], |image| {
        let at = find(image, IMPORT).context("the driver does not import what it should")?;
        put(image, at, NO_IMPORT)?;
        sign(image)
    });
    list.add("bad-image/that-breaks-a-rule", breaks_a_rule);
    list.add("bad-image/that-writes-its-code", |artifacts| {
        breaks(artifacts, "IMG-01", write_own_code)
    });
    list.add("bad-image/that-may-be-paged-out", |artifacts| {
        breaks(artifacts, "IRQL-06", make_code_pageable)
    });
    list.add("bad-image/eductl.exe", |artifacts| {
        let program = artifacts.eductl_exe();
        ensure!(program.is_file(), "{} is not there", program.display());
        refused(
            &Machine::new(artifacts).with_driver(&program),
            &["no kernel image", "subsystem 3"],
        )
    });
}

type Alteration = fn(&mut Vec<u8>) -> anyhow::Result<()>;

/// Boots the rig with an altered copy of the driver, which it must refuse with a
/// sentence that holds `words`.
fn altered(artifacts: &Artifacts, words: &[&str], alter: Alteration) -> anyhow::Result<()> {
    let mut image = fs::read(artifacts.driver()).context("cannot read the driver")?;
    alter(&mut image)?;
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let copy: &Path = &folder.path().join("edu.sys");
    fs::write(copy, &image).context("cannot write the altered driver")?;
    refused(&Machine::new(artifacts).with_driver(copy), words)
}

/// A driver that calls one kernel routine for another breaks a rule as soon as it
/// does so, and the stack leads from the rig into the driver, with names and
/// lines of both.
fn breaks_a_rule(artifacts: &Artifacts) -> anyhow::Result<()> {
    // It raises IRQL when it is started.
    let stop = stop_of(artifacts, |image| {
        let [raise, lower] = [b"\0KfRaiseIrql\0", b"\0KeLowerIrql\0"];
        let [Some(at_raise), Some(at_lower)] = [find(image, raise), find(image, lower)] else {
            anyhow::bail!("the driver does not import what it should");
        };
        put(image, at_raise, lower)?;
        put(image, at_lower, raise)
    })?;
    ensure!(
        stop.code.starts_with("IRQL-"),
        "an IRQL rule was broken, but {stop}"
    );
    for words in [
        "rig::nt::",
        "edu.sys+",
        "dirql::",
        "driver/dirql/src/irql.rs:",
    ] {
        ensure!(
            stop.frames.iter().any(|frame| frame.contains(words)),
            "the stack does not show {words}: {stop}"
        );
    }
    Ok(())
}

/// Stores the checksum that the altered image has, so that it is refused for
/// what was altered: the 16-bit one's complement sum of the file without its
/// checksum field, plus its length.
fn sign(image: &mut [u8]) -> anyhow::Result<()> {
    let at = pe_header(image)? + OPTIONAL_HEADER + CHECKSUM;
    put(image, at, &[0; 4])?;
    let sum = image.chunks(2).fold(0_u32, |sum, pair| {
        let word = u32::from(pair[0]) | pair.get(1).map_or(0, |high| u32::from(*high) << 8);
        let sum = sum + word;
        (sum & 0xffff) + (sum >> 16)
    });
    let checksum = sum + u32::try_from(image.len())?;
    put(image, at, &checksum.to_le_bytes())
}

/// How a rig stopped that ran an altered copy of the driver.
fn stop_of(
    artifacts: &Artifacts,
    alter: fn(&mut [u8]) -> anyhow::Result<()>,
) -> anyhow::Result<Stop> {
    let mut image = fs::read(artifacts.driver()).context("cannot read the driver")?;
    alter(&mut image)?;
    sign(&mut image)?;
    let folder = tempfile::tempdir().context("cannot make a folder")?;
    let copy = folder.path().join("edu.sys");
    fs::write(&copy, &image).context("cannot write the altered driver")?;
    let ended = to_the_end(&Machine::new(artifacts).with_driver(&copy))?;
    let what = ended.to_string();
    ended
        .stop
        .with_context(|| format!("the rig should have stopped, but {what}"))
}

/// Runs an altered copy of the driver, which must break `rule` in the image's own code.
fn breaks(
    artifacts: &Artifacts,
    rule: &str,
    alter: fn(&mut [u8]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let stop = stop_of(artifacts, alter)?;
    ensure!(
        stop.code == rule,
        "the rig should have stopped with {rule}, but {stop}"
    );
    ensure!(
        stop.frames
            .first()
            .is_some_and(|frame| frame.contains("edu.sys+")),
        "the driver did it, but {stop}"
    );
    Ok(())
}

/// DriverEntry begins with an instruction that writes to the one behind it.
fn write_own_code(image: &mut [u8]) -> anyhow::Result<()> {
    /// `mov byte ptr [rip], 0`
    const WRITE_BEHIND: &[u8] = &[0xc6, 0x05, 0, 0, 0, 0, 0];
    let header = pe_header(image)?;
    let entry = u32::from_le_bytes(take(image, header + OPTIONAL_HEADER + ENTRY_POINT)?);
    let section = code_section(image)?;
    let address = u32::from_le_bytes(take(image, section + ADDRESS)?);
    let offset = u32::from_le_bytes(take(image, section + FILE_OFFSET)?);
    let at = entry
        .checked_sub(address)
        .context("the entry point is not in the code")?
        + offset;
    put(image, usize::try_from(at)?, WRITE_BEHIND)
}

/// All code may be paged out, that of the ISR too.
fn make_code_pageable(image: &mut [u8]) -> anyhow::Result<()> {
    let section = code_section(image)?;
    put(image, section + NAME, b"PAGECODE")
}

fn make_code_writable(image: &mut [u8]) -> anyhow::Result<()> {
    let at = code_section(image)? + CHARACTERISTICS;
    let characteristics = u32::from_le_bytes(take(image, at)?);
    put(image, at, &(characteristics | WRITE).to_le_bytes())
}

/// Where the header of the section with the driver's code is.
fn code_section(image: &[u8]) -> anyhow::Result<usize> {
    let header = pe_header(image)?;
    let count = usize::from(u16::from_le_bytes(take(image, header + SECTIONS)?));
    let optional = usize::from(u16::from_le_bytes(take(
        image,
        header + OPTIONAL_HEADER_SIZE,
    )?));
    let first = header + OPTIONAL_HEADER + optional;
    for at in (0..count).map(|index| first + index * SECTION_HEADER) {
        let characteristics = u32::from_le_bytes(take(image, at + CHARACTERISTICS)?);
        if characteristics & EXECUTE != 0 {
            return Ok(at);
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
