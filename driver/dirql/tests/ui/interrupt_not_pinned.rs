//! The kernel calls the ISR with the interrupt's address.

use dirql::device::Device;
use dirql::driver::DpcForIsr;
use dirql::interrupt::{Claim, Interrupt, ServiceRoutine};
use dirql::irql::{Dirql, Passive};
use dirql::resources::InterruptResource;

struct Registers {
    command: u32,
}

impl ServiceRoutine for Registers {
    fn service(&mut self, _irql: &mut Dirql) -> Claim {
        Claim::NotOurs
    }
}

fn start<E: DpcForIsr>(device: &Device<E>, irql: &mut Passive, line: &InterruptResource<'_>) {
    let interrupt = Interrupt::new();
    let registers = Registers { command: 0 };
    let _ = interrupt.connect(device, irql, line, registers, |_, _| ());
}

fn main() {}
