//! An in-stack queued spin lock is an executive one too.

use dirql::interrupt::{Claim, Interrupt, ServiceRoutine};
use dirql::irql::{Dirql, Dispatch};
use dirql::spin_lock::QueuedSpinLock;

struct Registers {
    command: u32,
}

impl ServiceRoutine for Registers {
    fn service(&mut self, _irql: &mut Dirql) -> Claim {
        Claim::NotOurs
    }
}

fn both(interrupt: &Interrupt<Registers>, lock: &QueuedSpinLock<u32>, irql: &mut Dispatch) {
    interrupt.synchronize(irql, |irql, registers| {
        lock.with(irql, |_, value| registers.command = *value);
    });
}

fn main() {}
