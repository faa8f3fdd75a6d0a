//! LIST_ENTRY, in memory of the driver's: is an entry in a list, and is that list whole?
//!
//! Drivers link and unlink inline, so the executive looks when an entry is given to it.
//!
//! # Soundness
//! 1. A neighbour's address is what a driver stored, so it is looked at only where
//!    ordinary memory is mapped and in reach at this IRQL, by value, and while the page
//!    tables are kept from changing: another processor may free what is there.

use wdk_sys::LIST_ENTRY;

use crate::machine::memory;
use crate::nt::address;

/// An entry by value: the addresses of the next one and of the one before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Links {
    next: usize,
    previous: usize,
}

impl Links {
    /// Those of an entry.
    pub(crate) fn of(entry: LIST_ENTRY) -> Self {
        Self {
            next: address::of(entry.Flink),
            previous: address::of(entry.Blink),
        }
    }

    /// Whether a neighbour other than itself takes the entry at `place` for its own: the
    /// entry is in a list.
    pub(crate) fn is_linked(self, place: usize) -> bool {
        let next = neighbour(self.next).filter(|_| self.next != place);
        let previous = neighbour(self.previous).filter(|_| self.previous != place);
        next.is_some_and(|next| next.previous == place)
            || previous.is_some_and(|previous| previous.next == place)
    }

    /// Whether both neighbours take the entry at `place` for theirs, if they are entries
    /// at all: a driver need not use an IRP's entry.
    pub(crate) fn is_whole(self, place: usize) -> bool {
        match (neighbour(self.next), neighbour(self.previous)) {
            (Some(next), Some(previous)) => next.previous == place && previous.next == place,
            _ => true,
        }
    }
}

/// The links of an entry at this address, if there can be one.
fn neighbour(place: usize) -> Option<Links> {
    let last = place.checked_add(size_of::<LIST_ENTRY>() - 1)?;
    let is_device = memory::is_device(place as u64) || memory::is_device(last as u64);
    if is_device || !place.is_multiple_of(align_of::<LIST_ENTRY>()) {
        return None;
    }
    memory::while_in_reach(place as u64, last as u64, || {
        let entry: *const LIST_ENTRY = address::to_pointer(place);
        // SAFETY: Fact 1; aligned, and every bit pattern is two addresses.
        Links::of(unsafe { entry.read_volatile() })
    })
}
