//! The interrupt's state is out of reach outside a critical section.

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

fn program(interrupt: &Interrupt<Registers>, _irql: &mut Dispatch) {
    interrupt.command = 1;
}

fn main() {}
