//! The rig's page tables.

use alloc::vec::Vec;

use uefi::boot::MemoryType;
use x86_64::registers::control::{Cr3, Cr3Flags};
use x86_64::structures::paging::mapper::{MapToError, MapperFlush, TranslateResult};
use x86_64::structures::paging::{
    FrameAllocator, Mapper, OffsetPageTable, Page, PageSize, PageTable, PageTableFlags, PhysFrame,
    Size2MiB, Size4KiB, Translate,
};
use x86_64::{PhysAddr, VirtAddr};

use super::PAGE;
use super::frames::TableFrames;
use super::rig_image::RigImage;
use super::translation::flush_everywhere;
use crate::machine::boot::{BootInformation, MemoryRange};
use crate::machine::sync::IrqLock;
use crate::machine::word::word;
use crate::machine::{cpu, stop};

/// What may be done on a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    /// Constants.
    ReadOnly,
    /// Data.
    ReadWrite,
    /// Code.
    ReadExecute,
    /// As [`Self::ReadOnly`], below `DISPATCH_LEVEL`.
    PageableReadOnly,
    /// As [`Self::ReadWrite`], below `DISPATCH_LEVEL`.
    PageableReadWrite,
    /// As [`Self::ReadExecute`], below `DISPATCH_LEVEL`.
    PageableReadExecute,
    /// Device registers: read and written, never cached.
    Device,
}

impl Protection {
    /// The same for memory that may be paged out. See [`cpu::pageable`](crate::machine::cpu).
    pub(crate) fn pageable(self) -> Self {
        match self {
            Self::ReadOnly => Self::PageableReadOnly,
            Self::ReadWrite => Self::PageableReadWrite,
            Self::ReadExecute => Self::PageableReadExecute,
            other => other,
        }
    }

    /// Whether code may run there.
    pub(crate) fn is_executable(self) -> bool {
        matches!(self, Self::ReadExecute | Self::PageableReadExecute)
    }

    /// Page table bits.
    fn flags(self) -> PageTableFlags {
        let present = PageTableFlags::PRESENT;
        match self {
            Self::PageableReadOnly => Self::ReadOnly.flags() | PAGEABLE,
            Self::PageableReadWrite => Self::ReadWrite.flags() | PAGEABLE,
            Self::PageableReadExecute => Self::ReadExecute.flags() | PAGEABLE,
            Self::ReadOnly => present | PageTableFlags::NO_EXECUTE,
            Self::ReadWrite => present | PageTableFlags::WRITABLE | PageTableFlags::NO_EXECUTE,
            Self::ReadExecute => present,
            // Both cache bits select "uncached" in the page attribute table as
            // it is after reset (Intel SDM volume 3A, table 12-12).
            Self::Device => {
                present
                    | PageTableFlags::WRITABLE
                    | PageTableFlags::NO_EXECUTE
                    | PageTableFlags::NO_CACHE
                    | PageTableFlags::WRITE_THROUGH
            }
        }
    }
}

/// Marks a page that may be paged out. There is no user mode here.
const PAGEABLE: PageTableFlags = PageTableFlags::USER_ACCESSIBLE;

/// Rights of the upper levels: the last level decides.
const UPPER_LEVELS: PageTableFlags = PageTableFlags::PRESENT
    .union(PageTableFlags::WRITABLE)
    .union(PAGEABLE);

/// The page tables, once the rig has its own.
static TABLES: IrqLock<Option<OffsetPageTable<'static>>> = IrqLock::new(None);

/// Physical address of the root, for processors that start.
static ROOT: spin::Once<u32> = spin::Once::new();

