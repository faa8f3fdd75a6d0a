//! A driver that says that its device sleeps says how.

use dirql::device::Device;
use dirql::driver::{Driver, Routines, Stop};
use dirql::irp::{Dispatched, Irp};
use dirql::irql::{Passive, UpToDispatch};
use dirql::resources::Resources;
use dirql::start_io::Packet;
use dirql::status::Result;
use uuid::Uuid;

struct Sleeper;

impl Driver for Sleeper {
    const ROUTINES: Routines<Self> = Routines::new().power();
    const INTERFACE: Option<Uuid> = None;

    fn add_device(_irql: &mut Passive) -> Result<Self> {
        Ok(Self)
    }

    fn start_device(_: &Device<Self>, _: &mut Passive, _: &Resources<'_>) -> Result<()> {
        Ok(())
    }

    fn stop_device(_: &Device<Self>, _: &mut Passive, _: Stop) -> Option<Packet> {
        None
    }

    fn device_control(_: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        irp.complete(irql, Ok(0))
    }
}

fn main() {}
