//! Memory of IRPs.
//!
//! It lies among the kernel objects, so that the address of an IRP that reaches a
//! program is known for one. The memory of an IRP that nobody looks at any more becomes
//! the next one's, as on Windows.
//!
//! # Soundness
//! 1. The memory from `start` on is a [`Block`]'s from [`Block::new`] until it is dropped,
//!    never given back to anybody else, and large enough for an IRP. Access to it is by
//!    value: drivers use it too.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use wdk_sys::{IRP, PIRP};

use crate::machine::sync::IrqLock;
use crate::nt::{address, kernel_memory};

/// Memory that no IRP uses, by its size.
static UNUSED: IrqLock<BTreeMap<usize, Vec<usize>>> = IrqLock::new(BTreeMap::new());

/// An IRP's memory.
pub(super) struct Block {
    start: usize,
    size: usize,
}

impl Block {
    /// Zeroed memory for an IRP with its stack locations, `size` bytes together. Any IRQL.
    ///
    /// # Panics
    /// When the machine has no memory left.
    pub(super) fn new(size: usize) -> Self {
        assert!(size >= size_of::<IRP>(), "an IRP of {size} bytes");
        let unused = UNUSED.with(|unused| unused.get_mut(&size)?.pop());
        let start = unused.unwrap_or_else(|| address::of(kernel_memory::allocate(size).as_ptr()));
        let block = Self { start, size };
        block.fill(0);
        block
    }

    /// The IRP.
    pub(super) fn pointer(&self) -> PIRP {
        address::to_pointer(self.start)
    }

    /// Fills all of it.
    pub(super) fn fill(&self, byte: u8) {
        // SAFETY: Fact 1.
        unsafe { address::to_pointer::<u8>(self.start).write_bytes(byte, self.size) };
    }

    /// Whether all of it holds this byte.
    pub(super) fn is_filled(&self, byte: u8) -> bool {
        (self.start..self.start + self.size).all(|at| {
            // SAFETY: Fact 1.
            unsafe { address::to_pointer::<u8>(at).read_volatile() == byte }
        })
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        UNUSED.with(|unused| unused.entry(self.size).or_default().push(self.start));
    }
}
