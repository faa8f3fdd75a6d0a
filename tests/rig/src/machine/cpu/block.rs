//! Which processor is this? The GS base points at its block.

use core::arch::asm;
use core::sync::atomic::{AtomicUsize, Ordering};

use x86_64::VirtAddr;
use x86_64::registers::model_specific::GsBase;

/// Processors that the rig can run.
pub(crate) const MAX_PROCESSORS: usize = 8;

/// What a processor finds at its GS base.
#[derive(Debug)]
#[repr(C, align(64))]
struct Block {
    /// Index of the processor. `current_processor` reads it at offset 0.
    index: usize,
    /// The thread that runs here, as the executive names it. `current_thread` reads
    /// it at offset 8.
    thread: AtomicUsize,
}

static BLOCKS: [Block; MAX_PROCESSORS] = {
    let mut blocks = [const {
        Block {
            index: 0,
            thread: AtomicUsize::new(0),
        }
    }; MAX_PROCESSORS];
    let mut index = 0;
    while index < MAX_PROCESSORS {
        blocks[index].index = index;
        index += 1;
    }
    blocks
};

/// Processors that run.
static COUNT: AtomicUsize = AtomicUsize::new(1);

/// Makes this processor `index`. The first thing that a processor does.
///
/// The firmware does not use GS, so processor 0 may do so while it still runs.
pub(crate) fn install_block(index: usize) {
    GsBase::write(VirtAddr::from_ptr(&raw const BLOCKS[index]));
}

/// Index of this processor. Any IRQL; below `DISPATCH_LEVEL` the thread that asks may
/// be on another one when it gets the answer, so there it is read anew each time.
pub(crate) fn current_processor() -> usize {
    let index;
    // SAFETY: `install_block` was the first thing that this processor did, so GS
    // points at its block, whose index is never written: a plain read.
    unsafe {
        asm!("mov {}, gs:[0]", out(reg) index, options(readonly, nostack, preserves_flags));
    }
    index
}

/// The thread that runs here, or zero. Any IRQL; one instruction, so the answer is
/// the asking thread's own wherever it is.
pub(crate) fn current_thread() -> usize {
    let thread;
    // SAFETY: As in `current_processor`; an aligned read of a word that only this
    // processor writes.
    unsafe {
        asm!("mov {}, gs:[8]", out(reg) thread, options(readonly, nostack, preserves_flags));
    }
    thread
}

/// Says which thread runs here. Interrupts are disabled.
pub(crate) fn set_current_thread(thread: usize) {
    if let Some(block) = BLOCKS.get(current_processor()) {
        block.thread.store(thread, Ordering::Relaxed);
    }
}

/// Number of processors that run. Any IRQL.
pub(crate) fn processor_count() -> usize {
    COUNT.load(Ordering::Acquire)
}

/// One processor more runs.
pub(super) fn count_processor() {
    COUNT.fetch_add(1, Ordering::AcqRel);
}
