//! A device is given what a mapping says, and no physical address.

use dirql::{dma::LogicalAddress, resources::MemoryResource};

fn start_engine(_memory: LogicalAddress) {}

fn program(memory: &MemoryResource<'_>) {
    start_engine(memory.start());
}

fn main() {}
