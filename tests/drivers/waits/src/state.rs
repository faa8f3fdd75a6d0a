//! What the ISR shares, and what the checks count.

use core::sync::atomic::{AtomicU64, Ordering};

use dirql::{
    interrupt::{Claim, ServiceRoutine},
    irql::Dirql,
};
use test_driver::EduBar;

/// State of the interrupt.
#[derive(Debug)]
pub(crate) struct Shared {
    bar: EduBar,
    /// Counted by the ISR, taken by the DPC.
    count: u64,
}

impl Shared {
    pub(crate) fn new(bar: EduBar) -> Self {
        Self { bar, count: 0 }
    }

    pub(crate) fn silence(&mut self) {
        self.bar.silence();
    }

    pub(crate) fn raise(&mut self) {
        self.bar.raise(1);
    }

    pub(crate) fn take_count(&mut self) -> u64 {
        core::mem::take(&mut self.count)
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
        self.count = self.count.wrapping_add(1);
        Claim::OursRequestDpc
    }
}

/// A count that any thread adds to.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// What the checks count.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Requests that have come to a door.
    pub(crate) came: Count,
    /// Requests that have passed it.
    pub(crate) passed: Count,
    /// Runs of the work item.
    pub(crate) runs: Count,
}
