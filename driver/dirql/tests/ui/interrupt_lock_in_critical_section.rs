//! The interrupt spin lock is held already.

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

fn twice(interrupt: &Interrupt<Registers>, irql: &mut Dispatch) {
    interrupt.synchronize(irql, |irql, registers| {
        interrupt.with_lock(irql, |_, again| again.command = 2);
        registers.command = 1;
    });
}

fn main() {}
