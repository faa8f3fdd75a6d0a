//! Address ranges of the upper half: device registers, guarded allocations,
//! driver images. Addresses are used once, with an unmapped page behind each piece;
//! only those of pool blocks ([`blocks`]) are used again.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use super::PAGE;
use super::frames;
use super::paging::{self, Protection};
use super::{blocks, objects, stacks};
use crate::machine::image;
use crate::machine::word::word;

/// A range whose addresses are given out in order, each once.
pub(super) struct Range {
    base: u64,
    length: u64,
    next: AtomicU64,
}

impl Range {
    /// An unused range.
    pub(super) const fn new(base: u64, length: u64) -> Self {
        Self {
            base,
            length,
            // The first page stays unmapped.
            next: AtomicU64::new(base + PAGE as u64),
        }
    }

    /// Addresses for `pages` pages, with an unmapped one behind.
    pub(super) fn take(&self, pages: usize) -> Option<u64> {
        let length = (pages as u64 + 1).checked_mul(PAGE as u64)?;
        self.next
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |next| {
                let end = next.checked_add(length)?;
                (end <= self.base + self.length).then_some(end)
            })
            .ok()
    }

    /// Whether an address is one of the range.
    fn contains(&self, address: u64) -> bool {
        address.wrapping_sub(self.base) < self.length
    }

    /// Panics unless all of a piece was given out from the range.
    pub(super) fn assert_holds(&self, address: u64, length: usize) {
        let last = address + (length.max(1) as u64 - 1);
        assert!(
            self.was_used(address) && self.was_used(last),
            "{length} bytes at {address:#x} are not of the range from {:#x}",
            self.base
        );
    }

    /// Whether an address was given out at some time, or is the page behind.
    pub(super) fn was_used(&self, address: u64) -> bool {
        self.contains(address) && address < self.next.load(Ordering::Acquire)
    }
}

/// Length of each range: 64 GiB.
const LENGTH: u64 = 64 << 30;

static DEVICES: Range = Range::new(0xffff_a000_0000_0000, LENGTH);
static GUARDED: Range = Range::new(0xffff_b000_0000_0000, LENGTH);
static IMAGES: Range = Range::new(0xffff_f800_0000_0000, LENGTH);

/// Pages that a piece of memory touches.
fn pages_of(address: u64, length: usize) -> usize {
    let offset = word(address) % PAGE;
    (offset + length).div_ceil(PAGE)
}

/// Maps device registers, uncached. `None` for an empty or an impossible range,
/// and when there is no memory for page tables. Any IRQL.
pub(crate) fn map_device(physical: u64, length: usize) -> Option<*mut u8> {
    // Physical addresses have at most 52 bits.
    if length == 0 || physical.checked_add(length as u64)? > 1 << 52 {
        return None;
    }
    let pages = pages_of(physical, length);
    let base = DEVICES.take(pages)?;
    let first = physical - physical % PAGE as u64;
    let mapped = (0..pages as u64).all(|index| {
        let offset = index * PAGE as u64;
        paging::map(base + offset, first + offset, Protection::Device)
    });
    if !mapped {
        // SAFETY: The addresses were just taken and have been given to nobody.
        unsafe { paging::unmap(base, pages, |_| {}) };
        return None;
    }
    let address = base + physical % PAGE as u64;
    Some(core::ptr::with_exposed_provenance_mut(word(address)))
}

/// Unmaps what [`map_device`] mapped: a later access faults. IRQL <= 2.
///
/// # Panics
/// When it is no device mapping.
pub(crate) fn unmap_device(address: *mut u8, length: usize) {
    let start = address.addr() as u64;
    let pages = pages_of(start, length);
    DEVICES.assert_holds(start, length);
    // SAFETY: What lies in this range was mapped by `map_device`, and is reached
    // through the raw pointer that it gave, never by reference.
    unsafe { paging::unmap(start - start % PAGE as u64, pages, |_| {}) };
}

/// Addresses for device registers where nothing is mapped, ever: each access faults.
/// `None` when there are none left. Any IRQL.
pub(crate) fn reserve_device(physical: u64, length: usize) -> Option<*mut u8> {
    let base = DEVICES.take(pages_of(physical, length))?;
    let address = base + physical % PAGE as u64;
    Some(core::ptr::with_exposed_provenance_mut(word(address)))
}

/// Memory of its own pages, between unmapped ones. It is not cleared. Any IRQL.
pub(crate) fn allocate_guarded(length: usize) -> Option<*mut u8> {
    map_memory(&GUARDED, length)
}

/// Memory in one piece that lies below `end`, for good: where it is mapped, and where it
/// lies. It is not cleared. Any IRQL.
pub(crate) fn allocate_low(pages: usize, end: u64) -> Option<(*mut u8, u64)> {
    let physical = frames::take_below((pages * PAGE) as u64, end)?;
    let base = GUARDED.take(pages)?;
    let is_mapped = (0..pages as u64).all(|index| {
        let offset = index * PAGE as u64;
        paging::map(base + offset, physical + offset, Protection::ReadWrite)
    });
    is_mapped.then(|| (core::ptr::with_exposed_provenance_mut(word(base)), physical))
}

