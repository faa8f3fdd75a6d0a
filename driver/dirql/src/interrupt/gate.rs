//! Run-down protection of an interrupt's connection.
//!
//! One word: the low bits say where the connection stands, the rest counts those
//! inside. Entering is one atomic addition; whoever finds the gate shut leaves again.
//! It decides between "runs before the disconnect" and "does not run", which the
//! interrupt lock cannot: the lock belongs to the connection that goes away.

use core::sync::atomic::{AtomicUsize, Ordering};

const DISCONNECTED: usize = 0;
const CONNECTING: usize = 1;
const CONNECTED: usize = 2;
const DISCONNECTING: usize = 3;
const STATE: usize = 3;
/// One that is inside.
const ONE: usize = 4;

/// The gate of one interrupt.
#[derive(Debug)]
pub(super) struct Gate(AtomicUsize);

/// Whoever has this is inside; dropping it leaves. Forgetting it would only keep
/// `disconnect` waiting for ever, and it never leaves this module's callers.
pub(super) struct Pass<'a>(&'a Gate);

impl Gate {
    pub(super) const fn new() -> Self {
        Self(AtomicUsize::new(DISCONNECTED))
    }

    /// Goes in, if the interrupt is connected.
    pub(super) fn enter(&self) -> Option<Pass<'_>> {
        let before = self.0.fetch_add(ONE, Ordering::Acquire);
        let pass = Pass(self);
        (before & STATE == CONNECTED).then_some(pass)
    }

    /// False if somebody else is connecting, connected or disconnecting.
    pub(super) fn begin_connecting(&self) -> bool {
        self.step(DISCONNECTED, CONNECTING)
    }

    /// False if the interrupt is not connected.
    pub(super) fn begin_disconnecting(&self) -> bool {
        self.step(CONNECTED, DISCONNECTING)
    }

    /// The connection stands; everything written before this is seen inside.
    pub(super) fn opened(&self) {
        let moved = self.step(CONNECTING, CONNECTED);
        debug_assert!(moved, "only the connecting thread gets here");
    }

    /// There is no connection any more.
    pub(super) fn closed(&self) {
        let moved = self.step(CONNECTING, DISCONNECTED) || self.step(DISCONNECTING, DISCONNECTED);
        debug_assert!(moved, "only the thread that shut the gate gets here");
    }

    /// Whether everybody has left.
    pub(super) fn is_empty(&self) -> bool {
        self.0.load(Ordering::Acquire) & !STATE == 0
    }

    fn step(&self, from: usize, to: usize) -> bool {
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |word| {
                (word & STATE == from).then_some(word & !STATE | to)
            })
            .is_ok()
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(ONE, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::Gate;

    #[test]
    fn lets_in_while_connected_only() {
        let gate = Gate::new();
        assert!(gate.enter().is_none());
        assert!(gate.begin_connecting());
        assert!(!gate.begin_connecting());
        assert!(gate.enter().is_none());
        gate.opened();
        let pass = gate.enter().expect("connected");
        assert!(gate.begin_disconnecting());
        assert!(!gate.begin_disconnecting());
        assert!(gate.enter().is_none());
        assert!(!gate.is_empty());
        drop(pass);
        assert!(gate.is_empty());
        gate.closed();
        assert!(gate.begin_connecting());
    }
}
