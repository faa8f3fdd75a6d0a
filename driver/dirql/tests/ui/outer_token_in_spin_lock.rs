//! While a spin lock raises the level, the lower token is frozen.

use dirql::irql::Passive;
use dirql::spin_lock::SpinLock;
use dirql::wait;

fn nap(lock: &SpinLock<u32>, irql: &mut Passive) {
    lock.with(irql, |_, _| wait::delay(irql, 1));
}

fn main() {}
