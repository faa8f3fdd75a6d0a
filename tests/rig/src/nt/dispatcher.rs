//! Events and waits: KeInitializeEvent, KeSetEvent, KeWaitForSingleObject.
//!
//! # Model
//! A wait looks at the object's signal state, halts the processor until an
//! interrupt, looks again. Whoever signals wakes every processor that waits;
//! there are at most as many as there are processors.
//!
//! # Soundness
//! 1. Signal states are read and written under [`STATES`] only.
//! 2. A waiter's object is alive for as long as the waiter waits: it passed it in.

use core::sync::atomic::{AtomicU64, Ordering};

use wdk_sys::{
    BOOLEAN, DISPATCHER_HEADER, EVENT_TYPE, KPRIORITY, KWAIT_REASON, LONG, LONGLONG, NTSTATUS,
    PKEVENT, PLARGE_INTEGER, PVOID,
};

use crate::machine::cpu::{self, MAX_PROCESSORS};
use crate::machine::log::log;
use crate::machine::sync::IrqLock;
use crate::machine::time::system_time_100ns;
use crate::nt::hang::{HANG_100NS, hang};
use crate::nt::irql::DISPATCH_LEVEL;
use crate::nt::object_type::{ObjectType, initialise_header, object_type};
use crate::nt::routine::Routine;
use crate::nt::status::{STATUS_SUCCESS, STATUS_TIMEOUT};
use crate::nt::violation::{check, fatal};

/// Guards every object's signal state.
static STATES: IrqLock<()> = IrqLock::new(());

/// One bit for each processor that waits.
static WAITING: AtomicU64 = AtomicU64::new(0);

/// What each processor waits for.
static WAITS: IrqLock<[Option<&'static str>; MAX_PROCESSORS]> =
    IrqLock::new([None; MAX_PROCESSORS]);

/// Makes every processor that waits look again. Any IRQL.
pub(crate) fn wake_waiters() {
    let waiting = WAITING.load(Ordering::Acquire);
    for processor in 0..cpu::processor_count() {
        if waiting >> processor & 1 == 1 && processor != cpu::current_processor() {
            cpu::wake(processor);
        }
    }
}

/// Waits at PASSIVE_LEVEL or APC_LEVEL until `ready` says so; `false` when
/// `deadline` (in [`system_time_100ns`]) passes first.
pub(crate) fn wait_until(
    what: &'static str,
    deadline: Option<u64>,
    ready: impl Fn() -> bool,
) -> bool {
    let bit = 1 << cpu::current_processor();
    let started = system_time_100ns();
    note_wait(Some(what));
    WAITING.fetch_or(bit, Ordering::AcqRel);
    let is_ready = loop {
        if ready() {
            break true;
        }
        let now = system_time_100ns();
        if deadline.is_some_and(|deadline| now >= deadline) {
            break false;
        }
        if now - started > HANG_100NS {
            hang(
                what,
                format_args!("{what} has been waiting for 90 seconds."),
            );
        }
        cpu::wait_for_interrupt_unless(&ready);
    };
    WAITING.fetch_and(!bit, Ordering::AcqRel);
    note_wait(None);
    is_ready
}

/// Notes what this processor waits for.
fn note_wait(what: Option<&'static str>) {
    WAITS.with(|waits| {
        if let Some(wait) = waits.get_mut(cpu::current_processor()) {
            *wait = what;
        }
    });
}

/// Writes what the processors wait for to the log, for a run that hangs.
pub(crate) fn describe() {
    WAITS.with(|waits| {
        for (processor, wait) in waits.iter().enumerate() {
            if let Some(what) = wait {
                log!("Processor {processor} waits: {what}.");
            }
        }
    });
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

    /// Sets the signal state; says what it was.
    pub(crate) fn set_state(self, state: LONG) -> LONG {
        STATES.with(|()| {
            let old = self.state();
            // SAFETY: (Pointer) alive by the contract of `new`. (Aliasing) fact 1.
            unsafe { (*self.0).SignalState = state };
            old
        })
    }

    /// The signal state; `STATES` is held.
    fn state(self) -> LONG {
        // SAFETY: (Pointer) alive by the contract of `new`. (Aliasing) fact 1.
        unsafe { (*self.0).SignalState }
    }

    fn is_signalled(self) -> bool {
        STATES.with(|()| self.state() > 0)
    }

    /// Takes the signal if there is one; a synchronisation object loses it.
    fn try_take(self, kind: ObjectType) -> bool {
        STATES.with(|()| {
            let signalled = self.state() > 0;
            if signalled && kind.is_synchronization() {
                // SAFETY: (Pointer) alive by the contract of `new`. (Aliasing) fact 1.
                unsafe { (*self.0).SignalState = 0 };
            }
            signalled
        })
    }
}

/// KeInitializeEvent.
pub(crate) unsafe extern "C" fn ke_initialize_event(
    event: PKEVENT,
    kind: EVENT_TYPE,
    state: BOOLEAN,
) {
    Routine::KeInitializeEvent.enter();
    let kind = if kind == 0 {
        ObjectType::NotificationEvent
    } else {
        ObjectType::SynchronizationEvent
    };
    // SAFETY: The driver passes memory for an event that nobody uses yet.
    unsafe { initialise_header(event.cast(), kind, LONG::from(state != 0)) };
}

/// KeSetEvent.
pub(crate) unsafe extern "C" fn ke_set_event(
    event: PKEVENT,
    _increment: KPRIORITY,
    wait: BOOLEAN,
) -> LONG {
    let routine = Routine::KeSetEvent;
    routine.enter();
    check!(
        Irql05,
        routine,
        wait == 0 || cpu::irql() < DISPATCH_LEVEL,
        "KeSetEvent was called with Wait set at IRQL {}.",
        cpu::irql()
    );
    // SAFETY: The driver passes an event that it initialised.
    let old = unsafe { Waitable::new(event.cast()) }.set_state(1);
    wake_waiters();
    old
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
    // SAFETY: The driver passes an initialised object, alive until the wait ends.
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
    if waitable.try_take(kind) {
        return STATUS_SUCCESS;
    }
    let deadline = timeout.map(due_time);
    if timeout == Some(0) {
        return STATUS_TIMEOUT;
    }
    loop {
        if !wait_until("KeWaitForSingleObject", deadline, || {
            waitable.is_signalled()
        }) {
            return STATUS_TIMEOUT;
        }
        if waitable.try_take(kind) {
            return STATUS_SUCCESS;
        }
    }
}
