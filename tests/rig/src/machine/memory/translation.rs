//! Telling all processors that page tables have changed.
//!
//! Whoever takes a mapping or a right away counts a generation up, interrupts the
//! others and waits until each has seen it. Nobody waits with a lock held, and who
//! waits answers the others' changes meanwhile, so two can wait for each other.

use core::sync::atomic::{AtomicU64, Ordering};

use x86_64::instructions::{interrupts, tlb};

use crate::machine::cpu;
use crate::machine::interrupts::{TRANSLATION_VECTOR, send_interrupt};
use crate::machine::time::SpinLimit;

/// Changes so far.
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// Latest change that each processor has seen.
static SEEN: [AtomicU64; cpu::MAX_PROCESSORS] = [const { AtomicU64::new(0) }; cpu::MAX_PROCESSORS];

/// Drops this processor's translations. Runs on its interrupt.
pub(crate) fn acknowledge_translation_change() {
    // On one processor from the look to the note of it.
    interrupts::without_interrupts(|| {
        let generation = GENERATION.load(Ordering::Acquire);
        tlb::flush_all();
        SEEN[cpu::current_processor()].fetch_max(generation, Ordering::AcqRel);
    });
}

/// Makes every processor drop its translations and waits until they have.
pub(super) fn flush_everywhere() {
    let generation = GENERATION.fetch_add(1, Ordering::AcqRel) + 1;
    let processors = cpu::processor_count();
    // The one that is left out is the one that has just done it.
    interrupts::without_interrupts(|| {
        acknowledge_translation_change();
        let this = cpu::current_processor();
        for processor in (0..processors).filter(|processor| *processor != this) {
            send_interrupt(processor, TRANSLATION_VECTOR);
        }
    });
    for seen in &SEEN[..processors] {
        let mut limit = SpinLimit::new("the other processors to drop their translations");
        while seen.load(Ordering::Acquire) < generation {
            acknowledge_translation_change();
            limit.spin();
        }
    }
}
