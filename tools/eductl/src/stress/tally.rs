//! What a run has done so far, counted by all its threads.

use std::sync::atomic::{AtomicU64, Ordering};

use super::mix::{ByKind, Kind};

/// How a request ended that is not a failure of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With the right answer.
    Right,
    /// As a cancelled one, which was cancelled.
    Cancelled,
}

/// Counters of the threads.
#[derive(Debug, Default)]
pub(super) struct Tally {
    right: Counters,
    cancelled: Counters,
    right_bytes: Counters,
    cancelled_bytes: Counters,
}

type Counters = ByKind<AtomicU64>;

impl Tally {
    /// Counts one request, with the bytes that it was to transfer.
    pub(super) fn count(&self, kind: Kind, end: End, bytes: usize) {
        let (requests, all_bytes) = match end {
            End::Right => (&self.right, &self.right_bytes),
            End::Cancelled => (&self.cancelled, &self.cancelled_bytes),
        };
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        requests.of(kind).fetch_add(1, Ordering::Relaxed);
        all_bytes.of(kind).fetch_add(bytes, Ordering::Relaxed);
    }

    /// The counters now. Each is right; together they are of one moment only when no
    /// thread counts any more.
    pub(super) fn counts(&self) -> Counts {
        let copy = |counters: &Counters| {
            let mut copy = ByKind::default();
            for kind in Kind::ALL {
                *copy.of_mut(kind) = counters.of(kind).load(Ordering::Relaxed);
            }
            copy
        };
        Counts {
            right: copy(&self.right),
            cancelled: copy(&self.cancelled),
            right_bytes: copy(&self.right_bytes),
            cancelled_bytes: copy(&self.cancelled_bytes),
        }
    }
}

/// What was done up to some moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Requests with the right answer.
    pub(super) right: ByKind<u64>,
    /// Requests that ended as cancelled.
    pub(super) cancelled: ByKind<u64>,
    /// Bytes of the transfers that were done.
    pub(super) right_bytes: ByKind<u64>,
    /// Bytes of the transfers that were cancelled.
    pub(super) cancelled_bytes: ByKind<u64>,
}

impl Counts {
    /// Requests with the right answer.
    pub(super) fn all_right(&self) -> u64 {
        Kind::ALL.iter().map(|kind| self.right.of(*kind)).sum()
    }

    /// Requests that ended as cancelled.
    pub(super) fn all_cancelled(&self) -> u64 {
        Kind::ALL.iter().map(|kind| self.cancelled.of(*kind)).sum()
    }
}
