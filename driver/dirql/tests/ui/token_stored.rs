//! A token belongs to a call. It cannot be moved into something that outlives it.

use dirql::irql::Dispatch;

struct Later {
    level: Dispatch,
}

fn keep(irql: &mut Dispatch) -> Later {
    Later { level: *irql }
}

fn main() {}
