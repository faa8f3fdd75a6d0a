//! Page frames: the memory that the firmware left free.

use arrayvec::ArrayVec;
use uefi::boot::MemoryType;
use x86_64::PhysAddr;
use x86_64::structures::paging::{FrameAllocator, PhysFrame, Size4KiB};

use super::PAGE;
use crate::machine::boot::MemoryRange;
use crate::machine::log::log;
use crate::machine::stop;
use crate::machine::sync::IrqLock;

/// Free ranges that are kept; a firmware's map has some dozens.
const MAX_RANGES: usize = 128;

/// End of the memory that a processor in real mode can start in.
const ONE_MIB: u64 = 0x10_0000;

/// Page tables must lie below, so that a processor that starts can load their root.
const FOUR_GIB: u64 = 1 << 32;

/// Memory for page tables: 16 MiB, which map 8 GiB a page at a time.
const TABLES: u64 = 16 << 20;

/// Free memory, by physical address.
struct Frames {
    /// Ranges of whole pages, from first to behind the last byte, above 1 MiB.
    ranges: ArrayVec<(u64, u64), MAX_RANGES>,
    /// A page below 1 MiB, if there is one and it is free.
    low: Option<u64>,
    /// What page tables are made of: first free address, address behind the last.
    tables: (u64, u64),
    /// Frames that were given back.
    returned: alloc::vec::Vec<u64>,
}

static FRAMES: IrqLock<Frames> = IrqLock::new(Frames {
    ranges: ArrayVec::new_const(),
    low: None,
    tables: (0, 0),
    returned: alloc::vec::Vec::new(),
});

/// Notes what is free.
pub(super) fn initialize(map: impl Iterator<Item = MemoryRange>) {
    let free = |range: &MemoryRange| range.kind == MemoryType::CONVENTIONAL;
    FRAMES.with(|frames| {
        for range in map.filter(free) {
            let end = range.end.min(FOUR_GIB);
            // Page 0 is never used: it stays unmapped.
            let start = range.start.max(PAGE as u64);
            if frames.low.is_none() && start + (PAGE as u64) <= end.min(0x9_f000) {
                frames.low = Some(start);
            }
            let start = start.max(ONE_MIB);
            if start < end && frames.ranges.try_push((start, end)).is_err() {
                log!("The firmware's memory map has more free ranges than the rig keeps.");
            }
        }
        frames
            .ranges
            .sort_unstable_by_key(|(start, end)| end - start);
    });
}

/// Sets memory for page tables aside; returns where. Once.
pub(super) fn reserve_tables() -> (u64, u64) {
    let start = take_contiguous(TABLES);
    let range = (start, start + TABLES);
    FRAMES.with(|frames| frames.tables = range);
    range
}

/// Takes `length` bytes in one piece, from the largest range. Returns where.
pub(super) fn take_contiguous(length: u64) -> u64 {
    FRAMES
        .with(|frames| {
            let (start, end) = frames.ranges.last_mut()?;
            *end = end.checked_sub(length).filter(|end| end > start)?;
            Some(*end)
        })
        .unwrap_or_else(|| {
            stop::refuse(format_args!(
                "The machine has no {} MiB of free memory in one piece: give QEMU -m 512 or more.",
                length >> 20
            ))
        })
}

/// Takes `length` bytes in one piece that lie below `end`. Returns where.
pub(super) fn take_below(length: u64, end: u64) -> Option<u64> {
    FRAMES.with(|frames| {
        let (start, _) = frames.ranges.iter_mut().find(|(start, last)| {
            start
                .checked_add(length)
                .is_some_and(|behind| behind <= end.min(*last))
        })?;
        let taken = *start;
        *start += length;
        Some(taken)
    })
}

/// The page below 1 MiB; once.
pub(super) fn take_low_page() -> u64 {
    FRAMES.with(|frames| frames.low.take()).unwrap_or_else(|| {
        stop::refuse(format_args!(
            "The machine has no free page below 1 MiB to start other processors in."
        ))
    })
}

/// A frame, whatever it held before.
pub(super) fn take() -> Option<u64> {
    FRAMES.with(|frames| {
        if let Some(frame) = frames.returned.pop() {
            return Some(frame);
        }
        let (start, end) = frames.ranges.iter_mut().find(|(start, end)| start < end)?;
        let frame = *start;
        *start += PAGE as u64;
        debug_assert!(*start <= *end, "ranges hold whole pages");
        Some(frame)
    })
}

/// Gives a frame back. Nothing may use it any more.
pub(super) fn give_back(frame: u64) {
    FRAMES.with(|frames| frames.returned.push(frame));
}

/// Frames for page tables, which are mapped where they lie.
pub(super) struct TableFrames;

// SAFETY: Each frame of the range that was set aside is handed out once, and
// never given back.
unsafe impl FrameAllocator<Size4KiB> for TableFrames {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        FRAMES.with(|frames| {
            let (next, end) = frames.tables;
            if next == end {
                return None;
            }
            frames.tables.0 += PAGE as u64;
            Some(PhysFrame::containing_address(PhysAddr::new(next)))
        })
    }
}
