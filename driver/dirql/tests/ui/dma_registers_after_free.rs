//! Map registers are gone when they are freed.

use dirql::{dma::MapRegisters, irql::Dispatch, start_io::Packet};

fn map_again(irql: &mut Dispatch, registers: MapRegisters<Packet>) {
    let packet = registers.free(irql);
    let mapped = registers.map(irql, 512);
    drop((packet, mapped));
}

fn main() {}
