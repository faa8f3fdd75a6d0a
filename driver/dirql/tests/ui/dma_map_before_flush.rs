//! The next part is mapped when the one before is flushed.

use dirql::{dma::MapRegisters, irp::PendingIrp, irql::Dispatch};

fn two_at_once(irql: &mut Dispatch, registers: MapRegisters<PendingIrp>) {
    let first = registers.map(irql, 512);
    let second = registers.map(irql, 512);
    drop((first, second));
}

fn main() {}
