//! An interrupt whose state does not say what to save cannot be suspended.

use dirql::interrupt::{Claim, Interrupt, ServiceRoutine};
use dirql::irql::{Dirql, Passive};

struct Shared;

impl ServiceRoutine for Shared {
    fn service(&mut self, _irql: &mut Dirql) -> Claim {
        Claim::NotOurs
    }
}

fn power_down(interrupt: &Interrupt<Shared>, irql: &mut Passive) {
    interrupt.suspend(irql);
}

fn main() {}
