//! Whether `edu.sys` is what a kernel image has to be.
//!
//! Windows would refuse, or worse accept, an image that is wrong in one of these
//! ways, and nobody who builds off Windows would see it. `corruption` shows that
//! each check can fail.

mod corruption;
mod imports;
mod symbols;

use std::env;

use anyhow::{Context as _, bail, ensure};
use object::{
    LittleEndian as LE,
    pe::{
        IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE, IMAGE_DLLCHARACTERISTICS_HIGH_ENTROPY_VA,
        IMAGE_DLLCHARACTERISTICS_NX_COMPAT, IMAGE_FILE_MACHINE_AMD64, IMAGE_FILE_RELOCS_STRIPPED,
        IMAGE_SCN_MEM_EXECUTE, IMAGE_SCN_MEM_WRITE, IMAGE_SUBSYSTEM_NATIVE, ImageOptionalHeader64,
        ImageSectionHeader,
    },
    read::pe::PeFile64,
};

use crate::{pe_checksum, workspace, workspace::Workspace};
use imports::Exports;

/// Pages are what protection is set by, so every section starts on one.
const PAGE: u32 = 4096;
/// The whole image stays in memory that is never paged out, so nothing that makes it
/// grow by much goes unseen.
const LARGEST: usize = 64 * 1024;

/// What is judged, and what it is judged by.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    image: Vec<u8>,
    symbols: Vec<u8>,
    exports: Exports,
    /// Folders of this machine, whose names must not be in the image.
    folders: Vec<String>,
}

impl Subject {
    /// `edu.sys` as it was built last.
    pub(crate) fn built(workspace: &Workspace) -> anyhow::Result<Self> {
        let folders = [Some(workspace.root().to_path_buf()), env::home_dir()]
            .into_iter()
            .flatten()
            .map(|folder| folder.display().to_string())
            .collect();
        Ok(Self {
            image: workspace::read(&workspace.out().join("edu.sys"))?,
            symbols: workspace::read(&workspace.out().join("edu.pdb"))?,
            exports: Exports::of_windows(&workspace.wdk_sources())?,
            folders,
        })
    }

    fn pe(&self) -> anyhow::Result<PeFile64<'_>> {
        PeFile64::parse(self.image.as_slice()).context("this is no 64-bit PE image")
    }

    fn header(&self) -> anyhow::Result<&ImageOptionalHeader64> {
        Ok(&self.pe()?.nt_headers().optional_header)
    }

    fn sections(&self) -> anyhow::Result<Vec<&ImageSectionHeader>> {
        Ok(self.pe()?.section_table().iter().collect())
    }
}

/// One thing that has to be so. It returns what it found, for a person, or why
/// that is wrong.
struct Check {
    name: &'static str,
    judge: fn(&Subject) -> anyhow::Result<String>,
}

const CHECKS: &[Check] = &[
    Check {
        name: "machine",
        judge: machine,
    },
    Check {
        name: "subsystem",
        judge: subsystem,
    },
    Check {
        name: "no execution of data",
        judge: no_execute,
    },
    Check {
        name: "dynamic base",
        judge: dynamic_base,
    },
    Check {
        name: "section protection",
        judge: section_protection,
    },
    Check {
        name: "section alignment",
        judge: section_alignment,
    },
    Check {
        name: "entry point",
        judge: entry_point,
    },
    Check {
        name: "checksum",
        judge: checksum,
    },
    Check {
        name: "imports",
        judge: imports::judge,
    },
    Check {
        name: "symbols",
        judge: symbols::judge,
    },
    Check {
        name: "source lines",
        judge: symbols::judge_source_lines,
    },
    Check {
        name: "time stamp",
        judge: symbols::judge_time_stamp,
    },
    Check {
        name: "build folders",
        judge: build_folders,
    },
    Check {
        name: "size",
        judge: size,
    },
];

/// What one check said.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) check: String,
    pub(crate) result: anyhow::Result<String>,
}

/// Everything about `subject`, and then that each check would have noticed.
pub(crate) fn verdicts(subject: &Subject) -> Vec<Verdict> {
    let mut verdicts: Vec<Verdict> = CHECKS
        .iter()
        .map(|check| Verdict {
            check: check.name.to_owned(),
            result: (check.judge)(subject),
        })
        .collect();
    // What is wrong already cannot show what a corruption does.
    if verdicts.iter().all(|verdict| verdict.result.is_ok()) {
        verdicts.extend(corruption::verdicts(subject));
    }
    verdicts
}

/// The names of the checks that `subject` fails.
fn failing(subject: &Subject) -> Vec<&'static str> {
    CHECKS
        .iter()
        .filter(|check| (check.judge)(subject).is_err())
        .map(|check| check.name)
        .collect()
}

