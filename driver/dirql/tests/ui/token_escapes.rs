//! The level ends with the closure, and so does its token.

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

fn keep<'a>(interrupt: &Interrupt<Registers>, irql: &'a mut Dispatch) -> Option<&'a mut Dirql> {
    interrupt.synchronize(irql, |irql, _| irql)
}

fn main() {}
