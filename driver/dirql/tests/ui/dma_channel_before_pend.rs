//! An IRP is pended before an adapter may keep it.

use dirql::{dma::MapRegisters, irp::Irp};

fn keep(_registers: MapRegisters<Irp>) {}

fn main() {}
