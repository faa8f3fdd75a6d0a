//! Where an interrupt stands, and who may change that.
//!
//! Connecting, disconnecting, suspending and resuming come from PnP and power requests,
//! which do not overlap; this makes sure of it, because safe code could do otherwise.

use crate::{
    irql::Passive,
    sync::atomic::{AtomicU8, Ordering},
    wait,
};

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

    /// As `begin`, from any of these; waits while somebody else is moving it, because where
    /// it stands then is no answer.
    // Start, stop and power: seldom, from many places.
    #[inline(never)]
    pub(super) fn begin_when_free(&self, irql: &mut Passive, from: &[u8]) -> bool {
        loop {
            let stage = self.0.load(Ordering::Relaxed);
            if stage == Self::BUSY {
                wait::delay(irql, 1);
            } else if !from.contains(&stage) {
                return false;
            } else if self.begin(stage) {
                return true;
            }
        }
    }

    /// Moves the stage on.
    pub(super) fn end(&self, to: u8) {
        self.0.store(to, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::Stage;
    use crate::irql::Passive;

    #[test]
    fn who_finds_it_moving_waits_for_where_it_ends() {
        let stage = Stage::new();
        assert!(stage.begin(Stage::DISCONNECTED));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                // SAFETY: a host thread starts at the level that the host kernel calls PASSIVE,
                // fact 5.
                let mut irql = unsafe { Passive::assume() };
                let from = [Stage::CONNECTED, Stage::SUSPENDED];
                stage.begin_when_free(&mut irql, &from)
            });
            std::thread::sleep(std::time::Duration::from_millis(20));
            assert!(!waiting.is_finished());
            stage.end(Stage::SUSPENDED);
            assert!(waiting.join().expect("it does not panic"));
        });
        stage.end(Stage::DISCONNECTED);
        // SAFETY: as above, fact 5.
        let mut irql = unsafe { Passive::assume() };
        assert!(!stage.begin_when_free(&mut irql, &[Stage::SUSPENDED]));
    }

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
