//! Setting an event may wake a thread, which is not done at DIRQL: the DPC sets it.

use core::pin::Pin;

use dirql::event::Event;
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

fn tell(interrupt: &Interrupt<Registers>, done: Pin<&Event>, irql: &mut Dispatch) {
    interrupt.synchronize(irql, |irql, registers| {
        registers.command = 0;
        done.set(irql);
    });
}

fn main() {}
