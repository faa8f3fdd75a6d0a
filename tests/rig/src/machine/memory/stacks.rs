//! Stacks: each in a slot of its own, with unmapped pages below.

use core::sync::atomic::{AtomicUsize, Ordering};

use super::PAGE;
use super::frames;
use super::paging::{self, Protection};
use crate::machine::stop;

/// Where the slots begin.
pub(super) const BASE: u64 = 0xffff_9000_0000_0000;

/// Distance between two stacks' tops; what a stack does not use is unmapped.
pub(super) const SLOT: usize = 1 << 20;

/// Stacks at most: each processor has its own and three for exceptions.
pub(super) const SLOTS: usize = 64;

/// Bytes of a processor's stack. Interrupts of all levels nest on it.
pub(crate) const PROCESSOR_STACK: usize = 256 << 10;

/// Bytes of a stack for an exception that cannot use the interrupted one.
pub(crate) const EXCEPTION_STACK: usize = 32 << 10;

/// Stacks so far.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Bytes of the stack in each slot.
static SIZES: [AtomicUsize; SLOTS] = [const { AtomicUsize::new(0) }; SLOTS];

/// A stack for ever; returns its top, which is aligned to a page.
pub(crate) fn allocate_stack(size: usize) -> *mut u8 {
    let slot = COUNT.fetch_add(1, Ordering::Relaxed);
    let top = BASE + (slot as u64 + 1) * SLOT as u64;
    let mapped = slot < SLOTS
        && (1..=size / PAGE).all(|index| {
            frames::take().is_some_and(|frame| {
                paging::map(top - (index * PAGE) as u64, frame, Protection::ReadWrite)
            })
        });
    if !mapped {
        stop::refuse(format_args!(
            "The machine has no memory left for a processor's stack: give QEMU -m 512 or more."
        ));
    }
    SIZES[slot].store(size, Ordering::Release);
    core::ptr::with_exposed_provenance_mut(top as usize)
}

/// Top of the stack in which `address` lies, if it does. Any IRQL, no lock.
pub(crate) fn stack_top_above(address: u64) -> Option<usize> {
    let slot = slot_of(address)?;
    let top = BASE as usize + (slot + 1) * SLOT;
    let size = SIZES[slot].load(Ordering::Acquire);
    (address as usize >= top - size).then_some(top)
}

/// Whether `address` lies in the unmapped part below a stack.
pub(super) fn is_guard(address: u64) -> bool {
    slot_of(address).is_some_and(|slot| {
        SIZES[slot].load(Ordering::Acquire) != 0 && stack_top_above(address).is_none()
    })
}

/// The slot in which `address` lies.
fn slot_of(address: u64) -> Option<usize> {
    let slot = (address.checked_sub(BASE)? / SLOT as u64) as usize;
    (slot < SLOTS).then_some(slot)
}
