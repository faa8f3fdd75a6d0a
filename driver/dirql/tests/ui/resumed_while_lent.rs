//! What was saved is lent without a token: whoever has it cannot resume the interrupt, which
//! would wait for it for ever.

use dirql::interrupt::{Claim, Interrupt, ServiceRoutine, Suspend};
use dirql::irql::{Dirql, Passive};

struct Shared;

impl ServiceRoutine for Shared {
    fn service(&mut self, _irql: &mut Dirql) -> Claim {
        Claim::NotOurs
    }
}

impl Suspend for Shared {
    type Saved = u32;

    fn save(&mut self, _irql: &mut Dirql) -> u32 {
        0
    }

    fn restore(&mut self, _irql: &mut Dirql, _saved: u32) {}
}

fn while_asleep(interrupt: &Interrupt<Shared, u32>, irql: &mut Passive) {
    interrupt.with_disconnected(irql, |_saved| interrupt.resume(irql));
}

fn main() {}
