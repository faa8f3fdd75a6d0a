//! Nor can the ISR's state keep a reference to one.

use dirql::interrupt::{Claim, ServiceRoutine};
use dirql::irql::Dirql;

struct Registers {
    level: Option<&'static mut Dirql>,
}

impl ServiceRoutine for Registers {
    fn service(&mut self, irql: &mut Dirql) -> Claim {
        self.level = Some(irql);
        Claim::NotOurs
    }
}

fn main() {}
