//! Whether a device's ISRs can run beside the code that runs now.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::nt::address;
use crate::nt::interrupt::{CHAINS, Connection};
use crate::nt::node::Node;
use crate::nt::processor::{self, LockKind};

/// What keeps a device's ISRs out.
pub(crate) enum Exclusion {
    /// None can be called: no interrupt is connected and active.
    Alone,
    /// Nothing does.
    None,
    /// An interrupt's lock, or its event, by its address.
    Lock(usize),
    /// The ISR itself runs.
    Isr(Isr),
}

/// An ISR that runs on this processor.
pub(crate) struct Isr(Arc<Connection>);

impl Isr {
    /// Address of the lock that it runs under.
    pub(crate) fn lock(&self) -> usize {
        self.0.lock_address()
    }

    /// It has written a register.
    pub(crate) fn wrote(&self) {
        self.0.isr.writes.fetch_add(1, Ordering::AcqRel);
    }
}

/// What is known of a connection's ISR while it runs. Its lock keeps it to one at a time.
pub(super) struct IsrCall {
    is_running: AtomicBool,
    /// Registers of the device that it has written.
    writes: AtomicU32,
}

impl IsrCall {
    /// It does not run.
    pub(super) const fn new() -> Self {
        Self {
            is_running: AtomicBool::new(false),
            writes: AtomicU32::new(0),
        }
    }

    /// Runs `isr`, which is it; its result, and how many registers it has written.
    pub(super) fn during<R>(&self, isr: impl FnOnce() -> R) -> (R, u32) {
        self.writes.store(0, Ordering::Release);
        self.is_running.store(true, Ordering::Release);
        let result = isr();
        self.is_running.store(false, Ordering::Release);
        (result, self.writes.load(Ordering::Acquire))
    }
}

impl Connection {
    /// Address of the lock that keeps its ISR and critical sections apart, or of the event.
    fn lock_address(&self) -> usize {
        if self.is_passive() {
            address::of(&raw const self.event)
        } else if self.driver_lock == 0 {
            address::of(self.own_lock.as_ptr())
        } else {
            self.driver_lock
        }
    }
}

/// What keeps the ISRs of a device out now, of all connections that it has. Any IRQL, with
/// interrupts disabled.
pub(crate) fn of(node: &Node) -> Exclusion {
    CHAINS.with(|chains| {
        let active = || {
            chains.values().flatten().filter(|connection| {
                core::ptr::eq(Arc::as_ptr(&connection.node), node)
                    && connection.is_active.load(Ordering::Acquire)
            })
        };
        if active().next().is_none() {
            return Exclusion::Alone;
        }
        let Some(held) = held(active()) else {
            return Exclusion::None;
        };
        // Whoever has the lock while the ISR runs is the ISR.
        active()
            .find(|connection| {
                connection.lock_address() == held
                    && connection.isr.is_running.load(Ordering::Acquire)
            })
            .map_or(Exclusion::Lock(held), |connection| {
                Exclusion::Isr(Isr(connection.clone()))
            })
    })
}

/// The lock of one of these connections that was acquired last, of those that this
/// processor holds; or the event that this thread has.
fn held<'a>(mut connections: impl Iterator<Item = &'a Arc<Connection>> + Clone) -> Option<usize> {
    let is_theirs = |lock: usize| {
        connections
            .clone()
            .any(|connection| connection.lock_address() == lock)
    };
    let lock = processor::held()
        .into_iter()
        .rev()
        .flatten()
        .find(|held| {
            matches!(held.kind, LockKind::Interrupt | LockKind::InterruptByHand)
                && is_theirs(held.lock)
        })
        .map(|held| held.lock);
    lock.or_else(|| {
        connections
            .find(|connection| connection.is_passive() && connection.event.is_mine())
            .map(|connection| connection.lock_address())
    })
}
