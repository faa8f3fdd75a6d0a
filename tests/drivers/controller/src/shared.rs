//! What the ISR shares: the registers, and a record of whose turn it was.

use dirql::{
    interrupt::{Claim, ServiceRoutine},
    irql::Dirql,
};
use test_driver::EduBar;

/// The cause that the device raises when a factorial is ready.
const FACTORIAL: u32 = 1;

/// The state of the interrupt.
#[derive(Debug)]
pub(crate) struct Shared {
    bar: EduBar,
    /// A turn is under way: written when one begins and ends, so by whoever has the
    /// controller.
    busy: bool,
    /// The result that the ISR has saved.
    result: Option<u32>,
    record: Record,
}

/// What was seen; every field only grows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Record {
    /// Turns that began, by unit.
    pub(crate) turns: [u64; 2],
    /// Turns that began while another was under way: never, if the controller object
    /// does what it is for.
    pub(crate) overlaps: u64,
    /// Results that the ISR saved.
    pub(crate) results: u64,
}

impl Shared {
    /// With the registers of a device that was silenced.
    pub(crate) const fn new(bar: EduBar) -> Self {
        Self {
            bar,
            busy: false,
            result: None,
            record: Record {
                turns: [0; 2],
                overlaps: 0,
                results: 0,
            },
        }
    }

    /// No interrupt any more.
    pub(crate) fn silence(&mut self) {
        self.bar.silence();
    }

    /// A turn that ends with an interrupt.
    pub(crate) fn start_factorial(&mut self, unit: usize, n: u32) {
        self.begin(unit);
        self.result = None;
        self.bar.start_factorial(n);
    }

    /// Ends the turn; its result.
    pub(crate) const fn take_result(&mut self) -> Option<u32> {
        let result = self.result.take();
        if result.is_some() {
            self.busy = false;
        }
        result
    }

    /// A turn that ends at once: what the liveness register answers.
    pub(crate) fn look(&mut self, unit: usize, value: u32) -> u32 {
        self.begin(unit);
        self.bar.set_liveness(value);
        let answer = self.bar.liveness();
        self.busy = false;
        answer
    }

    /// What was seen so far.
    pub(crate) const fn record(&self) -> Record {
        self.record
    }

    fn begin(&mut self, unit: usize) {
        let record = &mut self.record;
        if self.busy {
            record.overlaps = record.overlaps.saturating_add(1);
        }
        self.busy = true;
        if let Some(turns) = record.turns.get_mut(unit) {
            *turns = turns.saturating_add(1);
        }
    }
}

impl ServiceRoutine for Shared {
    fn service(&mut self, _irql: &mut Dirql) -> Claim {
        let causes = self.bar.causes();
        if causes == 0 {
            return Claim::NotOurs;
        }
        self.bar.acknowledge(causes);
        if causes & FACTORIAL == 0 {
            return Claim::Ours;
        }
        self.result = Some(self.bar.factorial());
        self.record.results = self.record.results.saturating_add(1);
        Claim::OursRequestDpc
    }
}
