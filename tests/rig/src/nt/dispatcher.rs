//! Objects that can be waited for, and waiting: KeWaitForSingleObject.
//!
//! # Model
//! A wait takes the object's signal if there is one, else blocks the thread. Whoever
//! signals an object ends the waits for it: of a synchronisation object the one that
//! began first, which has the signal then, so that nobody else gets it.
//!
//! # Soundness
//! 1. Signal states are read and written with the dispatcher database locked.
//! 2. A waiter's object is alive for as long as the waiter waits: it passed it in.

use wdk_sys::{
    BOOLEAN, DISPATCHER_HEADER, KWAIT_REASON, LONG, LONGLONG, NTSTATUS, PLARGE_INTEGER, PVOID,
};

use crate::machine::cpu;
use crate::machine::time::{TICKS_PER_SECOND, system_time_100ns};
use crate::nt::hang::{hang, limit_100ns, limit_seconds};
use crate::nt::irql::DISPATCH_LEVEL;
use crate::nt::object_type::{ObjectType, object_type};
use crate::nt::routine::Routine;
use crate::nt::status::{STATUS_SUCCESS, STATUS_TIMEOUT};
use crate::nt::thread::{self, Ended, WaitQueue};
use crate::nt::violation::{check, fatal};
use crate::nt::{address, power, work};

/// Threads in [`wait_until`].
static WAITERS: WaitQueue = WaitQueue::new();
/// How long [`wait_until`] goes without a look when nobody tells it to: 10 ms.
const LOOK_AGAIN: u64 = TICKS_PER_SECOND / 100;

/// Makes every thread in [`wait_until`] look again. Any IRQL.
pub(crate) fn wake_waiters() {
    WAITERS.tell_all();
}

/// Waits at PASSIVE_LEVEL or APC_LEVEL until `ready` says so; `false` when
/// `deadline` (in [`system_time_100ns`]) passes first. It looks when somebody calls
/// [`wake_waiters`], and every 10 ms, for what nobody announces.
pub(crate) fn wait_until(
    what: &'static str,
    deadline: Option<u64>,
    ready: impl Fn() -> bool,
) -> bool {
    if ready() {
        return true;
    }
    work::while_waiting(|| {
        let started = system_time_100ns();
        loop {
            let told = WAITERS.told();
            if ready() {
                return true;
            }
            let now = system_time_100ns();
            if deadline.is_some_and(|deadline| now >= deadline) {
                return false;
            }
            if now - started > limit_100ns() {
                hang(
                    what,
                    format_args!("{what} has been waiting for {} seconds.", limit_seconds()),
                );
            }
            let look_again = deadline.unwrap_or(u64::MAX).min(now + LOOK_AGAIN);
            WAITERS.wait_unless_told(what, Some(look_again), told);
        }
    })
}

/// The point in time that a timeout names: negative is from now on, in 100 ns.
pub(crate) fn due_time(timeout: LONGLONG) -> u64 {
    if timeout <= 0 {
        system_time_100ns().saturating_add(timeout.unsigned_abs())
    } else {
        // The rig has no calendar: system time starts at zero when it boots.
        timeout.unsigned_abs()
    }
}

/// An object that can be waited for, by its header.
#[derive(Clone, Copy)]
pub(crate) struct Waitable(*mut DISPATCHER_HEADER);

impl Waitable {
    /// The object with this header.
    ///
    /// # Safety
    /// `header` begins an initialised dispatcher object that stays alive while
    /// the result is used.
    pub(crate) const unsafe fn new(header: *mut DISPATCHER_HEADER) -> Self {
        Self(header)
    }

    /// The number by which its waiters are found.
    fn key(self) -> usize {
        address::of(self.0)
    }

    /// Signals the object: ends the waits for it, one if it is a synchronisation
    /// object, else all. Says what the state was. Any IRQL.
    pub(crate) fn signal(self, kind: ObjectType) -> LONG {
        thread::locked(|database| {
            let old = self.state();
            let is_taken = if kind.is_synchronization() {
                old <= 0 && database.signal_one(self.key())
            } else {
                database.signal_all(self.key());
                false
            };
            if !is_taken {
                self.set_state(1);
            }
            old
        })
    }

    /// Takes the signal away; says what the state was. Any IRQL.
    pub(crate) fn clear(self) -> LONG {
        thread::locked(|_| {
            let old = self.state();
            self.set_state(0);
            old
        })
    }

    /// Whether the object is signalled; a synchronisation object is not any more. The
    /// database is locked.
    fn take(self, kind: ObjectType) -> bool {
        let is_signalled = self.state() > 0;
        if is_signalled && kind.is_synchronization() {
            self.set_state(0);
        }
        is_signalled
    }

    /// The signal state.
    pub(crate) fn read(self) -> LONG {
        thread::locked(|_| self.state())
    }

    /// The signal state; the database is locked.
    fn state(self) -> LONG {
        // SAFETY: (Pointer) alive by the contract of `new`. (Aliasing) fact 1.
        unsafe { (*self.0).SignalState }
    }

    /// Writes the signal state; the database is locked.
    fn set_state(self, state: LONG) {
        // SAFETY: (Pointer) alive by the contract of `new`. (Aliasing) fact 1.
        unsafe { (*self.0).SignalState = state };
    }
}

/// KeWaitForSingleObject, for events and timers.
pub(crate) unsafe extern "C" fn ke_wait_for_single_object(
    object: PVOID,
    _reason: KWAIT_REASON,
    _mode: i8,
    _alertable: BOOLEAN,
    timeout: PLARGE_INTEGER,
) -> NTSTATUS {
    let routine = Routine::KeWaitForSingleObject;
    routine.enter();
    let timeout = if timeout.is_null() {
        None
    } else {
        // SAFETY: (Pointer) not null, so it is the driver's timeout, which it
        // does not change during the call; every LARGE_INTEGER is an i64.
        Some(unsafe { timeout.cast::<LONGLONG>().read() })
    };
    let irql = cpu::irql();
    check!(
        Irql05,
        routine,
        irql < DISPATCH_LEVEL || timeout == Some(0),
        "A wait that can block was begun at IRQL {irql}."
    );
    if timeout.is_none() {
        power::dispatching::assert_may_wait(routine);
    }
    // SAFETY: The driver passes an initialised object, alive until the wait ends, fact 2.
    let kind = unsafe { object_type(object.cast()) };
    let Some(kind) = kind else {
        fatal(
            "INVALID-OBJECT",
            routine.name(),
            format_args!("The object at {object:p} is no initialised event or timer."),
        )
    };
    // SAFETY: As above.
    let waitable = unsafe { Waitable::new(object.cast()) };
    if timeout == Some(0) {
        return if thread::locked(|_| waitable.take(kind)) {
            STATUS_SUCCESS
        } else {
            STATUS_TIMEOUT
        };
    }
    let deadline = timeout.map(due_time);
    let ended = thread::block_at_work(routine.name(), waitable.key(), deadline, || {
        waitable.take(kind)
    });
    match ended {
        // Whoever signalled it has given the signal of a synchronisation object to
        // this wait.
        Ended::Unneeded | Ended::Signalled => STATUS_SUCCESS,
        Ended::TimedOut => STATUS_TIMEOUT,
    }
}
