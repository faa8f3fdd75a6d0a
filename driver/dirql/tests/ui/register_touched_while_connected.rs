//! `connect` takes the registers: what started the device has none left to touch.

use dirql::device::Device;
use dirql::driver::DpcForIsr;
use dirql::interrupt::{Claim, Interrupt, ServiceRoutine};
use dirql::irql::{Dirql, Passive};
use dirql::resources::InterruptResource;

use core::pin::Pin;

struct Registers {
    command: u32,
}

impl ServiceRoutine for Registers {
    fn service(&mut self, _irql: &mut Dirql) -> Claim {
        Claim::NotOurs
    }
}

fn start<E: DpcForIsr>(
    device: &Device<E>,
    interrupt: Pin<&Interrupt<Registers>>,
    irql: &mut Passive,
    line: &InterruptResource<'_>,
    mut registers: Registers,
) {
    let _ = interrupt.connect(device, irql, line, registers, |_, _| ());
    registers.command = 1;
}

fn main() {}
