//! Freed blocks, for a long while: their addresses belong to nobody, and whoever
//! touches one is told whose it was.

use alloc::collections::VecDeque;
use core::fmt;

use crate::machine::sync::IrqLock;
use crate::nt::pool::block::{Block, Caller};

/// Freed blocks whose addresses rest: minutes of a busy driver's work.
const KEPT: usize = 32_768;

/// A block that was freed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Freed {
    block: Block,
    /// Where the call returns that freed it.
    freed_by: u64,
}

impl fmt::Display for Freed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} and freed {}",
            self.block,
            Caller(self.freed_by)
        )
    }
}

/// Freed blocks, oldest first.
static FREED: IrqLock<VecDeque<Freed>> = IrqLock::new(VecDeque::new());

/// Keeps a block whose pages are unmapped.
pub(super) fn keep(block: Block, freed_by: u64) {
    let oldest = FREED.with(|freed| {
        freed.push_back(Freed { block, freed_by });
        if freed.len() > KEPT {
            freed.pop_front()
        } else {
            None
        }
    });
    if let Some(oldest) = oldest {
        oldest.block.forget();
    }
}

/// The block that was freed last of those that began at this address.
pub(super) fn freed_at(start: usize) -> Option<Freed> {
    FREED.with(|freed| {
        let is_it = |freed: &&Freed| freed.block.start == start;
        freed.iter().rev().find(is_it).copied()
    })
}

/// The freed block whose pages were at this address. For the report of a fault.
pub(super) fn freed_around(address: usize) -> Option<Freed> {
    FREED.with_unless_held(|freed| {
        let is_it = |freed: &&Freed| freed.block.has_pages_at(address);
        freed.iter().rev().find(is_it).copied()
    })?
}
