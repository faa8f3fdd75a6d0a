//! What the ISR shares: the registers, and what it counted and nobody has drained.

use dirql::{
    interrupt::{Claim, ServiceRoutine},
    irql::Dirql,
};
use test_driver::EduBar;

/// A cause that the ISR deals with alone.
pub(crate) const QUIET_CAUSE: u32 = 1 << 31;

/// What a DPC takes out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Drained {
    /// Interrupts.
    pub(crate) count: u64,
    /// Their causes, together.
    pub(crate) causes: u32,
    /// DPC runs that took something out.
    pub(crate) runs: u64,
}

impl Drained {
    pub(crate) fn add(&mut self, other: &Self) {
        self.count = self.count.wrapping_add(other.count);
        self.causes |= other.causes;
        self.runs = self.runs.wrapping_add(other.runs);
    }
}

/// State of the interrupt.
#[derive(Debug)]
pub(crate) struct Shared {
    bar: EduBar,
    /// Counted by the ISR, taken by the DPC.
    waiting: Drained,
    /// Interrupts that the ISR has claimed, ever.
    claimed: u64,
}

impl Shared {
    pub(crate) fn new(bar: EduBar) -> Self {
        Self {
            bar,
            waiting: Drained::default(),
            claimed: 0,
        }
    }

    pub(crate) fn silence(&mut self) {
        self.bar.silence();
    }

    pub(crate) fn raise(&mut self, causes: u32) {
        self.bar.raise(causes);
    }

    pub(crate) const fn claimed(&self) -> u64 {
        self.claimed
    }

    pub(crate) fn drain(&mut self) -> Drained {
        let mut drained = core::mem::take(&mut self.waiting);
        drained.runs = u64::from(drained.count != 0);
        drained
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
        self.claimed = self.claimed.wrapping_add(1);
        if causes == QUIET_CAUSE {
            return Claim::Ours;
        }
        self.waiting.count = self.waiting.count.wrapping_add(1);
        self.waiting.causes |= causes;
        Claim::OursRequestDpc
    }
}
