//! Waiting: until something is signalled, until something holds, until time is over.

use core::sync::atomic::{AtomicUsize, Ordering};

use super::{current, locked, switch};
use crate::machine::time::system_time_100ns;
use crate::nt::hang::{hang, limit_100ns, limit_seconds};
use crate::nt::{address, work};

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// There was nothing to wait for.
    Unneeded,
    /// Somebody signalled what was waited for.
    Signalled,
    /// The deadline passed first.
    TimedOut,
}

/// Blocks the current thread until `key` is signalled or `deadline` passes, unless
/// `unneeded` says that it need not, which is asked with the database locked.
/// At most APC_LEVEL.
pub(crate) fn block(
    what: &'static str,
    key: usize,
    deadline: Option<u64>,
    unneeded: impl FnOnce() -> bool,
) -> Ended {
    let left = switch::leave(|database, own| {
        let waits = !unneeded();
        if waits {
            database.begin_wait(own, key, deadline, what);
        }
        waits
    });
    if left {
        if current().has_timed_out.load(Ordering::Acquire) {
            Ended::TimedOut
        } else {
            Ended::Signalled
        }
    } else {
        Ended::Unneeded
    }
}

/// As [`block`], for a wait that is part of some work: another thread of the requests'
/// may run meanwhile, and one that does not end stops the run.
pub(crate) fn block_at_work(
    what: &'static str,
    key: usize,
    deadline: Option<u64>,
    unneeded: impl FnOnce() -> bool,
) -> Ended {
    let hangs_at = system_time_100ns() + limit_100ns();
    let until = deadline.unwrap_or(u64::MAX).min(hangs_at);
    let ended = work::while_waiting(|| block(what, key, Some(until), unneeded));
    let is_over = deadline.is_some_and(|deadline| system_time_100ns() >= deadline);
    if ended == Ended::TimedOut && !is_over {
        hang(
            what,
            format_args!("{what} has been waiting for {} seconds.", limit_seconds()),
        );
    }
    ended
}

/// Threads that wait until something holds, which others tell them to look at.
pub(crate) struct WaitQueue {
    /// How often somebody was told. Whoever looked before the last time looks again.
    told: AtomicUsize,
}

impl WaitQueue {
    /// Nobody waits.
    pub(crate) const fn new() -> Self {
        Self {
            told: AtomicUsize::new(0),
        }
    }

    fn key(&'static self) -> usize {
        address::of(core::ptr::from_ref(self))
    }

    /// What [`wait_unless_told`](Self::wait_unless_told) needs to know, before the look.
    pub(crate) fn told(&self) -> usize {
        self.told.load(Ordering::Acquire)
    }

    /// Blocks until the queue is told something or `deadline` passes, unless that has
    /// happened since `told`. At most APC_LEVEL.
    pub(crate) fn wait_unless_told(
        &'static self,
        what: &'static str,
        deadline: Option<u64>,
        told: usize,
    ) {
        block(what, self.key(), deadline, || self.told() != told);
    }

    /// Waits, for as long as it takes, until `look` finds something. At most APC_LEVEL.
    pub(crate) fn wait_for<T>(
        &'static self,
        what: &'static str,
        mut look: impl FnMut() -> Option<T>,
    ) -> T {
        loop {
            let told = self.told();
            if let Some(found) = look() {
                return found;
            }
            self.wait_unless_told(what, None, told);
        }
    }

    /// Tells one thread to look. Any IRQL.
    pub(crate) fn tell_one(&'static self) {
        self.told.fetch_add(1, Ordering::AcqRel);
        locked(|database| database.signal_one(self.key()));
    }

    /// Tells all threads to look. Any IRQL.
    pub(crate) fn tell_all(&'static self) {
        self.told.fetch_add(1, Ordering::AcqRel);
        locked(|database| database.signal_all(self.key()));
    }
}
