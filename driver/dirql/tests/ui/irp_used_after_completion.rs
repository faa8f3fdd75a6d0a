//! The system buffer goes with the IRP that is completed.

use dirql::irp::{Buffers, Dispatched, Irp};
use dirql::irql::UpToDispatch;

fn finish(irp: Irp, irql: &mut UpToDispatch) -> Dispatched {
    let dispatched = irp.complete(irql, Ok(0));
    let _code = irp.control_code();
    dispatched
}

fn main() {}
