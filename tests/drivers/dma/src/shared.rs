//! What the ISR shares: the registers, and whether the engine has done.

use dirql::{
    interrupt::{Claim, ServiceRoutine},
    irql::Dirql,
};
use test_driver::{DmaCommand, EduBar};

/// State of the interrupt.
#[derive(Debug)]
pub(crate) struct Shared {
    bar: EduBar,
    /// The engine has done, and no DPC knows.
    is_done: bool,
}

impl Shared {
    pub(crate) fn new(bar: EduBar) -> Self {
        Self {
            bar,
            is_done: false,
        }
    }

    pub(crate) fn silence(&mut self) {
        self.bar.silence();
        self.is_done = false;
    }

    pub(crate) fn start(&mut self, command: DmaCommand) {
        self.bar.start_dma(command);
    }

    /// Whether the engine runs; a device that is gone does not.
    pub(crate) fn is_running(&self) -> bool {
        self.bar.is_dma_running()
    }

    pub(crate) fn take_done(&mut self) -> bool {
        core::mem::take(&mut self.is_done)
    }
}

impl ServiceRoutine for Shared {
    fn service(&mut self, _irql: &mut Dirql) -> Claim {
        let causes = self.bar.causes();
        // All ones: the device is gone.
        if causes == 0 || causes == u32::MAX {
            return Claim::NotOurs;
        }
        self.bar.acknowledge(causes);
        if causes & EduBar::DMA_DONE == 0 {
            return Claim::Ours;
        }
        self.is_done = true;
        Claim::OursRequestDpc
    }
}
