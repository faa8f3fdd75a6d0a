//! The drivers below would run at DIRQL.

use dirql::device::Device;
use dirql::interrupt::{Claim, Interrupt, ServiceRoutine};
use dirql::irp::{Dispatched, Irp};
use dirql::irql::{Dirql, UpToDispatch};

struct Registers {
    command: u32,
}

impl ServiceRoutine for Registers {
    fn service(&mut self, _irql: &mut Dirql) -> Claim {
        Claim::NotOurs
    }
}

fn pass(
    device: &Device<()>,
    interrupt: &Interrupt<Registers>,
    irql: &mut UpToDispatch,
    irp: Irp,
) -> Option<Dispatched> {
    interrupt.synchronize(irql, |irql, _| irp.forward(device, irql))
}

fn main() {}
