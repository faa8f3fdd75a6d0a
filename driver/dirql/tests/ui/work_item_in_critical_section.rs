//! A work item is queued at DISPATCH_LEVEL at most: the DPC queues it.

use dirql::device::Device;
use dirql::interrupt::{Claim, Interrupt, ServiceRoutine};
use dirql::irql::{Dirql, Dispatch, Passive};
use dirql::work_item::{WorkItem, WorkRoutine};

struct Registers {
    command: u32,
}

impl ServiceRoutine for Registers {
    fn service(&mut self, _irql: &mut Dirql) -> Claim {
        Claim::NotOurs
    }
}

struct Recover;

impl WorkRoutine for Recover {
    type Extension = ();

    fn run(_device: &Device<()>, _irql: &mut Passive) {}
}

fn recover(interrupt: &Interrupt<Registers>, work: &WorkItem<Recover>, irql: &mut Dispatch) {
    interrupt.synchronize(irql, |irql, registers| {
        registers.command = 0;
        work.queue(irql).is_ok()
    });
}

fn main() {}
