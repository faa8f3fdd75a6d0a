//! The ISR may run until the interrupt is disconnected, so its state borrows nothing.

use dirql::interrupt::{Claim, ServiceRoutine};
use dirql::irql::Dirql;

struct Shared<'a> {
    buffer: &'a mut [u8],
}

impl<'a> ServiceRoutine for Shared<'a> {
    fn service(&mut self, _irql: &mut Dirql) -> Claim {
        Claim::NotOurs
    }
}

fn main() {}
