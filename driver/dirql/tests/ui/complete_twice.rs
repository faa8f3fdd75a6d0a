//! Completing consumes the IRP.

use dirql::irp::{Dispatched, Irp};
use dirql::irql::UpToDispatch;

fn finish(irp: Irp, irql: &mut UpToDispatch) -> Dispatched {
    let first = irp.complete(irql, Ok(0));
    irp.complete(irql, Ok(0));
    first
}

fn main() {}
