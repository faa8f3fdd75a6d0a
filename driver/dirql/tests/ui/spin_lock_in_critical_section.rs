//! An executive spin lock stops at DISPATCH_LEVEL.

use dirql::spin_lock::SpinLock;
use dirql::interrupt::{Claim, Interrupt, ServiceRoutine};
use dirql::irql::{Dirql, Dispatch};

struct Registers {
    command: u32,
}

impl ServiceRoutine for Registers {
    fn service(&mut self, _irql: &mut Dirql) -> Claim {
        Claim::NotOurs
    }
}

fn both(interrupt: &Interrupt<Registers>, lock: &SpinLock<u32>, irql: &mut Dispatch) {
    interrupt.synchronize(irql, |irql, registers| {
        lock.with(irql, |_, value| registers.command = *value);
    });
}

fn main() {}
