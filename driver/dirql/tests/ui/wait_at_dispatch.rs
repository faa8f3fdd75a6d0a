//! Waiting needs PASSIVE_LEVEL.

use dirql::irql::Dispatch;
use dirql::wait;

fn nap(irql: &mut Dispatch) {
    wait::delay(irql, 1);
}

fn main() {}
