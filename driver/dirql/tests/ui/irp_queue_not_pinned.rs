//! The system keeps the queue's address.

use dirql::device::Device;
use dirql::irp_queue::IrpQueue;
use dirql::irql::Passive;

struct Extension {
    queue: IrpQueue,
}

fn start(device: &Device<Extension>, irql: &mut Passive) {
    let _ = device.queue.initialize(device, irql);
}

fn main() {}
