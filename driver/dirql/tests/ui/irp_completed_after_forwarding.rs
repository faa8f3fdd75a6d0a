//! A forwarded IRP is the lower driver's.

use dirql::device::Device;
use dirql::irp::{Dispatched, Irp};
use dirql::irql::UpToDispatch;

fn pass(device: &Device<()>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
    let dispatched = irp.forward(device, irql);
    irp.complete(irql, Ok(0));
    dispatched
}

fn main() {}
