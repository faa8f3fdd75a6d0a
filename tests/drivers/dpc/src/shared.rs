//! What the ISR shares: the registers, interrupts not yet seen by a DPC, and which DPC ran
//! when.

use dirql::{
    interrupt::{Claim, ServiceRoutine},
    irql::Dirql,
};
use test_driver::EduBar;

/// Runs that are remembered in order.
const REMEMBERED: usize = 16;

/// A DPC, as it is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Ran {
    Nothing,
    First,
    Second,
    High,
    Low,
    Targeted,
    Preempted,
}

/// Which DPCs ran, in order, since this was last taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Runs {
    order: [Ran; REMEMBERED],
    /// How many ran, remembered or not.
    pub(crate) count: usize,
}

impl Runs {
    const NONE: Self = Self {
        order: [Ran::Nothing; REMEMBERED],
        count: 0,
    };

    /// Whether just these ran, in this order.
    pub(crate) fn are(&self, runs: &[Ran]) -> bool {
        self.count == runs.len() && self.order.starts_with(runs)
    }

    fn note(&mut self, ran: Ran) {
        if let Some(place) = self.order.get_mut(self.count) {
            *place = ran;
        }
        self.count = self.count.saturating_add(1);
    }
}

/// State of the interrupt.
#[derive(Debug)]
pub(crate) struct Shared {
    bar: EduBar,
    /// Written by every DPC, taken by the checks.
    runs: Runs,
    /// Interrupts that no DPC has drained yet: counted by the ISR, taken by `First`.
    waiting: u64,
    /// Interrupts that `First` has drained, ever.
    drained: u64,
    /// The processor on which `Targeted` ran last.
    processor: u32,
    /// Whether a DPC ran in the middle of `Preempted`, the last time.
    was_preempted: bool,
}

impl Shared {
    pub(crate) const fn new(bar: EduBar) -> Self {
        Self {
            bar,
            runs: Runs::NONE,
            waiting: 0,
            drained: 0,
            processor: u32::MAX,
            was_preempted: false,
        }
    }

    pub(crate) fn silence(&mut self) {
        self.bar.silence();
    }

    pub(crate) fn raise(&mut self, causes: u32) {
        self.bar.raise(causes);
    }

    pub(crate) fn note(&mut self, ran: Ran) {
        self.runs.note(ran);
    }

    pub(crate) const fn runs(&self) -> Runs {
        self.runs
    }

    /// The runs since the last time.
    pub(crate) const fn take_runs(&mut self) -> Runs {
        core::mem::replace(&mut self.runs, Runs::NONE)
    }

    /// Drains what the ISR counted.
    pub(crate) fn drain(&mut self) {
        let waiting = core::mem::take(&mut self.waiting);
        self.drained = self.drained.wrapping_add(waiting);
    }

    pub(crate) const fn drained(&self) -> u64 {
        self.drained
    }

    pub(crate) const fn ran_on(&mut self, processor: u32) {
        self.processor = processor;
    }

    pub(crate) const fn processor(&self) -> u32 {
        self.processor
    }

    pub(crate) const fn set_was_preempted(&mut self, was_preempted: bool) {
        self.was_preempted = was_preempted;
    }

    pub(crate) const fn was_preempted(&self) -> bool {
        self.was_preempted
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
        self.waiting = self.waiting.wrapping_add(1);
        Claim::OursRequestDpc
    }
}
