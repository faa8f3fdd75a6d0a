//! Events of a kernel in which nobody else could set one.

use super::{BOOLEAN, CCHAR, LARGE_INTEGER, NTSTATUS, PVOID, STATUS_SUCCESS};
use crate::sys::STATUS_TIMEOUT;

/// See the WDK.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct KEVENT {
    is_synchronization: bool,
    is_set: bool,
}

impl core::fmt::Debug for KEVENT {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "KEVENT({})", self.is_set)
    }
}

pub(crate) const NOTIFICATION_EVENT: i32 = 0;
pub(crate) const SYNCHRONIZATION_EVENT: i32 = 1;
pub(crate) const EXECUTIVE: i32 = 0;

pub(crate) const fn zeroed_event() -> KEVENT {
    KEVENT {
        is_synchronization: false,
        is_set: false,
    }
}

pub(crate) unsafe fn KeInitializeEvent(event: *mut KEVENT, kind: i32, state: BOOLEAN) {
    let new = KEVENT {
        is_synchronization: kind == SYNCHRONIZATION_EVENT,
        is_set: state != 0,
    };
    // SAFETY: the caller's event; each host thread has its own, fact 10.
    unsafe { event.write(new) };
}

pub(crate) unsafe fn KeSetEvent(event: *mut KEVENT, _: i32, _: BOOLEAN) -> i32 {
    // SAFETY: as above, fact 10.
    i32::from(core::mem::replace(unsafe { &mut (*event).is_set }, true))
}

pub(crate) unsafe fn KeResetEvent(event: *mut KEVENT) -> i32 {
    // SAFETY: as above, fact 10.
    i32::from(core::mem::take(unsafe { &mut (*event).is_set }))
}

pub(crate) unsafe fn KeClearEvent(event: *mut KEVENT) {
    // SAFETY: as above, fact 10.
    unsafe { (*event).is_set = false };
}

pub(crate) unsafe fn KeReadStateEvent(event: *mut KEVENT) -> i32 {
    // SAFETY: as above, fact 10.
    i32::from(unsafe { (*event).is_set })
}

/// Nobody else could set the event meanwhile, so what is not signalled times out.
pub(crate) unsafe fn KeWaitForSingleObject(
    object: PVOID,
    _: i32,
    _: CCHAR,
    _: BOOLEAN,
    timeout: *mut LARGE_INTEGER,
) -> NTSTATUS {
    // SAFETY: as above: only events are waited for here, fact 10.
    let event = unsafe { &mut *object.cast::<KEVENT>() };
    if !event.is_set {
        assert!(!timeout.is_null(), "the wait would never end");
        return STATUS_TIMEOUT;
    }
    event.is_set = !event.is_synchronization;
    STATUS_SUCCESS
}
