//! The transfer owns its request: it cannot be completed while the device reaches its buffer.

use dirql::{dma::MapRegisters, irql::Dispatch, start_io::Packet};

fn program_and_complete(irql: &mut Dispatch, registers: MapRegisters<Packet>) {
    let packet = registers.request();
    if let Ok(mapped) = registers.map(irql, 2048) {
        packet.complete_transfer(irql, Ok(2048));
        let (registers, _) = mapped.flush(irql);
        let _packet = registers.free(irql);
    }
}

fn main() {}
