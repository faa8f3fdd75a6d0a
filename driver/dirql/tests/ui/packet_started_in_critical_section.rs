//! StartIo is called by IoStartPacket, so a packet cannot be started at DIRQL.

use dirql::device::Device;
use dirql::interrupt::{Claim, Interrupt, ServiceRoutine};
use dirql::irp::PendingIrp;
use dirql::irql::{Dirql, Dispatch};
use dirql::start_io::StartIo;

struct Registers {
    command: u32,
}

impl ServiceRoutine for Registers {
    fn service(&mut self, _irql: &mut Dirql) -> Claim {
        Claim::NotOurs
    }
}

fn restart<E: StartIo>(
    device: &Device<E>,
    interrupt: &Interrupt<Registers>,
    irql: &mut Dispatch,
    irp: PendingIrp,
) {
    interrupt.synchronize(irql, |irql, registers| {
        registers.command = 1;
        device.start_packet(irql, irp);
    });
}

fn main() {}
