//! An IRP that was given to the device queue is StartIo's.

use dirql::device::Device;
use dirql::irp::{Dispatched, Irp};
use dirql::irql::UpToDispatch;
use dirql::start_io::StartIo;

fn start<E: StartIo>(device: &Device<E>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
    irp.pend(|irp| {
        device.start_packet(irql, irp);
        irp.complete(irql, Ok(0));
    })
}

fn main() {}
