//! What the ISR shares: the registers, and what it counted and nobody has drained.

use dirql::{
    interrupt::{Claim, DpcSet, ServiceRoutine},
    irql::Dirql,
};
use test_driver::EduBar;

/// A cause that the ISR deals with alone.
pub(crate) const QUIET_CAUSE: u32 = 1 << 31;
/// A cause for the other DPC.
pub(crate) const OTHER_CAUSE: u32 = 1 << 30;
/// The place of the other DPC in the list that the interrupt is connected with.
const OTHER: DpcSet = DpcSet::custom::<0>();

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

    fn note(&mut self, causes: u32) {
        self.count = self.count.wrapping_add(1);
        self.causes |= causes;
    }

    fn take(&mut self) -> Self {
        let mut taken = core::mem::take(self);
        taken.runs = u64::from(taken.count != 0);
        taken
    }
}

/// State of the interrupt.
#[derive(Debug)]
pub(crate) struct Shared {
    bar: EduBar,
    /// Counted by the ISR, taken by the DPC.
    waiting: Drained,
    /// The same for the other DPC.
    waiting_other: Drained,
    /// Interrupts that the ISR has claimed, ever.
    claimed: u64,
}

impl Shared {
    pub(crate) fn new(bar: EduBar) -> Self {
        Self {
            bar,
            waiting: Drained::default(),
            waiting_other: Drained::default(),
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
        self.waiting.take()
    }

    pub(crate) fn drain_other(&mut self) -> Drained {
        self.waiting_other.take()
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
        if causes & OTHER_CAUSE == 0 {
            self.waiting.note(causes);
            return Claim::OursRequestDpc;
        }
        self.waiting_other.note(OTHER_CAUSE);
        let rest = causes & !OTHER_CAUSE;
        if rest == 0 {
            return Claim::OursQueue(OTHER);
        }
        self.waiting.note(rest);
        Claim::OursQueue(OTHER.and(DpcSet::FOR_ISR))
    }
}
