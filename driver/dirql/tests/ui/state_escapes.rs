//! The state cannot leave the critical section.

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

fn leak<'a>(interrupt: &'a Interrupt<Registers>, irql: &mut Dispatch) -> Option<&'a mut Registers> {
    interrupt.synchronize(irql, |_, registers| registers)
}

fn main() {}
