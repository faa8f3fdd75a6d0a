//! What the ISR shares, and what of it is left while the device sleeps.

use dirql::{
    interrupt::{Claim, ServiceRoutine, Suspend},
    irql::Dirql,
    start_io::Packet,
};
use test_driver::EduBar;

/// State of the interrupt.
#[derive(Debug)]
pub(crate) struct Shared {
    bar: EduBar,
    /// The packet that the device works on.
    under_way: Option<Packet>,
    /// One that it has finished, and the result.
    done: Option<(Packet, u32)>,
}

/// What the device will have forgotten. There are no registers in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Saved {
    /// What the liveness register was last given.
    pub(crate) liveness: u32,
}

impl Shared {
    pub(crate) const fn new(bar: EduBar) -> Self {
        Self {
            bar,
            under_way: None,
            done: None,
        }
    }

    /// Has the device compute `n!` for a packet; hands the packet back while it computes
    /// another.
    pub(crate) fn begin(&mut self, packet: Packet, n: u32) -> Option<Packet> {
        if self.under_way.is_some() || self.done.is_some() {
            return Some(packet);
        }
        self.under_way = Some(packet);
        self.bar.start_factorial(n);
        None
    }

    /// The packet that the device has finished.
    pub(crate) fn take_done(&mut self) -> Option<(Packet, u32)> {
        self.done.take()
    }

    /// Keeps the device from interrupting; the packet that it worked on.
    pub(crate) fn silence(&mut self) -> Option<Packet> {
        self.bar.silence();
        self.under_way.take()
    }

    pub(crate) fn is_computing(&self) -> bool {
        self.bar.is_computing()
    }

    pub(crate) fn set_liveness(&mut self, value: u32) {
        self.bar.set_liveness(value);
    }

    pub(crate) fn liveness(&self) -> u32 {
        self.bar.liveness()
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
        if self.done.is_none()
            && let Some(packet) = self.under_way.take()
        {
            self.done = Some((packet, self.bar.factorial()));
            return Claim::OursRequestDpc;
        }
        Claim::Ours
    }
}

impl Suspend for Shared {
    type Saved = Saved;

    fn save(&mut self, _irql: &mut Dirql) -> Saved {
        let saved = Saved {
            // The register reads as the complement of what it was given.
            liveness: !self.bar.liveness(),
        };
        self.bar.silence();
        saved
    }

    fn restore(&mut self, _irql: &mut Dirql, saved: Saved) {
        self.bar.silence();
        self.bar.set_liveness(saved.liveness);
    }
}
