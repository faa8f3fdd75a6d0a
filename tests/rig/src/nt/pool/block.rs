//! A pool block in memory: pages of its own, between pages where nothing is mapped.
//!
//! The block ends where its pages end, as far as its alignment allows, so the first
//! byte behind it faults; what its pages hold besides is filled and looked at when the
//! block is freed. A block of a page or more begins on a page, as pool does on Windows,
//! and there the page in front faults.
//!
//! # Soundness
//! 1. The pages from `base` are the block's from [`Block::map`] to [`Block::unmap`], which
//!    takes the block; nobody else unmaps them.
//! 2. What lies around the block in its pages is the executive's: it is outside of what
//!    the driver was given.

use core::fmt;
use core::ops::Range;
use core::ptr;

use wdk_sys::ULONG;

use crate::machine::image::Location;
use crate::machine::memory::{self, PAGE};
use crate::nt::address;
use crate::nt::poison;
use crate::nt::pool::{Kind, tag_text};

/// Alignment of a block on x64 (`MEMORY_ALLOCATION_ALIGNMENT`).
pub(super) const ALIGNMENT: usize = 16;
/// Alignment of a block that begins a line of the processor's cache.
pub(super) const CACHE_LINE: usize = 64;
/// What a block's pages hold around it, eight times in each word.
const GUARD_BYTE: u8 = 0xfd;

/// What a new block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contents {
    Zero,
    /// What nobody wrote.
    Poison,
}

/// An allocation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    /// First of its pages.
    base: usize,
    pages: usize,
    /// Where the driver's part begins.
    pub(super) start: usize,
    pub(super) size: usize,
    pub(super) tag: ULONG,
    pub(super) kind: Kind,
    /// Where the call returns that allocated it; zero when the executive did.
    allocated_by: u64,
}

impl Block {
    /// A new block. The alignment is a power of two and divides a page. Any IRQL.
    pub(super) fn map(
        kind: Kind,
        size: usize,
        alignment: usize,
        tag: ULONG,
        contents: Contents,
        allocated_by: u64,
    ) -> Option<Self> {
        let pages = size.max(1).checked_next_multiple_of(PAGE)? / PAGE;
        let base = address::of(memory::map_block(pages, kind == Kind::Paged)?);
        let offset = if size >= PAGE {
            0
        } else {
            (PAGE - size) / alignment * alignment
        };
        let block = Self {
            base,
            pages,
            start: base + offset,
            size,
            tag,
            kind,
            allocated_by,
        };
        fill_range(base..block.start, GUARD_BYTE);
        match contents {
            Contents::Zero => fill_range(block.memory(), 0),
            Contents::Poison => poison_range(block.memory()),
        }
        fill_range(block.memory().end..block.end(), GUARD_BYTE);
        Some(block)
    }

    /// The driver's part.
    pub(super) fn memory(&self) -> Range<usize> {
        self.start..self.start + self.size
    }

    /// Address behind the pages.
    fn end(&self) -> usize {
        self.base + self.pages * PAGE
    }

    /// Whether nothing was written around the block.
    pub(super) fn is_intact(&self) -> bool {
        is_filled(self.base..self.start, GUARD_BYTE)
            && is_filled(self.memory().end..self.end(), GUARD_BYTE)
    }

    /// Has every later access fault. IRQL <= 2, no lock of the rig's held.
    pub(super) fn unmap(&self) {
        memory::unmap_block(address::to_pointer(self.base), self.pages);
    }

    /// Lets another block have the addresses, which [`Self::unmap`] has emptied.
    pub(super) fn forget(self) {
        memory::reuse_block(address::to_pointer(self.base), self.pages);
    }

    /// Whether an address lies in the block's pages or in the unmapped ones beside them.
    pub(super) fn is_near(&self, address: usize) -> bool {
        (self.base - PAGE..self.end() + PAGE).contains(&address)
    }

    /// Whether an address lies in the block's own pages.
    pub(super) fn has_pages_at(&self, address: usize) -> bool {
        (self.base..self.end()).contains(&address)
    }
}

impl fmt::Display for Block {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "the pool block at {:#x}, {} bytes, tag '{}', which was allocated {}",
            self.start,
            self.size,
            tag_text(self.tag),
            Caller(self.allocated_by)
        )
    }
}

/// Who called: the place to which the call returns.
pub(super) struct Caller(pub(super) u64);

impl fmt::Display for Caller {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            formatter.write_str("by the executive")
        } else {
            write!(formatter, "just before {}", Location(self.0))
        }
    }
}

/// Fills memory of a block.
fn fill_range(range: Range<usize>, byte: u8) {
    // SAFETY: Facts 1 and 2: callers pass parts of a block's pages that they have just
    // mapped, so they are writable and nobody uses them.
    unsafe { ptr::write_bytes(address::to_pointer::<u8>(range.start), byte, range.len()) };
}

/// Fills memory of a block with what nobody wrote.
fn poison_range(range: Range<usize>) {
    for (place, at) in range.enumerate() {
        // SAFETY: As in `fill_range`.
        unsafe { address::to_pointer::<u8>(at).write(poison::POOL.at(place)) };
    }
}

/// Whether a part of a block's pages has this byte everywhere.
fn is_filled(range: Range<usize>, byte: u8) -> bool {
    // SAFETY: Facts 1 and 2: callers pass what lies around a block whose pages are
    // mapped, so it can be read, and who writes there breaks the rule that this looks for.
    let bytes =
        unsafe { core::slice::from_raw_parts(address::to_pointer::<u8>(range.start), range.len()) };
    // SAFETY: Every bit pattern is a u64.
    let (head, words, tail) = unsafe { bytes.align_to::<u64>() };
    let word = u64::from_ne_bytes([byte; 8]);
    head.iter().chain(tail).all(|value| *value == byte) && words.iter().all(|value| *value == word)
}
