//! Remove locks: held by any number of requests, until the one that waits for all of them.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use loom::sync::{Condvar, Mutex, MutexGuard};

use super::{current, level};
use crate::{
    interleavings::mistake::{self, Mistake},
    sys::{CCHAR, IO_REMOVE_LOCK, NTSTATUS, PVOID},
};

const STATUS_DELETE_PENDING: NTSTATUS = 0xC000_0056_u32.cast_signed();

#[derive(Default)]
struct State {
    holders: usize,
    is_removing: bool,
}

struct RemoveLock {
    state: Mutex<State>,
    changed: Condvar,
}

impl RemoveLock {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics with it")
    }

    /// Takes one holder away.
    fn release(&self, state: &mut State) {
        state.holders = state
            .holders
            .checked_sub(1)
            .expect("a remove lock that is held");
        self.changed.notify_all();
    }
}

/// The remove locks of a kernel, by address.
pub(super) struct RemoveLocks(RefCell<BTreeMap<usize, Rc<RemoveLock>>>);

impl RemoveLocks {
    pub(super) const fn new() -> Self {
        Self(RefCell::new(BTreeMap::new()))
    }

    fn of(&self, lock: *mut IO_REMOVE_LOCK) -> Rc<RemoveLock> {
        let locks = self.0.borrow();
        Rc::clone(
            locks
                .get(&lock.addr())
                .expect("a remove lock that was initialised"),
        )
    }
}

pub(crate) unsafe fn IoInitializeRemoveLockEx(
    lock: *mut IO_REMOVE_LOCK,
    _: u32,
    _: u32,
    _: u32,
    _: u32,
) {
    let new = RemoveLock {
        state: Mutex::new(State::default()),
        changed: Condvar::new(),
    };
    current()
        .remove_locks
        .0
        .borrow_mut()
        .insert(lock.addr(), Rc::new(new));
}

pub(crate) unsafe fn IoAcquireRemoveLockEx(
    lock: *mut IO_REMOVE_LOCK,
    _: PVOID,
    _: *const CCHAR,
    _: u32,
    _: u32,
) -> NTSTATUS {
    assert!(level::get() <= level::DISPATCH_LEVEL);
    let lock = current().remove_locks.of(lock);
    let mut state = lock.state();
    if state.is_removing {
        return STATUS_DELETE_PENDING;
    }
    state.holders = state.holders.checked_add(1).expect("few holders");
    0
}

pub(crate) unsafe fn IoReleaseRemoveLockEx(lock: *mut IO_REMOVE_LOCK, _: PVOID, _: u32) {
    assert!(level::get() <= level::DISPATCH_LEVEL);
    let lock = current().remove_locks.of(lock);
    let mut state = lock.state();
    lock.release(&mut state);
}

/// The one that waits: nobody comes after it.
pub(crate) unsafe fn IoReleaseRemoveLockAndWaitEx(lock: *mut IO_REMOVE_LOCK, _: PVOID, _: u32) {
    assert_eq!(level::get(), level::PASSIVE_LEVEL);
    let lock = current().remove_locks.of(lock);
    let mut state = lock.state();
    assert!(!state.is_removing, "it is waited for once");
    state.is_removing = true;
    lock.release(&mut state);
    while state.holders != 0 && !mistake::is_made(Mistake::NoRemoveLockWait) {
        state = lock.changed.wait(state).expect("nothing panics with it");
    }
}
