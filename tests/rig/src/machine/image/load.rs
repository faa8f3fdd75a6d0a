//! Mapping an image: copy, relocate, bind the imports, protect.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use object::LittleEndian as LE;
use object::pe::{
    IMAGE_DIRECTORY_ENTRY_BASERELOC, IMAGE_REL_BASED_ABSOLUTE, IMAGE_REL_BASED_DIR64,
    ImageNtHeaders64,
};
use object::read::pe::Import;

use super::error::LoadError;
use super::layout::{self, Layout, Section};
use super::modules;
use crate::machine::memory::{
    Protection, check_protections, map_driver_image, protect_driver_image, unmap_driver_image,
};
use crate::machine::{cpu, stop};

/// A loaded image.
#[derive(Debug)]
pub(crate) struct Image {
    /// Where it lies.
    pub(crate) base: *mut u8,
    /// Bytes, whole pages.
    pub(crate) size: usize,
    /// Address of its entry point.
    pub(crate) entry: usize,
}

// SAFETY: The pages belong to the image and to no processor; the pointer only
// says where they are.
unsafe impl Send for Image {}

/// Finds what an import names: the DLL, the routine.
pub(crate) type Resolve<'a> = dyn Fn(&str, &str) -> Option<usize> + 'a;

/// Loads a kernel image: checks it, maps it with the rights that its sections ask
/// for, relocates it and binds its imports. `PASSIVE_LEVEL`.
///
/// # Errors
/// When the file is not a proper kernel image, or imports what `resolve` lacks.
pub(crate) fn load_driver(
    name: &str,
    bytes: &[u8],
    resolve: &Resolve<'_>,
) -> Result<Image, LoadError> {
    let layout = layout::read(bytes)?;
    // All imports are looked up before anything is mapped.
    let imports = read_imports(&layout, resolve)?;
    let base = map_driver_image(layout.size).ok_or(LoadError::NoMemory)?;
    let image = Image {
        base,
        size: layout.size,
        entry: base.addr() + layout.entry,
    };
    match fill(&image, &layout, &imports).and_then(|()| protect(&image, &layout)) {
        Ok(()) => {
            if let Err(why) = check_protections() {
                stop::refuse(format_args!(
                    "Loading {name} has spoilt the page tables: {why}."
                ));
            }
            // The table of modules keeps names for ever; a run loads few images.
            let name = Box::leak(name.to_owned().into_boxed_str());
            modules::register(name, base.addr(), layout.size);
            Ok(image)
        }
        Err(error) => {
            unload(image);
            Err(error)
        }
    }
}

/// Unmaps an image: a later access to it faults. IRQL <= 2; nothing may run in it.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the image is gone afterwards, so its value is taken away too"
)]
pub(crate) fn unload(image: Image) {
    // SAFETY: References to the image end with `fill`; nothing of the rig's runs
    // in it, and a driver that still does is a bug that the fault reports.
    unsafe { unmap_driver_image(image.base, image.size) };
}

/// An import: where its address goes, and the address.
struct Bound {
    offset: usize,
    address: usize,
}

/// Looks all imports up; names all that are missing.
fn read_imports(layout: &Layout<'_>, resolve: &Resolve<'_>) -> Result<Vec<Bound>, LoadError> {
    let bad = |error: object::read::Error| LoadError::BadImports(format!("{error}"));
    let mut bound = Vec::new();
    let mut missing = Vec::new();
    let table = layout
        .directories
        .import_table(layout.data, &layout.table)
        .map_err(bad)?;
    let Some(table) = table else {
        return Ok(bound);
    };
    let mut descriptors = table.descriptors().map_err(bad)?;
    while let Some(descriptor) = descriptors.next().map_err(bad)? {
        let dll = text(table.name(descriptor.name.get(LE)).map_err(bad)?)?;
        let names = match descriptor.original_first_thunk.get(LE) {
            0 => descriptor.first_thunk.get(LE),
            thunks => thunks,
        };
        let mut thunks = table.thunks(names).map_err(bad)?;
        let mut offset = descriptor.first_thunk.get(LE) as usize;
        while let Some(thunk) = thunks.next::<ImageNtHeaders64>().map_err(bad)? {
            match table.import::<ImageNtHeaders64>(thunk).map_err(bad)? {
                Import::Name(_, name) => {
                    let name = text(name)?;
                    match resolve(dll, name) {
                        Some(address) => bound.push(Bound { offset, address }),
                        None => missing.push(format!("{dll}!{name}")),
                    }
                }
                Import::Ordinal(ordinal) => missing.push(format!("{dll}!#{ordinal}")),
            }
            offset += size_of::<u64>();
        }
    }
    if missing.is_empty() {
        Ok(bound)
    } else {
        Err(LoadError::MissingImports(missing))
    }
}

