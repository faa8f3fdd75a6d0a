//! `irq-target=fixed|rotate|SEED`: which processor takes a device's next interrupt.
//!
//! Windows promises no processor beyond the affinity of the interrupt. So, if the run asks
//! for it, all processors are in the affinity, and whoever takes an interrupt first sends
//! the next one elsewhere: a message by rewriting its address, a line by rewriting its
//! entry in the I/O APIC. That is done before the ISR is called, so that a message that is
//! sent meanwhile interrupts another processor, which then spins for the interrupt's lock.

use core::sync::atomic::{AtomicBool, Ordering};

use crate::machine::cpu;
use crate::machine::interrupts::{message_for, retarget_line};
use crate::nt::chance::{self, Choice, one_of};
use crate::nt::interrupt::CHAINS;

/// Processors take turns.
static TAKE_TURNS: AtomicBool = AtomicBool::new(false);
/// Processors are chosen.
static ARE_CHOSEN: AtomicBool = AtomicBool::new(false);

/// Chooses how; `false` when the text says no way.
pub(crate) fn choose(text: &str) -> bool {
    match text {
        "fixed" => true,
        "rotate" => {
            TAKE_TURNS.store(true, Ordering::Relaxed);
            true
        }
        seed => {
            let is_seed = chance::begin_with(seed);
            ARE_CHOSEN.store(is_seed, Ordering::Relaxed);
            is_seed
        }
    }
}

/// Whether each interrupt goes to the same processor.
fn is_fixed() -> bool {
    !TAKE_TURNS.load(Ordering::Relaxed) && !ARE_CHOSEN.load(Ordering::Relaxed)
}

/// The processors that take an interrupt, as a mask; `own` is the one of a fixed one.
pub(crate) fn affinity(own: usize) -> u64 {
    if is_fixed() {
        1 << own
    } else {
        (1 << cpu::processor_count()) - 1
    }
}

/// The processor that takes the next interrupt; `own` is the one of a fixed one. Any IRQL.
pub(super) fn following(own: usize) -> usize {
    let count = cpu::processor_count();
    if ARE_CHOSEN.load(Ordering::Relaxed) {
        one_of(count, chance::number(Choice::Target))
    } else if TAKE_TURNS.load(Ordering::Relaxed) {
        (cpu::current_processor() + 1) % count
    } else {
        own
    }
}

/// An interrupt with this vector has come in here: the next of its device goes where it is
/// the turn of. At the vector's IRQL.
pub(super) fn pass_on(vector: u8) {
    if is_fixed() {
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
