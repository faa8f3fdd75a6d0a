//! How long it is from an ISR's begin to the begin of the DPC that it asks for, while a
//! load is under way. At other times this costs one look at a flag.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::machine::cpu::{self, MAX_PROCESSORS};
use crate::machine::sync::IrqLock;
use crate::machine::time::counter;

/// A load is under way.
static IS_MEASURED: AtomicBool = AtomicBool::new(false);
/// When the ISR began that runs on each processor; zero when none does.
static ISR_BEGAN: [AtomicU64; MAX_PROCESSORS] = [const { AtomicU64::new(0) }; MAX_PROCESSORS];
/// What was measured, in counts.
static SAMPLES: IrqLock<Vec<u64>> = IrqLock::new(Vec::new());

/// Begins to measure, about so many times.
pub(super) fn begin(count: usize) {
    SAMPLES.with(|samples| *samples = Vec::with_capacity(count));
    IS_MEASURED.store(true, Ordering::Release);
}

/// Measures no more; what was measured.
pub(super) fn end() -> Vec<u64> {
    IS_MEASURED.store(false, Ordering::Release);
    SAMPLES.with(core::mem::take)
}

/// Calls an ISR, at its IRQL.
pub(crate) fn around_isr<R>(isr: impl FnOnce() -> R) -> R {
    if !IS_MEASURED.load(Ordering::Acquire) {
        return isr();
    }
    let Some(began) = ISR_BEGAN.get(cpu::current_processor()) else {
        return isr();
    };
    // Another device's ISR may have been interrupted.
    let outer = began.swap(counter(), Ordering::Relaxed);
    let result = isr();
    began.store(outer, Ordering::Relaxed);
    result
}

/// When the ISR began that runs here and asks for a DPC; zero when none does or nothing is
/// measured. Interrupts are disabled.
pub(crate) fn isr_began() -> u64 {
    ISR_BEGAN
        .get(cpu::current_processor())
        .map_or(0, |began| began.load(Ordering::Relaxed))
}

/// The DPC is about to begin for which an ISR asked that began then.
pub(crate) fn dpc_begins(isr_began: u64) {
    if isr_began != 0 && IS_MEASURED.load(Ordering::Acquire) {
        let took = counter().saturating_sub(isr_began);
        SAMPLES.with(|samples| samples.push(took));
    }
}
