//! `irq-target=fixed|rotate|SEED`: which processor takes a device's next interrupt.
//!
//! Windows promises no processor beyond the affinity of the interrupt. So, if the run asks
//! for it, all processors are in the affinity, and whoever takes an interrupt first sends
//! the next one elsewhere: a message by rewriting its address, a line by rewriting its
//! entry in the I/O APIC. That is done before the ISR is called, so that a message that is
//! sent meanwhile interrupts another processor, which then spins for the interrupt's lock.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::machine::cpu;
use crate::machine::interrupts::{message_for, retarget_line};
use crate::nt::interrupt::CHAINS;

/// Each interrupt goes to the same processor.
const FIXED: u64 = 0;
/// Each goes to the processor after the one before.
const ROTATE: u64 = 1;

/// [`FIXED`], [`ROTATE`], or the state of a generator that chooses.
static STATE: AtomicU64 = AtomicU64::new(FIXED);

/// Chooses how; `false` when the text says no way.
pub(crate) fn choose(text: &str) -> bool {
    let state = match text {
        "fixed" => Some(FIXED),
        "rotate" => Some(ROTATE),
        // A seed may look like neither of the other two.
        seed => seed.parse().ok().map(|seed: u64| seed | 1 << 63),
    };
    if let Some(state) = state {
        STATE.store(state, Ordering::Relaxed);
    }
    state.is_some()
}

/// The processors that take an interrupt, as a mask; `own` is the one of a fixed one.
pub(crate) fn affinity(own: usize) -> u64 {
    if STATE.load(Ordering::Relaxed) == FIXED {
        1 << own
    } else {
        (1 << cpu::processor_count()) - 1
    }
}

/// The processor that takes the next interrupt; `own` is the one of a fixed one. Any IRQL.
pub(super) fn following(own: usize) -> usize {
    match STATE.load(Ordering::Relaxed) {
        FIXED => own,
        ROTATE => (cpu::current_processor() + 1) % cpu::processor_count(),
        _ => chosen(),
    }
}

/// A processor by chance: Marsaglia's xorshift.
fn chosen() -> usize {
    let step = |mut state: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let before = STATE.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |state| {
        Some(step(state).max(ROTATE + 1))
    });
    let (Ok(number) | Err(number)) = before;
    let count = cpu::processor_count();
    // The upper bits are the better ones; any remainder is a processor.
    usize::try_from((number >> 32) % count as u64).unwrap_or(0)
}

/// An interrupt with this vector has come in here: the next of its device goes where it is
/// the turn of. At the vector's IRQL.
pub(super) fn pass_on(vector: u8) {
    if STATE.load(Ordering::Relaxed) == FIXED {
        return;
    }
    let Some(connection) = CHAINS.with(|chains| chains.get(&vector)?.first().cloned()) else {
        return;
    };
    let interrupt = connection.node.interrupt();
    let processor = following(interrupt.processor);
    match interrupt.line {
        Some(line) => retarget_line(line, processor),
        // The device does not send these itself.
        None if connection.message > 0 => {}
        None => {
            let message = message_for(vector, processor);
            connection.node.function().retarget_msi(&message);
        }
    }
}
