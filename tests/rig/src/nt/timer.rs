//! Timers: KeInitializeTimer, KeInitializeTimerEx, KeSetTimerEx, KeSetCoalescableTimer, KeCancelTimer.
//!
//! # Model
//! A set timer belongs to the processor that set it: that processor's clock
//! interrupt finds it due and asks for the dispatch interrupt, which signals it
//! and queues its DPC. One with a tolerable delay expires at the next multiple of that
//! delay, so that those which can wait expire together.
//!
//! # Soundness
//! A timer in [`TIMERS`] is alive: memory that holds a set timer cannot be freed
//! ([`assert_none_within`]), and one that is not set is only compared, not read.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

use wdk_sys::{BOOLEAN, LARGE_INTEGER, LONG, LONGLONG, PKDPC, PKTIMER, TIMER_TYPE, ULONG};

use crate::machine::cpu::{self, MAX_PROCESSORS};
use crate::machine::log::log;
use crate::machine::sync::IrqLock;
use crate::machine::time::system_time_100ns;
use crate::nt::dispatcher::{Waitable, due_time};
use crate::nt::mishap::{self, Mishap};
use crate::nt::object_type::{ObjectType, initialise_header, object_type};
use crate::nt::routine::Routine;
use crate::nt::violation::{check, fatal};
use crate::nt::{address, dpc};

/// 100 ns units in a millisecond.
const MILLISECOND: u64 = 10_000;

/// What is known of an initialised timer.
#[derive(Clone, Copy, Default)]
struct State {
    /// When it expires, if it is set.
    due: Option<u64>,
    /// When it would expire if it had no tolerable delay.
    nominal: u64,
    /// Tolerable delay in 100 ns.
    tolerance: u64,
    /// Period in 100 ns; zero for a timer that expires once.
    period: u64,
    /// It was set with a period and a DPC, and the DPCs were not flushed since it was
    /// cancelled.
    is_to_flush: bool,
    /// Address of its DPC, or zero.
    dpc: usize,
    /// The processor that set it.
    processor: usize,
}

static TIMERS: IrqLock<BTreeMap<usize, State>> = IrqLock::new(BTreeMap::new());

/// For each processor the earliest time at which one of its timers is due.
static NEXT_DUE: [AtomicU64; MAX_PROCESSORS] = [const { AtomicU64::new(u64::MAX) }; MAX_PROCESSORS];

/// KeInitializeTimer: a notification timer.
pub(crate) unsafe extern "C" fn ke_initialize_timer(timer: PKTIMER) {
    Routine::KeInitializeTimer.enter();
    // SAFETY: (Caller) the driver's contract is that of `initialise`.
    unsafe { initialise(timer, ObjectType::NotificationTimer) };
}

/// KeInitializeTimerEx.
pub(crate) unsafe extern "C" fn ke_initialize_timer_ex(timer: PKTIMER, kind: TIMER_TYPE) {
    Routine::KeInitializeTimerEx.enter();
    let kind = if kind == 0 {
        ObjectType::NotificationTimer
    } else {
        ObjectType::SynchronizationTimer
    };
    // SAFETY: (Caller) the driver's contract is that of `initialise`.
    unsafe { initialise(timer, kind) };
}

/// Makes a timer of this kind.
///
/// # Safety
/// `timer` is memory for a timer that is not set.
unsafe fn initialise(timer: PKTIMER, kind: ObjectType) {
    // SAFETY: By the contract.
    unsafe { initialise_header(timer.cast(), kind, 0) };
    TIMERS.with(|timers| timers.insert(address::of(timer), State::default()));
}

/// KeSetTimerEx.
pub(crate) unsafe extern "C" fn ke_set_timer_ex(
    timer: PKTIMER,
    due: LARGE_INTEGER,
    period: LONG,
    timer_dpc: PKDPC,
) -> BOOLEAN {
    let period = period.max(0).unsigned_abs();
    set(Routine::KeSetTimerEx, timer, due, period, 0, timer_dpc)
}

/// KeSetCoalescableTimer.
pub(crate) unsafe extern "C" fn ke_set_coalescable_timer(
    timer: PKTIMER,
    due: LARGE_INTEGER,
    period: ULONG,
    tolerable_delay: ULONG,
    timer_dpc: PKDPC,
) -> BOOLEAN {
    let routine = Routine::KeSetCoalescableTimer;
    if period > LONG::MAX.unsigned_abs() {
        fatal(
            "INVALID-ARGUMENT",
            routine.name(),
            format_args!("A period of {period} ms is over MAXLONG."),
        );
    }
    set(routine, timer, due, period, tolerable_delay, timer_dpc)
}

