//! Events: KeInitializeEvent, KeSetEvent, KeResetEvent, KeClearEvent,
//! KeReadStateEvent.

use wdk_sys::{BOOLEAN, EVENT_TYPE, KPRIORITY, LONG, PKEVENT, PRKEVENT};

use crate::machine::cpu;
use crate::nt::dispatcher::Waitable;
use crate::nt::irql::DISPATCH_LEVEL;
use crate::nt::object_type::{ObjectType, initialise_header, object_type};
use crate::nt::routine::Routine;
use crate::nt::violation::{check, fatal};

/// `NotificationEvent`.
const NOTIFICATION_EVENT: EVENT_TYPE = 0;

/// KeInitializeEvent.
pub(crate) unsafe extern "C" fn ke_initialize_event(
    event: PKEVENT,
    kind: EVENT_TYPE,
    state: BOOLEAN,
) {
    Routine::KeInitializeEvent.enter();
    let kind = if kind == NOTIFICATION_EVENT {
        ObjectType::NotificationEvent
    } else {
        ObjectType::SynchronizationEvent
    };
    // SAFETY: The driver passes memory for an event that nobody uses yet.
    unsafe { initialise_header(event.cast(), kind, LONG::from(state != 0)) };
}

/// The event that a driver passed, and its kind; ends the run when it is none.
fn event_of(routine: Routine, event: PRKEVENT) -> (Waitable, ObjectType) {
    // SAFETY: The driver passes memory of an event.
    let kind = unsafe { object_type(event.cast()) };
    let Some(kind @ (ObjectType::NotificationEvent | ObjectType::SynchronizationEvent)) = kind
    else {
        fatal(
            "INVALID-OBJECT",
            routine.name(),
            format_args!("The object at {event:p} is no initialised event."),
        )
    };
    // SAFETY: It is initialised, and the driver keeps it across the call.
    (unsafe { Waitable::new(event.cast()) }, kind)
}

/// KeSetEvent.
pub(crate) unsafe extern "C" fn ke_set_event(
    event: PRKEVENT,
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
    let (event, kind) = event_of(routine, event);
    event.signal(kind)
}

/// KeResetEvent.
pub(crate) unsafe extern "C" fn ke_reset_event(event: PRKEVENT) -> LONG {
    let routine = Routine::KeResetEvent;
    routine.enter();
    event_of(routine, event).0.clear()
}

/// KeClearEvent.
pub(crate) unsafe extern "C" fn ke_clear_event(event: PRKEVENT) {
    let routine = Routine::KeClearEvent;
    routine.enter();
    event_of(routine, event).0.clear();
}

/// KeReadStateEvent.
pub(crate) unsafe extern "C" fn ke_read_state_event(event: PRKEVENT) -> LONG {
    let routine = Routine::KeReadStateEvent;
    routine.enter();
    event_of(routine, event).0.read()
}
