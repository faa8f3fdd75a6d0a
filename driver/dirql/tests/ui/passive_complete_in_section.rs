//! An IRP is completed outside, where nobody waits for the event meanwhile.

use dirql::interrupt::passive::{PassiveClaim, PassiveInterrupt, PassiveServiceRoutine};
use dirql::irp::{Dispatched, Irp};
use dirql::irql::{Passive, PassiveSection};

struct Sensor {
    samples: u32,
}

impl PassiveServiceRoutine for Sensor {
    fn service(&mut self, _irql: &mut PassiveSection) -> PassiveClaim {
        PassiveClaim::NotOurs
    }
}

fn read(
    interrupt: &PassiveInterrupt<Sensor>,
    irql: &mut Passive,
    irp: Irp,
) -> Option<Dispatched> {
    interrupt.synchronize(irql, |irql, sensor| {
        sensor.samples = 0;
        irp.complete(irql, Ok(0))
    })
}

fn main() {}
