//! Memory for kernel objects that is never given back: device objects with their
//! extensions, interrupt tables, MDLs.
//!
//! It lies in a range of its own in the upper half, as kernel memory does on Windows: an
//! address of it cannot be taken for a number, so one that reaches a program is seen.

use core::ptr::NonNull;

use super::paging::{self, Protection};
use super::{PAGE, frames};
use crate::machine::sync::IrqLock;
use crate::machine::word::word;

/// Where objects lie.
const BASE: u64 = 0xffff_d000_0000_0000;
/// Every object is aligned so.
pub(crate) const OBJECT_ALIGNMENT: usize = 16;

/// What was handed out and what is mapped, both up to an address.
struct Objects {
    next: u64,
    mapped: u64,
}

static OBJECTS: IrqLock<Objects> = IrqLock::new(Objects {
    next: BASE + PAGE as u64,
    mapped: BASE + PAGE as u64,
});

/// Zeroed memory for an object, for good; `None` when the machine has no more. Any IRQL.
pub(crate) fn allocate_object_memory(size: usize) -> Option<NonNull<u8>> {
    let size = size.checked_next_multiple_of(OBJECT_ALIGNMENT)? as u64;
    let start = OBJECTS.with(|objects| {
        let end = objects.next.checked_add(size)?;
        while objects.mapped < end {
            let frame = frames::take()?;
            if !paging::map(objects.mapped, frame, Protection::ReadWrite) {
                frames::give_back(frame);
                return None;
            }
            let page = core::ptr::with_exposed_provenance_mut::<u8>(word(objects.mapped));
            // SAFETY: The page was just mapped, writable, and nobody else has it.
            unsafe { page.write_bytes(0, PAGE) };
            objects.mapped += PAGE as u64;
        }
        let start = objects.next;
        objects.next = end;
        Some(start)
    })?;
    NonNull::new(core::ptr::with_exposed_provenance_mut(word(start)))
}

/// Whether an address lies in memory that was handed out. Any IRQL.
pub(super) fn is_object(address: u64) -> bool {
    OBJECTS
        .with_unless_held(|objects| (BASE..objects.next).contains(&address))
        .unwrap_or(false)
}
