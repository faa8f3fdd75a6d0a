//! What is lent while the device has no power is what was saved, not its registers.

use dirql::interrupt::{Claim, Interrupt, ServiceRoutine, Suspend};
use dirql::io_mem::{IoMem, ReadWrite, Register};
use dirql::irql::{Dirql, Passive};

const LENGTH: usize = 0x40;
const MODE: Register<LENGTH, 0x04, u32, ReadWrite> = Register::new();

struct Shared {
    registers: IoMem<LENGTH>,
}

#[derive(Clone, Copy)]
struct Saved {
    mode: u32,
}

impl ServiceRoutine for Shared {
    fn service(&mut self, _irql: &mut Dirql) -> Claim {
        Claim::NotOurs
    }
}

impl Suspend for Shared {
    type Saved = Saved;

    fn save(&mut self, _irql: &mut Dirql) -> Saved {
        Saved {
            mode: self.registers.read(MODE),
        }
    }

    fn restore(&mut self, _irql: &mut Dirql, saved: Saved) {
        self.registers.write(MODE, saved.mode);
    }
}

fn while_asleep(interrupt: &Interrupt<Shared, Saved>, irql: &mut Passive) {
    interrupt.with_disconnected(irql, |shared| shared.registers.write(MODE, 1));
}

fn main() {}
