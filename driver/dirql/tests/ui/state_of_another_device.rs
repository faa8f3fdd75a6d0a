//! A critical section has the state of its own device, not another's.

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

fn copy(one: &Interrupt<Registers>, other: &Interrupt<Registers>, irql: &mut Dispatch) {
    one.synchronize(irql, |irql, registers| {
        other.synchronize(irql, |_, others| registers.command = others.command);
    });
}

fn main() {}
