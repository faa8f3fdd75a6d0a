//! Mistakes that are made on purpose, one at a time, to see that the exploration finds them.
//!
//! Most are of ordering: an access of a file is made `Relaxed`, which is also what moving it
//! across its neighbours would be. The others are of a kernel that does not keep the word
//! that this crate relies on; that is the same as a call that was left out.

use std::{cell::Cell, panic::Location};

/// What is wrong. Accesses are named by the end of their file's name, and as `AtomicU8.load`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mistake {
    /// Such accesses in that file order nothing.
    Relaxed {
        file: &'static str,
        operation: &'static str,
    },
    /// `KeFlushQueuedDpcs` was left out.
    NoFlush,
    /// The `SeqCst` accesses of that file are in no one order.
    NoOneOrder { file: &'static str },
    /// Stores of that kind in that file are made when the thread next accesses another file's.
    Late {
        file: &'static str,
        operation: &'static str,
    },
    /// The driver lets its device interrupt after `connect`, and not in `arm`.
    ArmedLate,
    /// Such accesses in that file that would see this word see the value that the atomic began with.
    Overlooks {
        file: &'static str,
        operation: &'static str,
        word: usize,
    },
    /// Such accesses in that file see the value that the atomic began with.
    Blind {
        file: &'static str,
        operation: &'static str,
    },
    /// The processors are not visited.
    NoVisit,
    /// `KeCancelTimer` was left out.
    NoCancel,
    /// `IoDisconnectInterruptEx` was left out.
    NoDisconnect,
    /// `IoReleaseRemoveLockAndWait` was `IoReleaseRemoveLock`.
    NoRemoveLockWait,
    /// The cancel spin lock is not taken.
    NoCancelLock,
    /// Spin locks are not taken.
    NoSpinLock,
    /// A DPC leaves its queue after its routine has run, and not before.
    LateDequeue,
    /// Critical sections run without the interrupt lock.
    NoInterruptLock,
}

/// A mistake and the words by which the checker says that it has found it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed {
    pub(crate) name: &'static str,
    pub(crate) mistake: Mistake,
    /// One of these is in what it prints.
    pub(crate) symptoms: &'static [&'static str],
}

std::thread_local! {
    static MADE: Cell<Option<Mistake>> = const { Cell::new(None) };
}

/// Makes a mistake from here on, or none.
pub(super) fn make(mistake: Option<Mistake>) {
    MADE.set(mistake);
}

/// Whether this one is being made.
pub(super) fn is_made(mistake: Mistake) -> bool {
    MADE.get() == Some(mistake)
}

/// Whether an access at this place is to order nothing.
pub(super) fn weakens(place: &Location<'_>, operation: &str) -> bool {
    let Some(Mistake::Relaxed {
        file,
        operation: weakened,
    }) = MADE.get()
    else {
        return false;
    };
    weakened == operation && place.file().ends_with(file)
}

/// Whether `SeqCst` accesses at this place are to be no more than `AcqRel`.
pub(super) fn disorders(place: &Location<'_>) -> bool {
    matches!(MADE.get(), Some(Mistake::NoOneOrder { file }) if place.file().ends_with(file))
}

/// Whether a store at this place is to be made later.
pub(super) fn delays(place: &Location<'_>, operation: &str) -> bool {
    let Some(Mistake::Late {
        file,
        operation: delayed,
    }) = MADE.get()
    else {
        return false;
    };
    delayed == operation && place.file().ends_with(file)
}

/// Whether a load at this place is not to see this word.
pub(super) fn overlooks(place: &Location<'_>, operation: &str, seen: usize) -> bool {
    let Some(Mistake::Overlooks {
        file,
        operation: blinded,
        word,
    }) = MADE.get()
    else {
        return false;
    };
    word == seen && blinded == operation && place.file().ends_with(file)
}

/// Whether an access at this place is to see nothing new.
pub(super) fn blinds(place: &Location<'_>, operation: &str) -> bool {
    let Some(Mistake::Blind {
        file,
        operation: blinded,
    }) = MADE.get()
    else {
        return false;
    };
    blinded == operation && place.file().ends_with(file)
}
