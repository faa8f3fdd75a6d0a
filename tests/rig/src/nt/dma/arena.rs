//! The devices' logical address space: pages of low memory that drivers never see.
//!
//! # Soundness
//! 1. The pages are mapped once, for the executive alone, and never given back. A
//!    [`Pages`] is the one owner of its own; beside it only the device gets there,
//!    so access is volatile and by value.

use core::ops::Range;

use crate::machine::memory;
use crate::machine::sync::IrqLock;
use crate::nt::address;

/// Bytes in a page.
pub(crate) const PAGE: usize = memory::PAGE;
/// Pages in the arena.
const COUNT: usize = 512;
/// Where the arena must end, so that a device with 28 address bits reaches it.
const END: u64 = 1 << 28;

/// The arena.
struct Arena {
    /// Where it is mapped, and where it lies.
    place: Option<(usize, u64)>,
    taken: [bool; COUNT],
}

static ARENA: IrqLock<Arena> = IrqLock::new(Arena {
    place: None,
    taken: [false; COUNT],
});

/// Pages in a row.
pub(crate) struct Pages {
    first: usize,
    count: usize,
    mapped: usize,
    logical: u64,
}

impl Arena {
    /// Where the arena is; it is made when it is first needed.
    fn place(&mut self) -> Option<(usize, u64)> {
        if self.place.is_none() {
            let (mapped, physical) = memory::allocate_low(COUNT, END)?;
            self.place = Some((address::of(mapped), physical));
        }
        self.place
    }
}

/// Whether a range of addresses is the arena's.
pub(super) fn holds(logical: u64, length: u64) -> bool {
    ARENA.with(|arena| {
        arena.place.is_some_and(|(_, base)| {
            let end = base + (COUNT * PAGE) as u64;
            logical >= base && logical.checked_add(length).is_some_and(|last| last <= end)
        })
    })
}

impl Pages {
    /// Takes pages that a device with so many address bits reaches.
    pub(super) fn take(count: usize, width: u32) -> Option<Self> {
        let reachable = 1_u64.checked_shl(width).unwrap_or(u64::MAX);
        ARENA.with(|arena| {
            let (mapped, base) = arena.place()?;
            if base + (COUNT * PAGE) as u64 > reachable {
                return None;
            }
            let first = (0..=COUNT.checked_sub(count)?).find(|first| {
                arena
                    .taken
                    .iter()
                    .skip(*first)
                    .take(count)
                    .all(|taken| !taken)
            })?;
            arena
                .taken
                .iter_mut()
                .skip(first)
                .take(count)
                .for_each(|taken| *taken = true);
            Some(Self {
                first,
                count,
                mapped: mapped + first * PAGE,
                logical: base + (first * PAGE) as u64,
            })
        })
    }

    /// The device's address of the byte at `offset`.
    pub(super) fn logical(&self, offset: usize) -> u64 {
        self.logical + offset as u64
    }

    /// Where the driver finds them, for memory that it shares with the device.
    pub(super) fn mapped(&self) -> usize {
        self.mapped
    }

    /// Their length in bytes.
    pub(super) fn length(&self) -> usize {
        self.count * PAGE
    }

    fn assert_holds(&self, range: &Range<usize>) {
        assert!(
            range.start <= range.end && range.end <= self.length(),
            "{range:?} is outside {} pages",
            self.count
        );
    }

    /// Fills a part.
    pub(super) fn fill(&self, range: Range<usize>, byte: u8) {
        self.assert_holds(&range);
        for offset in range {
            // SAFETY: (Pointer) fact 1, and inside the pages, looked at above.
            unsafe { address::to_pointer::<u8>(self.mapped + offset).write_volatile(byte) };
        }
    }

    /// Copies bytes to the device's side.
    pub(super) fn write(&self, offset: usize, bytes: &[u8]) {
        self.assert_holds(&(offset..offset + bytes.len()));
        for (index, byte) in bytes.iter().enumerate() {
            // SAFETY: (Pointer) fact 1, and inside the pages, looked at above.
            unsafe {
                address::to_pointer::<u8>(self.mapped + offset + index).write_volatile(*byte);
            };
        }
    }

    /// What a part holds.
    pub(super) fn read(&self, range: Range<usize>) -> impl Iterator<Item = u8> + '_ {
        self.assert_holds(&range);
        range.map(|offset| {
            // SAFETY: (Pointer) fact 1, and inside the pages, looked at above.
            unsafe { address::to_pointer::<u8>(self.mapped + offset).read_volatile() }
        })
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        ARENA.with(|arena| {
            arena
                .taken
                .iter_mut()
                .skip(self.first)
                .take(self.count)
                .for_each(|taken| *taken = false);
        });
    }
}
