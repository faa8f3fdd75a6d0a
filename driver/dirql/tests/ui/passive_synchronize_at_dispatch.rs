//! A passive-level interrupt's event may have to be waited for, which a DPC may not.

use dirql::interrupt::passive::{PassiveClaim, PassiveInterrupt, PassiveServiceRoutine};
use dirql::irql::{Dispatch, PassiveSection};

struct Sensor {
    samples: u32,
}

impl PassiveServiceRoutine for Sensor {
    fn service(&mut self, _irql: &mut PassiveSection) -> PassiveClaim {
        PassiveClaim::NotOurs
    }
}

fn in_a_dpc(interrupt: &PassiveInterrupt<Sensor>, irql: &mut Dispatch) -> Option<u32> {
    interrupt.synchronize(irql, |_, sensor| sensor.samples)
}

fn main() {}
