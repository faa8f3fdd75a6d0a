//! IoStopTimer may not be called from the IoTimer routine.

use dirql::device::Device;
use dirql::io_timer::IoTimer;
use dirql::irql::Dispatch;

fn tick<E: IoTimer>(device: &Device<E>, irql: &mut Dispatch) {
    device.stop_io_timer(irql);
}

fn main() {}
