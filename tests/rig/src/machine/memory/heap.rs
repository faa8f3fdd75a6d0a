//! The heap behind `alloc`. Any IRQL: its lock disables interrupts.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;

use talc::DefaultBinning;
use talc::base::Talc;
use talc::source::Manual;

use super::frames;
use crate::machine::stop;
use crate::machine::sync::IrqLock;
use crate::machine::word::word;

/// Size of the heap: 96 MiB of the 512 that the rig asks for.
const HEAP: u64 = 96 << 20;

/// The allocator; it owns the memory that `initialize` gives it.
struct Heap(IrqLock<Talc<Manual, DefaultBinning>>);

#[global_allocator]
static ALLOCATOR: Heap = Heap(IrqLock::new(Talc::new(Manual)));

/// Gives the heap its memory; returns where. Once, before anything is allocated.
pub(super) fn initialize() -> (u64, u64) {
    let start = frames::take_contiguous(HEAP);
    let base = core::ptr::with_exposed_provenance_mut::<u8>(word(start));
    let claimed = ALLOCATOR.0.with(|talc| {
        // SAFETY: The frames were just taken for good, and are mapped where they
        // lie by the firmware's page tables now and by the rig's later.
        unsafe { talc.claim(base, word(HEAP)) }
    });
    if claimed.is_none() {
        stop::refuse(format_args!("The heap at {start:#x} could not be set up."));
    }
    (start, start + HEAP)
}

// SAFETY: Talc returns memory of the layout's size and alignment that nothing
// else has, or null; the lock makes each operation exclusive.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.0
            .with(|talc| {
                // SAFETY: `GlobalAlloc::alloc` is not called with a size of zero.
                unsafe { talc.allocate(layout) }
            })
            .map_or(core::ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        self.0.with(|talc| {
            // SAFETY: By the contract of `dealloc`, the memory came from `alloc`
            // with this layout.
            unsafe { talc.deallocate(pointer, layout) }
        });
    }
}
