//! Timers, which expire as early as the flow's clock likes.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use super::{current, level};
use crate::{
    interleavings::{
        mistake::{self, Mistake},
        tracked::Tracked,
    },
    sys::{BOOLEAN, KDPC, KTIMER, LARGE_INTEGER},
};

/// A timer that was set.
#[derive(Clone, Copy)]
pub(super) struct Pending {
    dpc: usize,
    is_periodic: bool,
}

/// The timers that were initialised, by address: who uses one must have seen that.
pub(super) struct Timers(RefCell<BTreeMap<usize, Rc<Tracked<()>>>>);

impl Timers {
    pub(super) const fn new() -> Self {
        Self(RefCell::new(BTreeMap::new()))
    }

    /// Whoever hands a timer to the kernel has seen it initialised.
    fn look_at(&self, timer: *mut KTIMER) {
        let known = self.0.borrow().get(&timer.addr()).map(Rc::clone);
        known.expect("a timer that was initialised").read(|()| ());
    }
}

impl super::Kernel {
    /// Lets what is pending expire: first it is pending no more, then its DPC is queued, unless it
    /// is. In between a cancellation finds nothing, and a flush waits.
    pub(in crate::interleavings) fn tick(&self) {
        let mut due = std::vec::Vec::new();
        {
            let mut state = self.dpcs.state();
            let all: std::vec::Vec<_> = state.timers.iter().map(|(at, due)| (*at, *due)).collect();
            for (timer, pending) in all {
                if !pending.is_periodic {
                    state.timers.remove(&timer);
                }
                due.push((pending.dpc, state.begin_expiring()));
            }
        }
        for (dpc, ticket) in due {
            self.dpcs.expired(dpc, ticket);
        }
    }
}

pub(crate) unsafe fn KeInitializeTimerEx(timer: *mut KTIMER, _: i32) {
    let kernel = current();
    let is_pending = kernel.dpcs.state().timers.contains_key(&timer.addr());
    assert!(!is_pending, "a timer is initialised while it is set");
    let object = {
        let mut timers = kernel.timers.0.borrow_mut();
        Rc::clone(
            timers
                .entry(timer.addr())
                .or_insert_with(|| Rc::new(Tracked::new(()))),
        )
    };
    object.change(|()| ());
}

pub(crate) unsafe fn KeSetTimerEx(
    timer: *mut KTIMER,
    _: LARGE_INTEGER,
    period: i32,
    dpc: *mut KDPC,
) -> BOOLEAN {
    set(timer, period != 0, dpc)
}

pub(crate) unsafe fn KeSetCoalescableTimer(
    timer: *mut KTIMER,
    _: LARGE_INTEGER,
    period: u32,
    _: u32,
    dpc: *mut KDPC,
) -> BOOLEAN {
    set(timer, period != 0, dpc)
}

fn set(timer: *mut KTIMER, is_periodic: bool, dpc: *mut KDPC) -> BOOLEAN {
    assert!(level::get() <= level::DISPATCH_LEVEL);
    let kernel = current();
    kernel.timers.look_at(timer);
    kernel.dpcs.expect_initialised(dpc);
    let pending = Pending {
        dpc: dpc.addr(),
        is_periodic,
    };
    let mut state = kernel.dpcs.state();
    state.timers.insert(timer.addr(), pending).is_some().into()
}

pub(crate) unsafe fn KeCancelTimer(timer: *mut KTIMER) -> BOOLEAN {
    assert!(level::get() <= level::DISPATCH_LEVEL);
    if mistake::is_made(Mistake::NoCancel) {
        return 0;
    }
    let kernel = current();
    kernel.timers.look_at(timer);
    let mut state = kernel.dpcs.state();
    state.timers.remove(&timer.addr()).is_some().into()
}
