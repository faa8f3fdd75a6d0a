//! What the ISR shares: the registers, and what it counted and nobody has drained.

use dirql::{
    interrupt::passive::{PassiveClaim, PassiveServiceRoutine},
    irql::PassiveSection,
    wait,
};
use test_driver::EduBar;

/// What the work item takes out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Drained {
    /// Interrupts.
    pub(crate) count: u64,
    /// Runs of the work item that took something out.
    pub(crate) runs: u64,
}

impl Drained {
    pub(crate) fn add(&mut self, other: &Self) {
        self.count = self.count.wrapping_add(other.count);
        self.runs = self.runs.wrapping_add(other.runs);
    }
}

/// State of the interrupt.
#[derive(Debug)]
pub(crate) struct Sensor {
    bar: EduBar,
    /// Counted by the ISR, taken by the work item.
    waiting: u64,
    /// Interrupts that the ISR has claimed, ever.
    claimed: u64,
    /// The device is silent for good: sections that come after this one leave it so.
    is_silent: bool,
    /// Somebody is inside and waits.
    is_inside: bool,
    /// How often somebody came in who should not have.
    intrusions: u64,
}

impl Sensor {
    pub(crate) fn new(bar: EduBar) -> Self {
        Self {
            bar,
            waiting: 0,
            claimed: 0,
            is_silent: false,
            is_inside: false,
            intrusions: 0,
        }
    }

    pub(crate) fn silence(&mut self) {
        self.bar.silence();
        self.is_silent = true;
    }

    pub(crate) fn raise(&mut self, causes: u32) {
        if !self.is_silent {
            self.bar.raise(causes);
        }
    }

    pub(crate) const fn claimed(&self) -> u64 {
        self.claimed
    }

    pub(crate) const fn intrusions(&self) -> u64 {
        self.intrusions
    }

    pub(crate) fn drain(&mut self) -> Drained {
        let count = core::mem::take(&mut self.waiting);
        Drained {
            count,
            runs: u64::from(count != 0),
        }
    }

    /// An access over the bus: it takes a millisecond, and nobody else may come in
    /// meanwhile.
    pub(crate) fn use_bus(&mut self, irql: &mut PassiveSection) {
        if core::mem::replace(&mut self.is_inside, true) {
            self.intrusions = self.intrusions.wrapping_add(1);
        }
        wait::delay(irql, 1);
        self.is_inside = false;
    }
}

impl PassiveServiceRoutine for Sensor {
    fn service(&mut self, irql: &mut PassiveSection) -> PassiveClaim {
        let causes = self.bar.causes();
        // All ones: the device is gone.
        if causes == 0 || causes == u32::MAX {
            return PassiveClaim::NotOurs;
        }
        self.use_bus(irql);
        self.bar.acknowledge(causes);
        self.claimed = self.claimed.wrapping_add(1);
        self.waiting = self.waiting.wrapping_add(1);
        PassiveClaim::OursQueueWork
    }
}
