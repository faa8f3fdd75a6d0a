//! A passive-level interrupt has no spin lock to acquire.

use dirql::interrupt::passive::{PassiveClaim, PassiveInterrupt, PassiveServiceRoutine};
use dirql::irql::{Passive, PassiveSection};

struct Sensor {
    samples: u32,
}

impl PassiveServiceRoutine for Sensor {
    fn service(&mut self, _irql: &mut PassiveSection) -> PassiveClaim {
        PassiveClaim::NotOurs
    }
}

fn lock(interrupt: &PassiveInterrupt<Sensor>, irql: &mut Passive) {
    interrupt.with_lock(irql, |_, sensor| sensor.samples = 1);
}

fn main() {}
