//! The ISR runs on any processor, so what it shares must be `Send`.

use std::rc::Rc;

use dirql::interrupt::{Claim, ServiceRoutine};
use dirql::irql::Dirql;

struct Shared {
    name: Rc<str>,
}

impl ServiceRoutine for Shared {
    fn service(&mut self, _irql: &mut Dirql) -> Claim {
        Claim::NotOurs
    }
}

fn main() {}
