//! A dispatch routine returns what became of its IRP; nothing else makes that value.

use dirql::irp::{Dispatched, Irp};
use dirql::irql::UpToDispatch;

fn dispatch(irp: Irp, _irql: &mut UpToDispatch) -> Dispatched {
    drop(irp);
    Dispatched { status: 0 }
}

fn main() {}
