//! A critical section does not allocate.

use dirql::interrupt::{Claim, Interrupt, ServiceRoutine};
use dirql::irql::{Dirql, Dispatch};
use dirql::pool::{PoolBox, PoolVec, Tag};

const TAG: Tag = Tag::new(*b"Test");

struct Registers {
    command: u32,
}

impl ServiceRoutine for Registers {
    fn service(&mut self, _irql: &mut Dirql) -> Claim {
        Claim::NotOurs
    }
}

fn keep(interrupt: &Interrupt<Registers>, log: &mut PoolVec<u32>, irql: &mut Dispatch) {
    interrupt.synchronize(irql, |irql, registers| {
        let _ = PoolBox::new(irql, TAG, registers.command);
        let _ = log.push(irql, registers.command);
    });
}

fn main() {}
