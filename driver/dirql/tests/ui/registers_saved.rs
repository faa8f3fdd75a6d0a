//! Registers are not saved: what is saved is plain data.

use dirql::interrupt::{Claim, ServiceRoutine, Suspend};
use dirql::io_mem::IoMem;
use dirql::irql::Dirql;

struct Shared {
    registers: Option<IoMem<0x40>>,
}

impl ServiceRoutine for Shared {
    fn service(&mut self, _irql: &mut Dirql) -> Claim {
        Claim::NotOurs
    }
}

impl Suspend for Shared {
    type Saved = Option<IoMem<0x40>>;

    fn save(&mut self, _irql: &mut Dirql) -> Self::Saved {
        self.registers.take()
    }

    fn restore(&mut self, _irql: &mut Dirql, saved: Self::Saved) {
        self.registers = saved;
    }
}

fn main() {}
