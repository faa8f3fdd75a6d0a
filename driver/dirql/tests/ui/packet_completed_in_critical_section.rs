//! Completing a packet starts the next: the DPC does that, after the critical section.

use dirql::interrupt::{Claim, Interrupt, ServiceRoutine};
use dirql::irql::{Dirql, Dispatch};
use dirql::start_io::Packet;

struct Registers {
    command: u32,
}

impl ServiceRoutine for Registers {
    fn service(&mut self, _irql: &mut Dirql) -> Claim {
        Claim::NotOurs
    }
}

fn finish(interrupt: &Interrupt<Registers>, irql: &mut Dispatch, packet: Packet) {
    interrupt.synchronize(irql, |irql, registers| {
        packet.complete(irql, Ok(registers.command));
    });
}

fn main() {}
