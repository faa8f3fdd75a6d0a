//! Pages for blocks that come and go: pool.
//!
//! Each block has pages of its own between unmapped ones. When it is freed its pages
//! are unmapped at once, so that whoever still has its address faults, and its
//! addresses rest until the owner of the block says that it was long enough. They are
//! used again after that, because page tables are never given back and a long run
//! frees millions of blocks.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::paging::{self, Protection};
use super::ranges::Range;
use super::{PAGE, frames};
use crate::machine::sync::IrqLock;
use crate::machine::word::word;

/// Where blocks lie: 64 GiB.
static BLOCKS: Range = Range::new(0xffff_c000_0000_0000, 64 << 30);

/// Addresses that have rested, by the number of pages that were there.
static RESTED: IrqLock<BTreeMap<usize, Vec<u64>>> = IrqLock::new(BTreeMap::new());

/// Pages for a block, which are read and written, between unmapped ones. They are not
/// cleared. Any IRQL.
pub(crate) fn map_block(pages: usize, is_pageable: bool) -> Option<*mut u8> {
    let protection = if is_pageable {
        Protection::ReadWrite.pageable()
    } else {
        Protection::ReadWrite
    };
    let rested = RESTED.with(|rested| rested.get_mut(&pages)?.pop());
    let base = match rested {
        Some(base) => base,
        None => BLOCKS.take(pages)?,
    };
    let is_mapped = (0..pages).all(|index| {
        frames::take().is_some_and(|frame| {
            let at = base + (index * PAGE) as u64;
            let is_mapped = paging::map(at, frame, protection);
            if !is_mapped {
                frames::give_back(frame);
            }
            is_mapped
        })
    });
    if !is_mapped {
        // SAFETY: The addresses were just taken and have been given to nobody.
        unsafe { paging::unmap(base, pages, frames::give_back) };
        rest(base, pages);
        return None;
    }
    Some(core::ptr::with_exposed_provenance_mut(word(base)))
}

/// Unmaps a block's pages: a later access faults. Its addresses are not used before
/// [`reuse_block`]. IRQL <= 2.
///
/// # Panics
/// When it is no block of [`map_block`].
pub(crate) fn unmap_block(address: *mut u8, pages: usize) {
    let base = address.addr() as u64;
    BLOCKS.assert_holds(base, pages * PAGE);
    // SAFETY: What lies in this range was mapped by `map_block`, and is reached
    // through the raw pointer that it gave.
    unsafe { paging::unmap(base, pages, frames::give_back) };
}

/// The addresses of a block that was unmapped may be used again. Any IRQL.
///
/// # Panics
/// When it is no block of [`map_block`].
pub(crate) fn reuse_block(address: *mut u8, pages: usize) {
    let base = address.addr() as u64;
    BLOCKS.assert_holds(base, pages * PAGE);
    rest(base, pages);
}

/// Notes addresses that nothing is mapped at.
fn rest(base: u64, pages: usize) {
    RESTED.with(|rested| rested.entry(pages).or_default().push(base));
}

/// Whether an address was a block's at some time, or is the page behind one. Any IRQL.
pub(super) fn was_block(address: u64) -> bool {
    BLOCKS.was_used(address)
}