/// Sets a timer; whether it was set before.
fn set(
    routine: Routine,
    timer: PKTIMER,
    due: LARGE_INTEGER,
    period: u32,
    tolerable_delay: u32,
    timer_dpc: PKDPC,
) -> BOOLEAN {
    routine.enter();
    if !timer_dpc.is_null() {
        dpc::give_to_timer(routine.name(), timer_dpc);
    }
    // SAFETY: Every bit pattern of a LARGE_INTEGER is an i64.
    let due: LONGLONG = unsafe { due.QuadPart };
    let nominal = due_time(due);
    let tolerance = u64::from(tolerable_delay) * MILLISECOND;
    let old = replace(routine, timer, |state| {
        *state = State {
            due: Some(coalesced(nominal, tolerance)),
            nominal,
            tolerance,
            period: u64::from(period) * MILLISECOND,
            is_to_flush: state.is_to_flush || (period != 0 && !timer_dpc.is_null()),
            dpc: address::of(timer_dpc),
            processor: cpu::current_processor(),
        };
    });
    let was_set = old.due.is_some();
    if was_set && old.dpc != 0 {
        // Setting a timer again takes back a DPC that is queued but has not run.
        dpc::remove(routine.name(), address::to_pointer(old.dpc));
    }
    // SAFETY: The driver passes an initialised timer: `replace` found it.
    unsafe { Waitable::new(timer.cast()) }.clear();
    BOOLEAN::from(was_set)
}

/// The expiration in `nominal..=nominal + tolerance` that other timers have too.
fn coalesced(nominal: u64, tolerance: u64) -> u64 {
    if tolerance == 0 {
        nominal
    } else {
        nominal.next_multiple_of(tolerance)
    }
}

/// KeCancelTimer.
pub(crate) unsafe extern "C" fn ke_cancel_timer(timer: PKTIMER) -> BOOLEAN {
    let routine = Routine::KeCancelTimer;
    routine.enter();
    if mishap::happens(Mishap::TimerBeforeCancel) {
        expire_now(address::of(timer));
    }
    let old = replace(routine, timer, |state| state.due = None);
    BOOLEAN::from(old.due.is_some())
}

/// A timer that is set and has a DPC expires at this very moment.
fn expire_now(timer: usize) {
    TIMERS.with(|timers| {
        if let Some(state) = timers.get_mut(&timer)
            && state.due.is_some()
            && state.dpc != 0
        {
            mishap::note(Mishap::TimerBeforeCancel);
            // A periodic one is set again then, and its cancel says so.
            let source = if state.period == 0 {
                dpc::Source::CancelledTimer
            } else {
                dpc::Source::Timer
            };
            expire(timer, state, system_time_100ns(), source);
        }
    });
}

/// Changes a timer's state; says what it was.
fn replace(routine: Routine, timer: PKTIMER, change: impl FnOnce(&mut State)) -> State {
    let old = TIMERS.with(|timers| {
        let state = timers.get_mut(&address::of(timer))?;
        let old = *state;
        change(state);
        update_next_due(timers);
        Some(old)
    });
    old.unwrap_or_else(|| {
        fatal(
            "INVALID-OBJECT",
            routine.name(),
            format_args!("The object at {timer:p} is no initialised timer."),
        )
    })
}

/// Computes [`NEXT_DUE`] anew. The timers' lock is held.
fn update_next_due(timers: &BTreeMap<usize, State>) {
    for (processor, next) in NEXT_DUE.iter().enumerate() {
        let earliest = timers
            .values()
            .filter(|state| state.processor == processor)
            .filter_map(|state| state.due)
            .min();
        next.store(earliest.unwrap_or(u64::MAX), Ordering::Release);
    }
}

/// The clock interrupt's part: asks for the dispatch interrupt when a timer of
/// this processor is due.
pub(crate) fn clock() {
    let processor = cpu::current_processor();
    let is_due = NEXT_DUE
        .get(processor)
        .is_some_and(|next| next.load(Ordering::Acquire) <= system_time_100ns());
    if is_due {
        cpu::request_dispatch_interrupt(processor);
    }
}

