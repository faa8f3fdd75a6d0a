//! A DPC routine may not wait, a threaded one neither, although it may be at PASSIVE_LEVEL.

use dirql::device::Device;
use dirql::dpc::{CustomDpc, CustomThreadedDpc};
use dirql::irql::{Dispatch, Threaded};
use dirql::wait;

struct Nap;

impl CustomDpc for Nap {
    type Extension = ();

    fn run(_device: &Device<()>, irql: &mut Dispatch) {
        wait::delay(irql, 1);
    }
}

impl CustomThreadedDpc for Nap {
    type Extension = ();

    fn run(_device: &Device<()>, irql: &mut Threaded) {
        wait::delay(irql, 1);
        let _ = irql.try_passive();
    }
}

fn main() {}
