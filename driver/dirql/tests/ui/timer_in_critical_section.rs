//! Timers are for DISPATCH_LEVEL and below.

use dirql::device::Device;
use dirql::interrupt::{Claim, Interrupt, ServiceRoutine};
use dirql::irql::{Dirql, Dispatch};
use dirql::time::Due;
use dirql::timer::{CustomTimerDpc, Timer};

struct Tick;

impl CustomTimerDpc for Tick {
    type Extension = ();

    fn expired(_device: &Device<()>, _irql: &mut Dispatch) {}
}

struct Registers {
    command: u32,
}

impl ServiceRoutine for Registers {
    fn service(&mut self, _irql: &mut Dirql) -> Claim {
        Claim::NotOurs
    }
}

fn later(interrupt: &Interrupt<Registers>, timer: &Timer<Tick>, irql: &mut Dispatch) {
    interrupt.synchronize(irql, |irql, registers| {
        registers.command = 1;
        let _ = timer.start_once(irql, Due::after_ms(1));
    });
}

fn main() {}
