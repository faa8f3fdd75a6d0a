//! What lets the device interrupt asks for `Dirql`, and before the interrupt is
//! connected nobody has one: `connect` lends it to its `arm` closure, last of all.

use dirql::interrupt::{Claim, ServiceRoutine};
use dirql::irql::{Dirql, Passive};

struct Registers {
    enabled: bool,
}

impl Registers {
    fn enable(&mut self, _irql: &mut Dirql) {
        self.enabled = true;
    }
}

impl ServiceRoutine for Registers {
    fn service(&mut self, _irql: &mut Dirql) -> Claim {
        Claim::NotOurs
    }
}

fn start_device(irql: &mut Passive) -> Registers {
    let mut registers = Registers { enabled: false };
    registers.enable(irql);
    registers
}

fn main() {}
