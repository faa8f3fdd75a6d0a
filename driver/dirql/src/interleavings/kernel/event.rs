//! Events.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use loom::sync::{Condvar, Mutex, MutexGuard};

use super::{current, level};
use crate::{
    interleavings::tracked::Tracked,
    sys::{BOOLEAN, CCHAR, KEVENT, LARGE_INTEGER, NTSTATUS, PVOID, SYNCHRONIZATION_EVENT},
};

struct Event {
    is_synchronization: bool,
    is_set: Mutex<bool>,
    changed: Condvar,
    /// Changed by `KeInitializeEvent`, which everybody else must have seen.
    is_initialised: Tracked<bool>,
}

impl Event {
    fn is_set(&self) -> MutexGuard<'_, bool> {
        self.is_set.lock().expect("nothing panics with it")
    }
}

/// The events of a kernel, by address.
pub(super) struct Events(RefCell<BTreeMap<usize, Rc<Event>>>);

impl Events {
    pub(super) const fn new() -> Self {
        Self(RefCell::new(BTreeMap::new()))
    }

    /// The event of an object that may be used.
    fn of(&self, event: *mut KEVENT) -> Rc<Event> {
        let known = self.0.borrow().get(&event.addr()).map(Rc::clone);
        let event = known.expect("an event that was initialised");
        event
            .is_initialised
            .read(|is_initialised| assert!(*is_initialised));
        event
    }
}

pub(crate) unsafe fn KeInitializeEvent(event: *mut KEVENT, kind: i32, state: BOOLEAN) {
    let new = Event {
        is_synchronization: kind == SYNCHRONIZATION_EVENT,
        is_set: Mutex::new(state != 0),
        changed: Condvar::new(),
        is_initialised: Tracked::new(false),
    };
    new.is_initialised
        .change(|is_initialised| *is_initialised = true);
    let before = current()
        .events
        .0
        .borrow_mut()
        .insert(event.addr(), Rc::new(new));
    assert!(before.is_none(), "an event is initialised once");
}

pub(crate) unsafe fn KeSetEvent(event: *mut KEVENT, _: i32, _: BOOLEAN) -> i32 {
    assert!(level::get() <= level::DISPATCH_LEVEL);
    let event = current().events.of(event);
    let was_set = core::mem::replace(&mut *event.is_set(), true);
    event.changed.notify_all();
    was_set.into()
}

pub(crate) unsafe fn KeResetEvent(event: *mut KEVENT) -> i32 {
    assert!(level::get() <= level::DISPATCH_LEVEL);
    let event = current().events.of(event);
    let was_set = core::mem::take(&mut *event.is_set());
    was_set.into()
}

pub(crate) unsafe fn KeClearEvent(event: *mut KEVENT) {
    // SAFETY: the caller's event, fact 10.
    let _was_set = unsafe { KeResetEvent(event) };
}

pub(crate) unsafe fn KeReadStateEvent(event: *mut KEVENT) -> i32 {
    let event = current().events.of(event);
    let is_set = *event.is_set();
    is_set.into()
}

/// Waits for an event, without end: time is not modelled.
pub(crate) unsafe fn KeWaitForSingleObject(
    object: PVOID,
    _: i32,
    _: CCHAR,
    _: BOOLEAN,
    timeout: *mut LARGE_INTEGER,
) -> NTSTATUS {
    assert_eq!(
        level::get(),
        level::PASSIVE_LEVEL,
        "waited at a raised level"
    );
    assert!(timeout.is_null(), "no flow waits for time to pass");
    let event = current().events.of(object.cast());
    let mut is_set = event.is_set();
    while !*is_set {
        is_set = event.changed.wait(is_set).expect("nothing panics with it");
    }
    *is_set = !event.is_synchronization;
    0
}
