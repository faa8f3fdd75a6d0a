//! Events, for which a thread waits. Wraps `KeInitializeEvent`, `KeSetEvent`,
//! `KeClearEvent`, `KeResetEvent`, `KeReadStateEvent`, `KeWaitForSingleObject`.
//!
//! # Model
//!
//! ```text
//!               set                                set
//!   clear ---------------> signalled   |  clear --------> signalled
//!     ^                        |       |    ^                 |
//!     '-------- clear ---------'       |    '-- one wait, or clear
//!            notification                     synchronization
//! ```
//!
//! A [notification](Kind::Notification) event lets everybody pass until it is cleared, a
//! [synchronization](Kind::Synchronization) event lets one waiting thread pass. See "Event
//! Objects".
//!
//! An event is ready when it is made: the kernel's object in it is initialised by the
//! first wait, at its final place, and what was set before is remembered until then.
//!
//! # Contexts
//!
//! | operation | who may call | token | may block |
//! |---|---|---|---|
//! | `wait` | everybody at PASSIVE_LEVEL | any that [may wait](MayWait) | yes |
//! | `set`, `clear`, `is_set` | everybody but ISRs and critical sections | any up to `Dispatch` | no |
//!
//! A critical section has no token that fits: it leaves a mark in the shared state, and the
//! DPC sets the event.
//!
//! # Soundness
//!
//! Facts 1 to 5 of the crate, and of this module:
//!
//! 45. **In place.** A KEVENT is initialised by the one thread that moved the stage from
//!     `NEW`, through a pinned reference, so it stays where it is; it is used when the stage
//!     is `READY` only, and by the kernel's event routines only, which synchronise among
//!     themselves. Whoever waits borrows it for as long as the wait lasts, so it is not
//!     dropped under a thread that waits.
//!
//! # Not here
//!
//! Named events, and waits for several objects at once.
//!
//! # Examples
//!
//! ```
//! use core::pin::Pin;
//! use dirql::event::{Event, Waited};
//! use dirql::irql::{Dispatch, Passive};
//! use dirql::time::Due;
//!
//! /// At PASSIVE_LEVEL: gives the other side a second.
//! fn is_done(done: Pin<&Event>, irql: &mut Passive) -> bool {
//!     done.wait(irql, Some(Due::after_ms(1000))) == Waited::Signalled
//! }
//!
//! /// In a DPC: tells whoever waits.
//! fn tell(done: Pin<&Event>, irql: &mut Dispatch) {
//!     done.set(irql);
//! }
//! ```

use core::{cell::UnsafeCell, marker::PhantomPinned, pin::Pin};

use crate::{
    irql::{AtMostDispatch, MayWait},
    sync::atomic::{AtomicU8, Ordering},
    sys,
    time::Due,
    wait,
};

/// The kernel's object was never initialised.
const NEW: u8 = 0;
/// A thread initialises it.
const BUSY: u8 = 2;
/// It is the kernel's from now on.
const READY: u8 = 4;
/// Beside `NEW` and `BUSY`: the event is signalled.
const SET: u8 = 1;

/// Whom an event lets pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Everybody, until it is cleared. `NotificationEvent`.
    Notification,
    /// One thread for each time that it is set. `SynchronizationEvent`.
    Synchronization,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// The event was signalled; a synchronization event is not any more.
    Signalled,
    /// The time was over first.
    TimedOut,
}

/// An event, in the device extension or pinned on the stack of whoever waits. Wraps a
/// `KEVENT`; see "Event Objects".
#[derive(Debug)]
pub struct Event {
    object: UnsafeCell<sys::KEVENT>,
    stage: AtomicU8,
    kind: Kind,
    /// The kernel's object points at itself.
    _pinned: PhantomPinned,
}

// SAFETY: (Aliasing) one thread initialises the object, and then only the kernel's event
// routines touch it, fact 45.
unsafe impl Sync for Event {}
// SAFETY: belongs to no thread; moved only before it is pinned, fact 45.
unsafe impl Send for Event {}

