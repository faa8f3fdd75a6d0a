//! An IRP is completed at DISPATCH_LEVEL or below.

use dirql::irp::PendingIrp;
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

fn finish(interrupt: &Interrupt<Registers>, irql: &mut Dispatch, irp: PendingIrp) {
    interrupt.synchronize(irql, |irql, _| irp.complete(irql, Ok(0)));
}

fn main() {}