/// A name in the import table.
fn text(bytes: &[u8]) -> Result<&str, LoadError> {
    core::str::from_utf8(bytes)
        .map_err(|error| LoadError::BadImports(format!("a name is no text: {error}")))
}

/// Writes the image's contents; its pages are writable and not executable.
fn fill(image: &Image, layout: &Layout<'_>, imports: &[Bound]) -> Result<(), LoadError> {
    // SAFETY: The pages were just mapped for this image and nothing else refers
    // to them; every byte is written before it is read.
    unsafe { image.base.write_bytes(0, image.size) };
    // SAFETY: As above; the slice ends before the pages are protected.
    let memory = unsafe { core::slice::from_raw_parts_mut(image.base, image.size) };
    memory[..layout.headers].copy_from_slice(&layout.data[..layout.headers]);
    for section in &layout.sections {
        let contents = &layout.data[section.file.clone()];
        memory[section.offset..section.offset + contents.len()].copy_from_slice(contents);
    }
    relocate(memory, layout, image.base.addr() as u64)?;
    for import in imports {
        let slot = slot(memory, import.offset).ok_or_else(|| {
            LoadError::BadImports(format!("{:#x} lies outside of the image", import.offset))
        })?;
        *slot = (import.address as u64).to_le_bytes();
    }
    Ok(())
}

/// Eight bytes of the image.
fn slot(memory: &mut [u8], offset: usize) -> Option<&mut [u8; 8]> {
    memory.get_mut(offset..)?.first_chunk_mut()
}

/// Adds the distance from the preferred base to every absolute address.
fn relocate(memory: &mut [u8], layout: &Layout<'_>, base: u64) -> Result<(), LoadError> {
    let distance = base.wrapping_sub(layout.preferred_base);
    let has_relocations = layout
        .directories
        .get(IMAGE_DIRECTORY_ENTRY_BASERELOC)
        .is_some_and(|directory| directory.size.get(LE) != 0);
    let bad = |error: object::read::Error| LoadError::BadRelocation(format!("{error}"));
    let blocks = layout
        .directories
        .relocation_blocks(layout.data, &layout.table)
        .map_err(bad)?;
    let Some(mut blocks) = blocks.filter(|_| has_relocations) else {
        return Ok(());
    };
    while let Some(block) = blocks.next().map_err(bad)? {
        for relocation in block {
            let at = relocation.virtual_address as usize;
            match relocation.typ {
                IMAGE_REL_BASED_ABSOLUTE => {}
                IMAGE_REL_BASED_DIR64 => {
                    let slot = slot(memory, at).ok_or_else(|| {
                        LoadError::BadRelocation(format!("{at:#x} lies outside of the image"))
                    })?;
                    *slot = u64::from_le_bytes(*slot)
                        .wrapping_add(distance)
                        .to_le_bytes();
                }
                kind => {
                    return Err(LoadError::BadRelocation(format!(
                        "type {} at {at:#x} is none of an x64 image's",
                        kind.0
                    )));
                }
            }
        }
    }
    Ok(())
}

/// Gives every page the rights that its section asks for; headers and what lies
/// between sections become read-only.
fn protect(image: &Image, layout: &Layout<'_>) -> Result<(), LoadError> {
    // SAFETY: The reference through which the image was written has ended.
    let everything = unsafe { protect_driver_image(image.base, image.size, Protection::ReadOnly) };
    let has_pageable_code =
        |section: &Section| section.protection == Protection::PageableReadExecute;
    if layout.sections.iter().any(has_pageable_code) {
        cpu::watch_pageable_code();
    }
    let sections = layout.sections.iter().all(|section| {
        let start = image.base.wrapping_add(section.offset);
        // SAFETY: As above, and an executable section holds the driver's code.
        unsafe { protect_driver_image(start, section.length, section.protection) }
    });
    (everything && sections)
        .then_some(())
        .ok_or(LoadError::NoMemory)
}