/// Builds the page tables and makes processor 0 use them. `own` are the ranges
/// that the rig uses where they lie.
pub(super) fn initialize(boot: &BootInformation, image: &RigImage, own: &[(u64, u64)]) {
    let Some(root) = TableFrames.allocate_frame() else {
        no_memory();
    };
    let table = core::ptr::with_exposed_provenance_mut::<PageTable>(address(root));
    // SAFETY: The frame was just taken for good; the firmware's page tables map
    // memory where it lies, so this is its address.
    unsafe { table.write(PageTable::new()) };
    // SAFETY: As above, and this reference is the only one.
    let table: &'static mut PageTable = unsafe { &mut *table };
    // SAFETY: Page table frames are mapped where they lie, by the firmware's
    // tables until the switch below, and by these from then on (`own` has them).
    let mut tables = unsafe { OffsetPageTable::new(table, VirtAddr::zero()) };
    for (start, end) in memory_ranges(boot.memory_ranges(), own) {
        map_identity(&mut tables, image, start, end);
    }
    let Ok(low_root) = u32::try_from(root.start_address().as_u64()) else {
        stop::refuse(format_args!("The page tables do not lie below 4 GiB."));
    };
    ROOT.call_once(|| low_root);
    TABLES.with(|slot| *slot = Some(tables));
    // SAFETY: The new tables map all memory that is in use where it lies, as the
    // firmware's did: the code that runs, its stack and its data.
    unsafe { Cr3::write(root, Cr3Flags::empty()) };
}

/// Physical address of the root.
pub(crate) fn page_table_root() -> u32 {
    ROOT.get().copied().unwrap_or_else(|| no_memory())
}

/// Address of a frame, where it is mapped.
fn address(frame: PhysFrame) -> usize {
    word(frame.start_address().as_u64())
}

/// Nothing can go on.
fn no_memory() -> ! {
    stop::refuse(format_args!(
        "The machine has no memory left for page tables: give QEMU -m 512 or more."
    ))
}

/// The ranges that are in use where they lie, neighbours joined.
fn memory_ranges(map: impl Iterator<Item = MemoryRange>, own: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let is_in_use = |range: &MemoryRange| {
        matches!(
            range.kind,
            MemoryType::LOADER_CODE
                | MemoryType::LOADER_DATA
                | MemoryType::BOOT_SERVICES_CODE
                | MemoryType::BOOT_SERVICES_DATA
                | MemoryType::RUNTIME_SERVICES_CODE
                | MemoryType::RUNTIME_SERVICES_DATA
                | MemoryType::ACPI_RECLAIM
                | MemoryType::ACPI_NON_VOLATILE
        )
    };
    let mut sorted: Vec<_> = map
        .filter(is_in_use)
        .map(|range| (range.start, range.end))
        .chain(own.iter().copied())
        .collect();
    sorted.sort_unstable();
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (start, end) in sorted {
        match joined.last_mut() {
            Some((_, last_end)) if *last_end >= start => *last_end = end.max(*last_end),
            _ => joined.push((start, end)),
        }
    }
    joined
}

/// Maps a range where it lies; the rig's image by its sections, page 0 not at all.
fn map_identity(tables: &mut OffsetPageTable<'_>, image: &RigImage, start: u64, end: u64) {
    let mut at = start.max(PAGE as u64);
    while at < end {
        let large_end = at + Size2MiB::SIZE;
        let has_image = at < image.end && image.start < large_end;
        let length = if at.is_multiple_of(Size2MiB::SIZE) && large_end <= end && !has_image {
            let page = Page::<Size2MiB>::containing_address(VirtAddr::new(at));
            map_one(tables, page, at, Protection::ReadWrite).map_err(|_| ())
        } else {
            let page = Page::<Size4KiB>::containing_address(VirtAddr::new(at));
            let protection = image.protection(at).unwrap_or(Protection::ReadWrite);
            map_one(tables, page, at, protection).map_err(|_| ())
        };
        match length {
            Ok(length) => at += length,
            Err(()) => no_memory(),
        }
    }
}

/// Maps one page; returns its length. Nothing was mapped there before, so no
/// translation needs to be dropped.
fn map_one<'a, S: PageSize>(
    tables: &mut OffsetPageTable<'a>,
    page: Page<S>,
    physical: u64,
    protection: Protection,
) -> Result<u64, MapToError<S>>
where
    OffsetPageTable<'a>: Mapper<S>,
{
    let frame = PhysFrame::containing_address(PhysAddr::new(physical));
    // SAFETY: A page that is mapped already is refused, so no reference changes
    // its memory; the memory's new address is reached through raw pointers only.
    let flush = unsafe {
        tables.map_to_with_table_flags(
            page,
            frame,
            protection.flags(),
            UPPER_LEVELS,
            &mut TableFrames,
        )
    };
    flush?.ignore();
    Ok(S::SIZE)
}

