//! A DPC is queued by its address, so it must not move.

use dirql::device::Device;
use dirql::dpc::{CustomDpc, Dpc, Placement};
use dirql::irql::{Dispatch, Passive};

struct Drain;

impl CustomDpc for Drain {
    type Extension = Extension;

    fn run(_device: &Device<Extension>, _irql: &mut Dispatch) {}
}

struct Extension {
    dpc: Dpc<Drain>,
}

fn start(device: &Device<Extension>, irql: &mut Passive) {
    let _ = device.dpc.initialize(device, irql, Placement::new());
}

fn main() {}
