//! The service routine runs with the interrupt lock held: it cannot be called without.

use dirql::interrupt::{Claim, ServiceRoutine};
use dirql::irql::{Dirql, Dispatch};

struct Registers {
    command: u32,
}

impl ServiceRoutine for Registers {
    fn service(&mut self, _irql: &mut Dirql) -> Claim {
        Claim::NotOurs
    }
}

fn poll(registers: &mut Registers, irql: &mut Dispatch) -> Claim {
    registers.service(irql)
}

fn main() {}