impl Event {
    /// An event that is not signalled.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub const fn new(kind: Kind) -> Self {
        Self {
            object: UnsafeCell::new(sys::zeroed_event()),
            stage: AtomicU8::new(NEW),
            kind,
            _pinned: PhantomPinned,
        }
    }

    /// Signals it; says whether it was signalled. Wraps `KeSetEvent`.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    pub fn set<I: AtMostDispatch>(self: Pin<&Self>, _irql: &mut I) -> bool {
        match self.change_early(SET) {
            Some(was_set) => was_set,
            // SAFETY: (IRQL) the token says at most DISPATCH_LEVEL, as KeSetEvent asks for when
            // no wait follows. (Ready) the stage says so, facts 5 and 45.
            None => unsafe { sys::KeSetEvent(self.object.get(), sys::EVENT_INCREMENT, 0) != 0 },
        }
    }

    /// Takes the signal away; says whether there was one. Wraps `KeResetEvent`.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    pub fn clear<I: AtMostDispatch>(self: Pin<&Self>, _irql: &mut I) -> bool {
        match self.change_early(0) {
            Some(was_set) => was_set,
            // SAFETY: (IRQL) the token says at most DISPATCH_LEVEL. (Ready) the stage says so,
            // facts 5 and 45.
            None => unsafe { sys::KeResetEvent(self.object.get()) != 0 },
        }
    }

    /// Whether it is signalled, which may be true no longer when the answer is looked at.
    /// Wraps `KeReadStateEvent`.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    pub fn is_set<I: AtMostDispatch>(self: Pin<&Self>, _irql: &mut I) -> bool {
        let stage = self.stage.load(Ordering::Acquire);
        if stage == READY {
            // SAFETY: (IRQL) the token says at most DISPATCH_LEVEL. (Ready) the stage says so,
            // facts 5 and 45.
            unsafe { sys::KeReadStateEvent(self.object.get()) != 0 }
        } else {
            stage & SET != 0
        }
    }

    /// Waits until it is signalled, at most until `timeout` if there is one. Wraps
    /// `KeWaitForSingleObject`, in kernel mode and not alertable.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL, with no lock held but a passive-level interrupt's.
    pub fn wait<I: MayWait>(self: Pin<&Self>, irql: &mut I, timeout: Option<Due>) -> Waited {
        self.initialize(irql);
        let mut due = timeout.map(Due::to_kernel);
        let due = due
            .as_mut()
            .map_or(core::ptr::null_mut(), |due| &raw mut *due);
        // SAFETY: (IRQL) the token says that the thread may wait. (Pointer) the event is
        // borrowed for as long as the wait lasts, and so is the time, facts 5, 11 and 45.
        let status = unsafe {
            sys::KeWaitForSingleObject(
                self.object.get().cast(),
                sys::EXECUTIVE,
                sys::KERNEL_MODE,
                0,
                due,
            )
        };
        // A kernel-mode wait that is not alertable ends in one of two ways.
        if status == sys::STATUS_TIMEOUT {
            Waited::TimedOut
        } else {
            Waited::Signalled
        }
    }

    /// Notes a state while the kernel's object is not ready; what it was. `None` if it is
    /// ready.
    fn change_early(&self, state: u8) -> Option<bool> {
        self.stage
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |stage| {
                (stage != READY).then_some(stage & !SET | state)
            })
            .ok()
            .map(|before| before & SET != 0)
    }

    /// Makes the kernel's object ready. Wraps `KeInitializeEvent`.
    fn initialize<I: MayWait>(self: Pin<&Self>, irql: &mut I) {
        let claim = |stage| (stage & !SET == NEW).then_some(BUSY | stage & SET);
        loop {
            let begun = self
                .stage
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, claim);
            match begun {
                Ok(_) => break,
                Err(READY) => return,
                // Another thread is about it, and runs in time: this one lets it.
                Err(_) => wait::delay(irql, 1),
            }
        }
        let kind = match self.kind {
            Kind::Notification => sys::NOTIFICATION_EVENT,
            Kind::Synchronization => sys::SYNCHRONIZATION_EVENT,
        };
        // SAFETY: (IRQL) any. (Aliasing) this thread moved the stage, so nobody else is at the
        // cell. (Pointer) pinned, fact 45.
        unsafe { sys::KeInitializeEvent(self.object.get(), kind, 0) };
        // What others note meanwhile changes the stage, and is carried over before the object
        // is theirs.
        let mut stage = self.stage.load(Ordering::Acquire);
        loop {
            if stage & SET == 0 {
                // SAFETY: (IRQL) the token is at PASSIVE_LEVEL. (Ready) initialised above,
                // facts 5 and 45.
                unsafe { sys::KeClearEvent(self.object.get()) };
            } else {
                // SAFETY: as above. Nobody waits yet, fact 45.
                let _was_set = unsafe { sys::KeSetEvent(self.object.get(), 0, 0) };
            }
            match self
                .stage
                .compare_exchange(stage, READY, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return,
                Err(changed) => stage = changed,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use core::pin::pin;

    use super::{Event, Kind, Waited};
    use crate::{irql::Passive, time::Due};

    #[test]
    fn what_is_set_before_the_first_wait_is_not_lost() {
        // SAFETY: a host thread starts at the level that the host kernel calls PASSIVE, fact 5.
        let mut irql = unsafe { Passive::assume() };
        let event = pin!(Event::new(Kind::Synchronization));
        let event = event.as_ref();
        assert!(!event.set(&mut irql));
        assert!(event.set(&mut irql));
        assert!(event.is_set(&mut irql));
        assert_eq!(event.wait(&mut irql, None), Waited::Signalled);
        assert!(!event.is_set(&mut irql));
        let soon = Some(Due::after_ms(1));
        assert_eq!(event.wait(&mut irql, soon), Waited::TimedOut);
    }

    #[test]
    fn a_notification_event_stays_set_until_it_is_cleared() {
        // SAFETY: as above, fact 5.
        let mut irql = unsafe { Passive::assume() };
        let event = pin!(Event::new(Kind::Notification));
        let event = event.as_ref();
        event.set(&mut irql);
        assert!(event.clear(&mut irql));
        event.set(&mut irql);
        assert_eq!(event.wait(&mut irql, None), Waited::Signalled);
        assert_eq!(event.wait(&mut irql, None), Waited::Signalled);
        assert!(event.clear(&mut irql));
        let soon = Some(Due::after_ms(1));
        assert_eq!(event.wait(&mut irql, soon), Waited::TimedOut);
    }

    /// Before its first wait an event is noted here and not in the kernel's object: nobody can
    /// tell.
    #[test]
    fn what_it_says_is_the_same_before_its_first_wait_and_after() {
        // SAFETY: as above, fact 5.
        let mut irql = unsafe { Passive::assume() };
        let event = pin!(Event::new(Kind::Notification));
        let event = event.as_ref();
        let soon = Some(Due::after_ms(1));
        for _ in 0..2 {
            assert!(!event.is_set(&mut irql));
            assert!(!event.clear(&mut irql));
            assert!(!event.set(&mut irql));
            assert!(event.is_set(&mut irql));
            assert!(event.set(&mut irql));
            assert!(event.clear(&mut irql));
            assert!(!event.is_set(&mut irql));
            assert!(!event.clear(&mut irql));
            assert_eq!(event.wait(&mut irql, soon), Waited::TimedOut);
        }
    }

    #[test]
    fn an_event_that_nobody_has_set_is_not_signalled() {
        // SAFETY: as above, fact 5.
        let mut irql = unsafe { Passive::assume() };
        for kind in [Kind::Notification, Kind::Synchronization] {
            let event = pin!(Event::new(kind));
            let soon = Some(Due::after_ms(1));
            assert_eq!(event.as_ref().wait(&mut irql, soon), Waited::TimedOut);
        }
    }
}
