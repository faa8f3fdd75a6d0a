//! The event of a passive-level interrupt is held once: waiting for it again would never end.

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

fn twice(interrupt: &PassiveInterrupt<Sensor>, irql: &mut Passive) {
    interrupt.synchronize(irql, |irql, sensor| {
        sensor.samples = 1;
        interrupt.synchronize(irql, |_, again| again.samples = 2);
    });
}

fn main() {}
