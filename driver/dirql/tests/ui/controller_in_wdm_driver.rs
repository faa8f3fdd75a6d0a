//! Controller objects are not for drivers with an AddDevice routine.

use dirql::device::Device;
use dirql::driver::{Driver, Routines, Stop};
use dirql::irp::{Dispatched, Irp};
use dirql::irql::{Passive, UpToDispatch};
use dirql::legacy::Controller;
use dirql::resources::Resources;
use dirql::start_io::Packet;
use dirql::status::Result;

struct Disk;

impl Driver for Disk {
    const ROUTINES: Routines<Self> = Routines::new();
    const INTERFACE: Option<uuid::Uuid> = None;

    fn add_device(_irql: &mut Passive) -> Result<Self> {
        Ok(Self)
    }

    fn start_device(_: &Device<Self>, _: &mut Passive, _: &Resources<'_>) -> Result<()> {
        Ok(())
    }

    fn stop_device(_: &Device<Self>, _: &mut Passive, _why: Stop) -> Option<Packet> {
        None
    }

    fn device_control(_: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        irp.complete(irql, Ok(0))
    }
}

fn share(_controller: &Controller<Disk>) {}

fn main() {}
