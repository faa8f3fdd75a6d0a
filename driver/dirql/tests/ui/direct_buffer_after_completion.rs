//! The view of a locked buffer is gone with its request.

use dirql::{
    direct_io::DirectRequest,
    irp::{Dispatched, Irp},
    irql::UpToDispatch,
};

fn read_on(irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
    let mdl = irp.mdl();
    let dispatched = irp.complete(irql, Ok(0));
    if let Ok(mdl) = mdl {
        let _copied = mdl.copy_to(irql, 0, &mut [0; 4]);
    }
    dispatched
}

fn main() {}
