//! Taking the machine over from the firmware.

use uefi::boot::{self, MemoryType};
use uefi::mem::memory_map::{MemoryMap, MemoryMapOwned};
use uefi::proto::loaded_image::LoadedImage;
use uefi::table::cfg::ConfigTableEntry;

use crate::machine::stop;

/// Bytes in the pages of the firmware's memory map.
const FIRMWARE_PAGE: u64 = 4096;

/// A range of physical addresses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MemoryRange {
    /// First address.
    pub(crate) start: u64,
    /// Address behind the last.
    pub(crate) end: u64,
    /// What it is.
    pub(crate) kind: MemoryType,
}

/// What the firmware leaves.
#[derive(Debug)]
pub(crate) struct BootInformation {
    /// Where the firmware loaded the rig.
    pub(crate) image_base: *const u8,
    /// Bytes of the image.
    pub(crate) image_size: u64,
    /// Where the ACPI tables begin.
    pub(crate) rsdp: usize,
    /// What lies where in physical memory.
    memory_map: MemoryMapOwned,
}

impl BootInformation {
    /// What lies where in physical memory.
    pub(crate) fn memory_ranges(&self) -> impl Iterator<Item = MemoryRange> {
        self.memory_map.entries().map(|entry| MemoryRange {
            start: entry.phys_start,
            end: entry.phys_start + entry.page_count * FIRMWARE_PAGE,
            kind: entry.ty,
        })
    }
}

/// Asks the firmware for what the rig needs, then ends its boot services: from
/// here on the machine is the rig's. Interrupts are disabled on return.
pub(crate) fn take_over() -> BootInformation {
    let (image_base, image_size) = own_image();
    let rsdp = root_pointer();
    // SAFETY: The rig holds no protocol, event or pool of the boot services: what
    // it asked for above it has copied, and its log does not use the firmware.
    let memory_map = unsafe { boot::exit_boot_services(Some(MemoryType::LOADER_DATA)) };
    x86_64::instructions::interrupts::disable();
    BootInformation {
        image_base,
        image_size,
        rsdp,
        memory_map,
    }
}

/// Where the firmware loaded the rig, and how many bytes.
fn own_image() -> (*const u8, u64) {
    match boot::open_protocol_exclusive::<LoadedImage>(boot::image_handle()) {
        Ok(image) => {
            let (base, size) = image.info();
            (base.cast(), size)
        }
        Err(error) => stop::refuse(format_args!(
            "The firmware does not say where it loaded the rig: {error}."
        )),
    }
}

/// Address of the ACPI tables' root pointer, of the newest version that there is.
fn root_pointer() -> usize {
    let find = |guid| {
        uefi::system::with_config_table(|entries| {
            entries
                .iter()
                .find(|entry| entry.guid == guid)
                .map(|entry| entry.address.addr())
        })
    };
    find(ConfigTableEntry::ACPI2_GUID)
        .or_else(|| find(ConfigTableEntry::ACPI_GUID))
        .unwrap_or_else(|| {
            stop::refuse(format_args!(
                "The firmware has no ACPI tables, so the rig cannot find the processors."
            ))
        })
}
