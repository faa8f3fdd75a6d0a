//! A critical section inside another would wait for itself.

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
    interrupt.synchronize(irql, |_, registers| {
        interrupt.synchronize(irql, |_, again| again.command = 2);
        registers.command = 1;
    });
}

fn main() {}
