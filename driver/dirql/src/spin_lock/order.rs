//! What debug builds check about spin locks: the order of acquisition, and re-entry.
//!
//! Locks that are ever held together have an order, and a processor that holds one may
//! acquire only those after it; else two processors wait for each other for ever. A lock
//! made with a [`LockRank`] takes part in that check. What is held is carried by the
//! [`Dispatch`](crate::irql::Dispatch) token, which only the lock's closure has, so
//! the check needs no table and knows exactly the locks around it; it does not see through a
//! call that leaves the driver and comes back.
//!
//! Release builds have nothing of this: a lock is its word and its data, a token is nothing.

#[cfg(debug_assertions)]
#[cfg(debug_assertions)]
use crate::{
    irql, processor,
    stop_code::{Reason, stop},
    sync::atomic::{AtomicU32, Ordering},
};

/// A lock's place in the order of acquisition: locks of higher rank are acquired inside
/// those of lower rank, and never the other way round. See "Preventing Errors and
/// Deadlocks While Using Spin Locks".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LockRank(pub u16);

/// The highest rank among the locks whose closures a token is inside of.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    #[cfg(debug_assertions)]
    rank: Option<LockRank>,
}

impl Held {
    /// No lock that has a rank.
    pub(crate) const NONE: Self = Self {
        #[cfg(debug_assertions)]
        rank: None,
    };
}

/// What a lock knows of itself for the checks.
#[derive(Debug)]
pub(super) struct Checks {
    #[cfg(debug_assertions)]
    rank: Option<LockRank>,
    /// The processor that holds the lock. Written by the holder, after acquiring and before
    /// releasing; read by anyone.
    #[cfg(debug_assertions)]
    owner: AtomicU32,
}

/// No processor.
#[cfg(debug_assertions)]
const NOBODY: u32 = u32::MAX;

#[cfg(debug_assertions)]
impl Checks {
    pub(super) const fn new(rank: Option<LockRank>) -> Self {
        Self {
            rank,
            owner: AtomicU32::new(NOBODY),
        }
    }

    /// Looks before the lock at `address` is acquired; what is held once it is.
    ///
    /// The mark can equal this processor's number only if this processor wrote it, so a
    /// stale read of another processor's mark does no harm. Below DISPATCH_LEVEL this
    /// thread cannot hold the lock, whatever the mark says: a holder never comes down
    /// before it releases.
    pub(super) fn before_acquiring(&self, held: Held, address: usize) -> Held {
        if self.owner.load(Ordering::Relaxed) == processor::number()
            && irql::current() >= irql::DISPATCH_LEVEL
        {
            stop(Reason::SpinLockRecursion, address);
        }
        if self.rank.is_some() && self.rank <= held.rank {
            stop(Reason::SpinLockOrder, address);
        }
        Held {
            rank: self.rank.max(held.rank),
        }
    }

    pub(super) fn acquired(&self) {
        self.owner.store(processor::number(), Ordering::Relaxed);
    }

    pub(super) fn before_releasing(&self) {
        self.owner.store(NOBODY, Ordering::Relaxed);
    }
}

#[cfg(not(debug_assertions))]
#[expect(
    clippy::unused_self,
    reason = "the same methods as in debug builds, which look"
)]
impl Checks {
    pub(super) const fn new(_rank: Option<LockRank>) -> Self {
        Self {}
    }

    pub(super) const fn before_acquiring(&self, held: Held, _address: usize) -> Held {
        held
    }

    pub(super) const fn acquired(&self) {}

    pub(super) const fn before_releasing(&self) {}
}
