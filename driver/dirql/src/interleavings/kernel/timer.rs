//! Timers, which expire as early as the flow's clock likes.

use super::{current, level};
use crate::{
    interleavings::mistake::{self, Mistake},
    sys::{BOOLEAN, KDPC, KTIMER, LARGE_INTEGER},
};

/// A timer that was set.
#[derive(Clone, Copy)]
pub(super) struct Pending {
    dpc: usize,
    is_periodic: bool,
}

impl super::Kernel {
    /// Lets what is pending expire: a timer's DPC is queued, unless it is.
    pub(in crate::interleavings) fn tick(&self) {
        let mut state = self.dpcs.state();
        let due: std::vec::Vec<_> = state
            .timers
            .iter()
            .map(|(timer, due)| (*timer, *due))
            .collect();
        for (timer, pending) in due {
            if !pending.is_periodic {
                state.timers.remove(&timer);
            }
            self.dpcs.insert(&mut state, pending.dpc, false);
        }
    }
}

pub(crate) unsafe fn KeInitializeTimerEx(_: *mut KTIMER, _: i32) {}

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
    let mut state = kernel.dpcs.state();
    state.timers.remove(&timer.addr()).is_some().into()
}