fn machine(subject: &Subject) -> anyhow::Result<String> {
    let machine = subject.pe()?.nt_headers().file_header.machine.get(LE);
    ensure!(
        machine == IMAGE_FILE_MACHINE_AMD64,
        "the machine is {machine:#x}, not x64"
    );
    Ok("x64".to_owned())
}

fn subsystem(subject: &Subject) -> anyhow::Result<String> {
    let header = subject.header()?;
    let subsystem = header.subsystem.get(LE);
    ensure!(
        subsystem == IMAGE_SUBSYSTEM_NATIVE,
        "the subsystem is {subsystem}, but a driver's is native"
    );
    let version = (
        header.major_subsystem_version.get(LE),
        header.minor_subsystem_version.get(LE),
    );
    ensure!(
        version == (10, 0),
        "the subsystem version is {}.{:02}, not 10.00",
        version.0,
        version.1
    );
    Ok("native 10.00".to_owned())
}

fn no_execute(subject: &Subject) -> anyhow::Result<String> {
    ensure!(
        subject.header()?.dll_characteristics.get(LE).0 & IMAGE_DLLCHARACTERISTICS_NX_COMPAT.0 != 0,
        "the image says that its data may be executed (/NXCOMPAT is missing)"
    );
    Ok("set".to_owned())
}

fn dynamic_base(subject: &Subject) -> anyhow::Result<String> {
    let flags = subject.header()?.dll_characteristics.get(LE).0;
    for (flag, option) in [
        (IMAGE_DLLCHARACTERISTICS_DYNAMIC_BASE, "/DYNAMICBASE"),
        (IMAGE_DLLCHARACTERISTICS_HIGH_ENTROPY_VA, "/HIGHENTROPYVA"),
    ] {
        ensure!(
            flags & flag.0 != 0,
            "the image must be loaded where it says ({option} is missing)"
        );
    }
    // An image without absolute addresses needs no relocations; one whose
    // relocations were taken away cannot do without.
    let characteristics = subject.pe()?.nt_headers().file_header.characteristics;
    ensure!(
        characteristics.get(LE).0 & IMAGE_FILE_RELOCS_STRIPPED.0 == 0,
        "the image's relocations were stripped, so it cannot be loaded anywhere else"
    );
    Ok("set, with high entropy".to_owned())
}

fn section_protection(subject: &Subject) -> anyhow::Result<String> {
    let both = IMAGE_SCN_MEM_WRITE.0 | IMAGE_SCN_MEM_EXECUTE.0;
    let mut names = Vec::new();
    for section in subject.sections()? {
        let name = section_name(section);
        ensure!(
            section.characteristics.get(LE).0 & both != both,
            "section {name} can be both written and executed"
        );
        names.push(name);
    }
    ensure!(!names.is_empty(), "the image has no sections");
    Ok(format!(
        "no section of {} writable and executable",
        names.join(" ")
    ))
}

fn section_alignment(subject: &Subject) -> anyhow::Result<String> {
    let alignment = subject.header()?.section_alignment.get(LE);
    ensure!(
        alignment == PAGE,
        "sections are aligned to {alignment} bytes, so they cannot have a protection each"
    );
    Ok(format!("{alignment} bytes"))
}

fn entry_point(subject: &Subject) -> anyhow::Result<String> {
    let entry = subject.header()?.address_of_entry_point.get(LE);
    let sections = subject.sections()?;
    let Some(section) = sections.iter().find(|section| section.contains_rva(entry)) else {
        bail!("the entry point {entry:#x} is in no section");
    };
    ensure!(
        section.characteristics.get(LE).0 & IMAGE_SCN_MEM_EXECUTE.0 != 0,
        "the entry point {entry:#x} is in section {}, which cannot be executed",
        section_name(section)
    );
    Ok(format!("{entry:#x} in {}", section_name(section)))
}

fn checksum(subject: &Subject) -> anyhow::Result<String> {
    let stored = pe_checksum::stored(&subject.image)?;
    let right = pe_checksum::compute(&subject.image)?;
    ensure!(
        stored == right,
        "the checksum is {stored:#x}, but should be {right:#x}"
    );
    Ok(format!("{stored:#x}"))
}

fn build_folders(subject: &Subject) -> anyhow::Result<String> {
    for folder in &subject.folders {
        let found = subject
            .image
            .windows(folder.len())
            .any(|window| window == folder.as_bytes());
        ensure!(
            !found,
            "the image names {folder}, so it is another one elsewhere"
        );
    }
    Ok("none named".to_owned())
}

fn size(subject: &Subject) -> anyhow::Result<String> {
    let size = subject.image.len();
    ensure!(
        size <= LARGEST,
        "the image has {size} bytes, more than {LARGEST}"
    );
    Ok(format!("{size} bytes"))
}

fn section_name(section: &ImageSectionHeader) -> String {
    String::from_utf8_lossy(section.raw_name()).into_owned()
}
