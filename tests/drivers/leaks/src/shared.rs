//! What the ISR shares.

use dirql::{
    interrupt::{Claim, ServiceRoutine},
    irql::Dirql,
};
use test_driver::EduBar;

/// The state of the interrupt.
#[derive(Debug)]
pub(crate) struct Shared {
    bar: EduBar,
    /// Interrupts that DpcForIsr has not come to.
    pending: u64,
    /// Those that it has.
    drained: u64,
}

impl Shared {
    pub(crate) const fn new(bar: EduBar) -> Self {
        Self {
            bar,
            pending: 0,
            drained: 0,
        }
    }

    pub(crate) fn raise(&mut self) {
        self.bar.raise(1 << 4);
    }

    pub(crate) fn silence(&mut self) {
        self.bar.silence();
    }

    /// DpcForIsr has come; how many it has come to in all.
    pub(crate) const fn drained(&mut self) -> u64 {
        self.drained = self.drained.saturating_add(self.pending);
        self.pending = 0;
        self.drained
    }
}

impl ServiceRoutine for Shared {
    fn service(&mut self, _irql: &mut Dirql) -> Claim {
        let causes = self.bar.causes();
        if causes == 0 {
            return Claim::NotOurs;
        }
        self.bar.acknowledge(causes);
        self.pending = self.pending.saturating_add(1);
        Claim::OursRequestDpc
    }
}
