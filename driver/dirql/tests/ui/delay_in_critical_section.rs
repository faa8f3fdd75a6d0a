//! Waiting at DIRQL would stop the processor for good.

use dirql::interrupt::{Claim, Interrupt, ServiceRoutine};
use dirql::irql::{Dirql, Dispatch};
use dirql::wait;

struct Registers {
    command: u32,
}

impl ServiceRoutine for Registers {
    fn service(&mut self, _irql: &mut Dirql) -> Claim {
        Claim::NotOurs
    }
}

fn settle(interrupt: &Interrupt<Registers>, irql: &mut Dispatch) {
    interrupt.synchronize(irql, |irql, registers| {
        registers.command = 1;
        wait::delay(irql, 1);
    });
}

fn main() {}