/// Gives back what [`allocate_guarded`] gave: a later access faults. IRQL <= 2.
///
/// # Panics
/// When it is no guarded allocation.
pub(crate) fn free_guarded(address: *mut u8, length: usize) {
    GUARDED.assert_holds(address.addr() as u64, length);
    // SAFETY: What lies in this range was mapped by `allocate_guarded`, and is
    // reached through the raw pointer that it gave.
    unsafe { unmap_memory(address, length) };
}

/// Memory for a driver's image, writable until it is protected. It is not cleared.
pub(crate) fn map_driver_image(length: usize) -> Option<*mut u8> {
    map_memory(&IMAGES, length)
}

/// Sets what may be done on pages of a driver's image. IRQL <= 2.
///
/// # Safety
/// No reference leads to the pages whose use would be forbidden; what becomes
/// executable is code.
///
/// # Panics
/// When it is no driver image.
pub(crate) unsafe fn protect_driver_image(
    address: *mut u8,
    length: usize,
    protection: Protection,
) -> bool {
    let start = address.addr() as u64;
    IMAGES.assert_holds(start, length);
    // SAFETY: As this function's contract has it.
    unsafe { paging::protect(start, length.div_ceil(PAGE), protection) }
}

/// Gives a driver's image back: a later access faults. IRQL <= 2.
///
/// # Safety
/// No reference leads to the image, and no code runs in it.
///
/// # Panics
/// When it is no driver image.
pub(crate) unsafe fn unmap_driver_image(address: *mut u8, length: usize) {
    IMAGES.assert_holds(address.addr() as u64, length);
    // SAFETY: As this function's contract has it.
    unsafe { unmap_memory(address, length) };
}

/// Maps fresh frames.
fn map_memory(range: &Range, length: usize) -> Option<*mut u8> {
    if length == 0 {
        return None;
    }
    let pages = length.div_ceil(PAGE);
    let base = range.take(pages)?;
    let mapped = (0..pages).all(|index| {
        frames::take().is_some_and(|frame| {
            let at = base + (index * PAGE) as u64;
            let mapped = paging::map(at, frame, Protection::ReadWrite);
            if !mapped {
                frames::give_back(frame);
            }
            mapped
        })
    });
    if !mapped {
        // SAFETY: The addresses were just taken and have been given to nobody.
        unsafe { paging::unmap(base, pages, frames::give_back) };
        return None;
    }
    Some(core::ptr::with_exposed_provenance_mut(word(base)))
}

/// Unmaps memory and gives its frames back.
///
/// # Safety
/// No reference leads to the memory, and no code runs in it.
unsafe fn unmap_memory(address: *mut u8, length: usize) {
    let pages = length.div_ceil(PAGE);
    // SAFETY: As this function's contract has it.
    unsafe { paging::unmap(address.addr() as u64, pages, frames::give_back) };
}

/// Whether an address lies in a device mapping, or in one that is gone. Any IRQL.
pub(crate) fn is_device(address: u64) -> bool {
    DEVICES.was_used(address)
}

/// Whether a number is the address of something that only the kernel may know: of an image,
/// a stack, pool, an object, a mapping. Any IRQL.
pub(crate) fn is_kernels(address: u64) -> bool {
    let is_used = DEVICES.was_used(address)
        || GUARDED.was_used(address)
        || IMAGES.was_used(address)
        || blocks::was_block(address)
        || objects::is_object(address)
        || stacks::is_stack(address);
    // In the first page of a range there is nothing, but a small negative number behind
    // zeros looks as if it were there.
    is_used && (address & 0xffff_ffff) >= PAGE as u64
}

/// What lies at an address, in words, for the report of a fault. Takes no lock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place(pub(crate) u64);

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.0;
        if let Some(location) = image::Location::of(address) {
            return write!(formatter, "{location}");
        }
        formatter.write_str(if address < PAGE as u64 {
            "a null pointer, or a small offset from one"
        } else if stacks::is_guard(address) {
            "the guard pages below a stack, so the stack has run over"
        } else if stacks::is_stack(address) {
            "a stack"
        } else if DEVICES.was_used(address) {
            "a device mapping, or one that was unmapped, or the page behind one"
        } else if GUARDED.was_used(address) {
            "a guarded allocation, or one that was freed, or the page behind one"
        } else if blocks::was_block(address) {
            "a pool block, or one that was freed, or the page behind one"
        } else if objects::is_object(address) {
            "a kernel object"
        } else if IMAGES.was_used(address) {
            "a driver image, or one that was unloaded, or the page behind one"
        } else if address >> 47 == 0 {
            "physical memory where it lies, or nothing"
        } else {
            "an address that the rig does not use"
        })
    }
}
