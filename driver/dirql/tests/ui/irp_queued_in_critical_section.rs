//! A cancel-safe queue takes a spin lock, and may complete what it is given.

use dirql::interrupt::{Claim, Interrupt, ServiceRoutine};
use dirql::irql::{Dirql, Dispatch};
use dirql::irp::PendingIrp;
use dirql::irp_queue::IrpQueue;

struct Registers {
    command: u32,
}

impl ServiceRoutine for Registers {
    fn service(&mut self, _irql: &mut Dirql) -> Claim {
        Claim::NotOurs
    }
}

fn put(
    interrupt: &Interrupt<Registers>,
    queue: &IrpQueue,
    irql: &mut Dispatch,
    irp: PendingIrp,
) {
    interrupt.synchronize(irql, |irql, registers| {
        registers.command = 1;
        let _ = queue.insert(irql, irp);
    });
}

fn main() {}
