//! What the ISR shares: the registers, the operation, and how often each timer expired.

use dirql::{
    interrupt::{Claim, ServiceRoutine},
    irql::Dirql,
};
use test_driver::EduBar;

use crate::operation::{Late, Operation};

/// A timer, as it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    Once,
    Periodic,
    Coalescable,
    Rearming,
    IoTimer,
}

/// State of the interrupt.
#[derive(Debug)]
pub(crate) struct Shared {
    bar: EduBar,
    operation: Operation,
    /// Interrupts that the device is yet to lose: it is told to raise them, and is not.
    to_lose: u64,
    /// Expirations by timer. Written by the timers' routines.
    expired: [u64; 5],
    /// How often the timer that starts itself again is still to do so.
    again: u64,
}

impl Shared {
    pub(crate) const fn new(bar: EduBar) -> Self {
        Self {
            bar,
            operation: Operation::None,
            to_lose: 0,
            expired: [0; 5],
            again: 0,
        }
    }

    pub(crate) fn silence(&mut self) {
        self.bar.silence();
    }

    /// Begins an operation, of which the device loses so many interrupts.
    pub(crate) fn begin(&mut self, to_lose: u64) {
        self.to_lose = to_lose;
        self.operation = Operation::begin();
        self.raise();
    }

    pub(crate) const fn operation(&self) -> Operation {
        self.operation
    }

    /// DpcForIsr's critical section.
    pub(crate) fn interrupted(&mut self) {
        if self.operation.interrupted() {
            self.raise();
        }
    }

    /// IoTimer's critical section.
    pub(crate) fn second_passed(&mut self) -> Late {
        self.count(Counted::IoTimer);
        let late = self.operation.second_passed();
        if late == Late::Operation {
            self.bar.silence();
            self.raise();
        }
        late
    }

    pub(crate) fn fail(&mut self) {
        self.operation.fail();
    }

    pub(crate) fn count(&mut self, timer: Counted) {
        if let Some(count) = self.expired.get_mut(timer as usize) {
            *count = count.wrapping_add(1);
        }
    }

    pub(crate) fn expired(&self, timer: Counted) -> u64 {
        self.expired.get(timer as usize).copied().unwrap_or(0)
    }

    pub(crate) const fn set_again(&mut self, again: u64) {
        self.again = again;
    }

    /// Whether the timer is to start itself once more, which uses up one time.
    pub(crate) fn take_again(&mut self) -> bool {
        let left = self.again.checked_sub(1);
        self.again = left.unwrap_or(0);
        left.is_some()
    }

    /// Has the device interrupt, unless it loses that.
    fn raise(&mut self) {
        match self.to_lose.checked_sub(1) {
            Some(left) => self.to_lose = left,
            None => self.bar.raise(1),
        }
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
        Claim::OursRequestDpc
    }
}