/// Maps the page at `virtual_address`, where nothing is mapped; false when there is no
/// memory for page tables.
pub(super) fn map(virtual_address: u64, physical: u64, protection: Protection) -> bool {
    TABLES.with(|tables| {
        let Some(tables) = tables else { return false };
        let page = Page::<Size4KiB>::containing_address(VirtAddr::new(virtual_address));
        map_one(tables, page, physical, protection).is_ok()
    })
}

/// Unmaps pages on all processors; calls `unmapped` with each frame when no
/// processor can reach it any more. IRQL <= 2.
///
/// # Safety
/// No reference leads to the pages, and no code runs in them.
pub(super) unsafe fn unmap(virtual_address: u64, pages: usize, mut unmapped: impl FnMut(u64)) {
    let frames: Vec<u64> = TABLES.with(|tables| {
        let Some(tables) = tables else {
            return Vec::new();
        };
        (0..pages)
            .filter_map(|index| {
                let at = VirtAddr::new(virtual_address + (index * PAGE) as u64);
                let (frame, flush) = tables
                    .unmap(Page::<Size4KiB>::containing_address(at))
                    .ok()?;
                flush.ignore();
                Some(frame.start_address().as_u64())
            })
            .collect()
    });
    flush_everywhere();
    frames.into_iter().for_each(&mut unmapped);
}

/// Changes what may be done on pages, on all processors. IRQL <= 2.
///
/// # Safety
/// No reference leads to the pages whose use would be forbidden; what becomes
/// executable is code.
pub(super) unsafe fn protect(virtual_address: u64, pages: usize, protection: Protection) -> bool {
    let changed = TABLES.with(|tables| {
        let Some(tables) = tables else { return false };
        (0..pages).all(|index| {
            let at = VirtAddr::new(virtual_address + (index * PAGE) as u64);
            let page = Page::<Size4KiB>::containing_address(at);
            // SAFETY: By this function's contract nothing is used in a way that
            // the new rights forbid.
            let flush = unsafe { tables.update_flags(page, protection.flags()) };
            flush.map(MapperFlush::ignore).is_ok()
        })
    });
    flush_everywhere();
    changed
}

/// Physical address of what lies at `address`, if anything does. Any IRQL.
pub(crate) fn physical_address(address: *const u8) -> Option<u64> {
    let address = VirtAddr::try_new(address.addr() as u64).ok()?;
    TABLES.with(|tables| {
        tables
            .as_ref()?
            .translate_addr(address)
            .map(PhysAddr::as_u64)
    })
}

/// Runs `routine` if the bytes from `first` to `last`, in at most two pages, are mapped and
/// in reach at the present IRQL, as they stay until it is done. It takes no lock. Any IRQL.
pub(crate) fn while_in_reach<R>(first: u64, last: u64, routine: impl FnOnce() -> R) -> Option<R> {
    let (first, last) = (
        VirtAddr::try_new(first).ok()?,
        VirtAddr::try_new(last).ok()?,
    );
    let may_page = cpu::may_page();
    TABLES.with(|tables| {
        let tables = tables.as_ref()?;
        let is_in_reach = |address| match tables.translate(address) {
            TranslateResult::Mapped { flags, .. } => may_page || !flags.contains(PAGEABLE),
            TranslateResult::NotMapped | TranslateResult::InvalidFrameAddress(_) => false,
        };
        (is_in_reach(first) && is_in_reach(last)).then(routine)
    })
}

/// Whether `address` lies in memory that may be paged out. Any IRQL; also while a fault is
/// reported, which may have come while this processor changed the tables.
pub(crate) fn is_pageable(address: u64) -> bool {
    let Ok(address) = VirtAddr::try_new(address) else {
        return false;
    };
    let flags = TABLES.with_unless_held(|tables| {
        tables
            .as_ref()
            .map(|tables| tables.translate(address))
            .and_then(|result| match result {
                TranslateResult::Mapped { flags, .. } => Some(flags),
                TranslateResult::NotMapped | TranslateResult::InvalidFrameAddress(_) => None,
            })
    });
    flags
        .flatten()
        .is_some_and(|flags| flags.contains(PAGEABLE))
}

/// Runs `routine` with the root table, if the rig has its page tables already.
pub(super) fn with_root<R>(routine: impl FnOnce(&PageTable) -> R) -> Option<R> {
    TABLES.with(|tables| Some(routine(tables.as_ref()?.level_4_table())))
}
