//! Stacks: each in a slot of its own, with unmapped pages below.

use core::sync::atomic::{AtomicUsize, Ordering};

use super::PAGE;
use super::frames;
use super::paging::{self, Protection};
use crate::machine::stop;
use crate::machine::word::word;

/// Where the slots begin.
pub(super) const BASE: u64 = 0xffff_9000_0000_0000;

/// Distance between two stacks' tops; what a stack does not use is unmapped.
pub(super) const SLOT: usize = 1 << 20;

/// Stacks at most: each processor has its own and three for exceptions, and each
/// thread has one.
pub(super) const SLOTS: usize = 256;

/// Bytes of a processor's stack. Interrupts of all levels nest on it.
pub(crate) const PROCESSOR_STACK: usize = 256 << 10;

/// Bytes of a thread's stack. Interrupts of all levels nest on it.
pub(crate) const THREAD_STACK: usize = 128 << 10;

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
            "The machine has no memory left for a stack: give QEMU -m 512 or more."
        ));
    }
    SIZES[slot].store(size, Ordering::Release);
    core::ptr::with_exposed_provenance_mut(word(top))
}

/// What is mapped at and above `rsp` of the stack to which it belongs, as first
/// address and end; of a stack that has run over, all of it. Any IRQL, no lock.
pub(crate) fn stack_above(rsp: u64) -> Option<(usize, usize)> {
    let slot = slot_of(rsp)?;
    let size = SIZES[slot].load(Ordering::Acquire);
    let top = word(BASE) + (slot + 1) * SLOT;
    (size != 0).then_some((word(rsp).max(top - size), top))
}

/// Whether `address` lies in a stack.
pub(crate) fn is_stack(address: u64) -> bool {
    stack_above(address).is_some_and(|(start, _)| start == word(address))
}

/// Whether `address` lies in the unmapped part below a stack.
pub(crate) fn is_guard(address: u64) -> bool {
    stack_above(address).is_some_and(|(start, _)| start != word(address))
}

/// The slot in which `address` lies.
fn slot_of(address: u64) -> Option<usize> {
    let slot = word(address.checked_sub(BASE)?) / SLOT;
    (slot < SLOTS).then_some(slot)
}
