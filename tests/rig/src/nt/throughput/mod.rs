//! [`rig_protocol::Load`]: so many requests outstanding until so many have ended, and how
//! long that took.
//!
//! # Model
//! Each processor has a lane: a thread that stays there, with its share of what is to be
//! outstanding. It sends that many requests, and for each that has ended the next one, as
//! a program does with an I/O completion port. Lanes take their requests from one count,
//! so that they end together. With fewer requests outstanding than there are processors,
//! the last processors have no lane.
//!
//! The command channel has no part in it, except that it carries the order and the figures.

pub(crate) mod isr_to_dpc;
mod lane;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rig_protocol::{Durations, Load, Loaded, MAX_LOAD, MAX_OUTSTANDING, Reply};

use crate::machine::cpu;
use crate::machine::sync::IrqLock;
use crate::nt::dispatcher::{wait_until, wake_waiters};
use crate::nt::file::File;
use crate::nt::io_manager::{self, completed, refused};
use crate::nt::status::STATUS_INVALID_HANDLE;
use crate::nt::thread::{self, WaitQueue};
use crate::nt::{counters, work};

pub(crate) use lane::ended;

/// A load is under way: lanes are there once.
static IS_UNDER_WAY: AtomicBool = AtomicBool::new(false);
/// No lane sends anything more.
static IS_OVER: AtomicBool = AtomicBool::new(false);
/// Whoever waits for all lanes to end.
static LANES_LEFT: WaitQueue = WaitQueue::new();

/// What the lanes share.
struct Shared {
    file: Arc<File>,
    load: Load,
    /// Requests that were begun.
    begun: AtomicU32,
    totals: IrqLock<Totals>,
}

/// What the lanes that have ended found.
#[derive(Default)]
struct Totals {
    /// Lanes that have not ended.
    lanes: usize,
    latencies: Vec<u64>,
    /// The first request's begin and the last one's end.
    span: Option<(u64, u64)>,
    failure: Option<Box<Reply>>,
}

impl Shared {
    /// The number of one more request, from zero; none when all were begun.
    fn take(&self) -> Option<u32> {
        if IS_OVER.load(Ordering::Acquire) {
            return None;
        }
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        (number < self.load.requests).then_some(number)
    }

    /// A lane has ended.
    fn add(&self, found: lane::Found) {
        self.totals.with(|totals| {
            totals.lanes -= 1;
            totals.latencies.extend(found.latencies);
            totals.span = match (totals.span, found.span) {
                (Some(own), Some(its)) => Some((own.0.min(its.0), own.1.max(its.1))),
                (own, its) => own.or(its),
            };
            if totals.failure.is_none() {
                totals.failure = found.failure;
            }
        });
        LANES_LEFT.tell_all();
    }
}

/// Keeps a load up; its answer. PASSIVE_LEVEL.
pub(crate) fn run(load: Load) -> Reply {
    let Some(file) = io_manager::file_of(load.handle) else {
        return completed(STATUS_INVALID_HANDLE);
    };
    let outstanding = load.outstanding as usize;
    if load.asks.is_empty()
        || !(1..=MAX_LOAD).contains(&load.requests)
        || !(1..=MAX_OUTSTANDING).contains(&outstanding)
    {
        return refused(alloc::format!(
            "a load is of 1 to {MAX_LOAD} requests, of which 1 to {MAX_OUTSTANDING} are outstanding, and says what is asked for"
        ));
    }
    if IS_UNDER_WAY.swap(true, Ordering::AcqRel) {
        return refused("another load is under way");
    }
    let reply = measure(Shared {
        file,
        load,
        begun: AtomicU32::new(0),
        totals: IrqLock::new(Totals::default()),
    });
    IS_UNDER_WAY.store(false, Ordering::Release);
    // Whoever ends the run may wait for it.
    wake_waiters();
    reply
}

/// Runs the lanes; what they found.
fn measure(shared: Shared) -> Reply {
    let outstanding = shared.load.outstanding as usize;
    let lanes = outstanding.min(cpu::processor_count());
    shared.totals.with(|totals| totals.lanes = lanes);
    isr_to_dpc::begin(shared.load.requests as usize);
    let lock_wait = counters::LOCK_WAIT_COUNTS.total();
    let shared = Arc::new(shared);
    for lane in 0..lanes {
        let share = outstanding / lanes + usize::from(lane < outstanding % lanes);
        let shared = shared.clone();
        thread::spawn(
            "lane of a load",
            thread::NORMAL_PRIORITY,
            Some(lane),
            move || {
                let found = lane::run(&shared, lane, share);
                shared.add(found);
            },
        );
    }
    // Not as `wait_until` waits: every DPC would have this thread look.
    work::while_waiting(|| {
        LANES_LEFT.wait_for("the end of a load", || {
            shared.totals.with(|totals| totals.lanes == 0).then_some(())
        });
    });
    let lock_wait = counters::LOCK_WAIT_COUNTS.total() - lock_wait;
    let mut isr_to_dpc = isr_to_dpc::end();
    let mut totals = shared.totals.with(core::mem::take);
    if let Some(failure) = totals.failure {
        return *failure;
    }
    let Some((begin, end)) = totals.span else {
        return refused("the rig is shutting down");
    };
    Reply::Loaded(Box::new(Loaded {
        completed: u64::try_from(totals.latencies.len()).unwrap_or(u64::MAX),
        counts: end.saturating_sub(begin),
        lock_wait,
        latency: Durations::of(&mut totals.latencies),
        isr_to_dpc: Durations::of(&mut isr_to_dpc),
    }))
}

/// Has a load that is under way end, and waits for that. PASSIVE_LEVEL, once, when the run
/// ends.
pub(crate) fn end() {
    IS_OVER.store(true, Ordering::Release);
    // Without a deadline the wait ends in one way only.
    let _over: bool = wait_until("the end of a load", None, || {
        !IS_UNDER_WAY.load(Ordering::Acquire)
    });
}
