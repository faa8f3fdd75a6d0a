//! What is in a queue belongs to it, and may be completed at any moment.

use dirql::irp::PendingIrp;
use dirql::irp_queue::IrpQueue;
use dirql::irql::Dispatch;

fn put(queue: &IrpQueue, irql: &mut Dispatch, irp: PendingIrp) {
    if let Err(refused) = queue.insert(irql, irp) {
        refused.complete(irql);
    }
    irp.complete(irql, Ok(0));
}

fn main() {}
