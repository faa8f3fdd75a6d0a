//! Code at DIRQL, an ISR or a critical section, has no token that fits.

use dirql::interrupt::{Claim, Interrupt, ServiceRoutine};
use dirql::irql::{Dirql, Dispatch};

struct Registers {
    command: u32,
}

impl ServiceRoutine for Registers {
    fn service(&mut self, _irql: &mut Dirql) -> Claim {
        Claim::NotOurs
    }
}

fn program(interrupt: &Interrupt<Registers>, irql: &mut Dispatch) {
    interrupt.synchronize(irql, |irql, registers| {
        interrupt.synchronize(irql, |_, again| again.command = 2);
        registers.command = 1;
    });
}

fn main() {}
