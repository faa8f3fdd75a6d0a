//! Where an interrupt stands, and who may change that.
//!
//! Connecting, disconnecting, suspending and resuming come from PnP and power requests,
//! which do not overlap; this makes sure of it, because safe code could do otherwise.

use crate::sync::atomic::{AtomicU8, Ordering};

/// The stage of one interrupt.
#[derive(Debug)]
pub(super) struct Stage(AtomicU8);

impl Stage {
    pub(super) const DISCONNECTED: u8 = 0;
    pub(super) const CONNECTED: u8 = 1;
    pub(super) const SUSPENDED: u8 = 2;
    /// Somebody is moving it.
    const BUSY: u8 = 3;

    pub(super) const fn new() -> Self {
        Self(AtomicU8::new(Self::DISCONNECTED))
    }

    /// Takes the stage from `from`; false if it is not there. Who gets true is alone with
    /// it until `end`.
    pub(super) fn begin(&self, from: u8) -> bool {
        self.0
            .compare_exchange(from, Self::BUSY, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// Moves the stage on.
    pub(super) fn end(&self, to: u8) {
        self.0.store(to, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::Stage;

    #[test]
    fn one_at_a_time_and_only_from_where_it_is() {
        let stage = Stage::new();
        assert!(!stage.begin(Stage::CONNECTED));
        assert!(stage.begin(Stage::DISCONNECTED));
        assert!(!stage.begin(Stage::DISCONNECTED));
        stage.end(Stage::CONNECTED);
        assert!(!stage.begin(Stage::SUSPENDED));
        assert!(stage.begin(Stage::CONNECTED));
    }
}
