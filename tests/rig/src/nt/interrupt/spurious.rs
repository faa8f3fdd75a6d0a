//! `spurious=SEED`: messages come in that no device has sent.
//!
//! By the clock, by chance, on any processor. The ISR finds no cause and says so. It is for
//! messages alone; what a line without a cause is to one device is another device's
//! interrupt, see [`neighbour`](super::neighbour).

use core::sync::atomic::{AtomicBool, Ordering};

use rig_protocol::IrqKind;

use crate::machine::cpu;
use crate::machine::interrupts::send_interrupt;
use crate::nt::chance::{self, Choice, one_of};
use crate::nt::interrupt::CHAINS;

/// Of so many clock interrupts one is followed by a message, on average.
const ONE_IN: u64 = 4;

/// Off unless the run asks for it.
static IS_ON: AtomicBool = AtomicBool::new(false);

/// Begins, with the seed that the text says; `false` when it says none.
pub(crate) fn choose(text: &str) -> bool {
    let is_seed = chance::begin_with(text);
    IS_ON.store(is_seed, Ordering::Relaxed);
    is_seed
}

/// Perhaps a message comes in. Each processor's clock.
pub(super) fn clock() {
    if !IS_ON.load(Ordering::Relaxed) {
        return;
    }
    let number = chance::number(Choice::Spurious);
    if !number.is_multiple_of(ONE_IN) {
        return;
    }
    let vector = CHAINS.with(|chains| {
        let messages = || {
            chains.iter().filter(|(_, chain)| {
                let first = chain.first();
                first.is_some_and(|first| first.node.interrupt().kind == IrqKind::Msi)
            })
        };
        let chosen = one_of(messages().count(), number / ONE_IN);
        messages().nth(chosen).map(|(vector, _)| *vector)
    });
    if let Some(vector) = vector {
        let processor = one_of(cpu::processor_count(), number >> 32);
        send_interrupt(processor, vector);
    }
}