/// Signals this processor's timers that are due and queues their DPCs.
/// DISPATCH_LEVEL.
pub(crate) fn expire_due() {
    let processor = cpu::current_processor();
    let now = system_time_100ns();
    let due_here = NEXT_DUE
        .get(processor)
        .is_some_and(|next| next.load(Ordering::Acquire) <= now);
    if !due_here {
        return;
    }
    // All under the lock: whoever cancels the timer and then flushes the DPCs must
    // find this one queued already.
    TIMERS.with(|timers| {
        let due = timers.iter_mut().filter(|(_, state)| {
            state.processor == processor && state.due.is_some_and(|due| due <= now)
        });
        for (timer, state) in due {
            expire(*timer, state, now, dpc::Source::Timer);
        }
        update_next_due(timers);
    });
}

/// Signals a timer, queues its DPC, and sets its next expiration, or none.
fn expire(timer: usize, state: &mut State, now: u64, source: dpc::Source) {
    state.due = if state.period == 0 {
        None
    } else {
        // A period that passed unseen (a late clock) is not made up for.
        state.nominal = (state.nominal + state.period).max(now);
        Some(coalesced(state.nominal, state.tolerance))
    };
    let header = address::to_pointer(timer);
    // SAFETY: The timer was set until a moment ago and the timers' lock is held,
    // so it is alive.
    let kind = unsafe { object_type(header) };
    // SAFETY: As above.
    let object = unsafe { Waitable::new(header) };
    object.signal(kind.unwrap_or(ObjectType::NotificationTimer));
    if state.dpc != 0 {
        // A DPC that is still queued from the period before runs once for both.
        let _inserted: bool = dpc::insert(
            "KTIMER",
            address::to_pointer(state.dpc),
            core::ptr::null_mut(),
            core::ptr::null_mut(),
            source,
        );
    }
}

/// Checks that no timer inside `memory`, which is about to go away, is set, nor
/// any timer whose DPC lies there; forgets those that are there.
pub(crate) fn assert_none_within(routine: &str, memory: &Range<usize>) {
    let found = TIMERS.with(|timers| {
        timers
            .iter()
            .find(|(timer, state)| {
                state.due.is_some() && (memory.contains(*timer) || memory.contains(&state.dpc))
            })
            .map(|(timer, _)| *timer)
    });
    check!(
        Tmr03,
        routine,
        found.is_none(),
        "The timer at {:#x} is still set.",
        found.unwrap_or_default()
    );
    let unflushed = TIMERS.with(|timers| {
        timers
            .iter()
            .find(|(timer, state)| {
                state.is_to_flush && (memory.contains(*timer) || memory.contains(&state.dpc))
            })
            .map(|(timer, _)| *timer)
    });
    check!(
        Tmr02,
        routine,
        unflushed.is_none(),
        "The periodic timer at {:#x} was cancelled, and KeFlushQueuedDpcs not called since.",
        unflushed.unwrap_or_default()
    );
    TIMERS.with(|timers| timers.retain(|timer, _| !memory.contains(timer)));
}

/// Whether a timer that is set has this DPC.
pub(crate) fn is_set_with(dpc: usize) -> bool {
    TIMERS.with(|timers| {
        timers
            .values()
            .any(|state| state.due.is_some() && state.dpc == dpc)
    })
}

/// The periodic timers that are cancelled now, for a flush that begins.
pub(crate) fn cancelled_periodic() -> Vec<usize> {
    TIMERS.with(|timers| {
        timers
            .iter()
            .filter(|(_, state)| state.is_to_flush && state.due.is_none())
            .map(|(timer, _)| *timer)
            .collect()
    })
}

/// The flush that began when these were cancelled has ended.
pub(crate) fn flushed(cancelled: &[usize]) {
    TIMERS.with(|timers| {
        for timer in cancelled {
            if let Some(state) = timers.get_mut(timer) {
                state.is_to_flush = state.due.is_some();
            }
        }
    });
}

/// Writes every timer that is set to the log, for a run that hangs.
pub(crate) fn describe() {
    let now = system_time_100ns();
    TIMERS.with(|timers| {
        for (timer, state) in timers.iter() {
            if let Some(due) = state.due {
                log!(
                    "The timer at {timer:#x} is due on processor {} in {} ms, every {} ms.",
                    state.processor,
                    due.saturating_sub(now) / MILLISECOND,
                    state.period / MILLISECOND
                );
            }
        }
    });
}
