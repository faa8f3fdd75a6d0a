//! What the kernel keeps the address of must not move.

use dirql::device::Device;
use dirql::irql::{Dispatch, Passive};
use dirql::timer::{CustomTimerDpc, Timer};

struct Tick;

impl CustomTimerDpc for Tick {
    type Extension = Extension;

    fn expired(_device: &Device<Extension>, _irql: &mut Dispatch) {}
}

struct Extension {
    timer: Timer<Tick>,
}

fn start(device: &Device<Extension>, irql: &mut Passive) {
    let _ = device.timer.initialize(device, irql);
}

fn main() {}
