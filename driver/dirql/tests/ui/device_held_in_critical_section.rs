//! The remove lock is for DISPATCH_LEVEL and below.

use dirql::device::Device;
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

fn keep(device: &Device<()>, interrupt: &Interrupt<Registers>, irql: &mut Dispatch) {
    interrupt.synchronize(irql, |irql, registers| {
        registers.command = 1;
        let _ = device.hold(irql);
    });
}

fn main() {}
