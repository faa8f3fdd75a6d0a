//! Threads: system threads of the executive, each with a stack of its own.
//!
//! # Model
//! ```text
//!            spawn              picked by a processor
//!   (none) --------> Ready ---------------------------> Running ----> Ended
//!                      ^                                 |   |
//!                      |<-- preempted, time slice over --'   |
//!                      |                                     | waits
//!                      '---- signalled, time is over ---- Blocked
//! ```
//! A processor runs the ready thread of the highest priority among those that may
//! run there; threads of one priority take turns by the clock. Priorities 16 and up
//! are real-time: nothing but the order changes. A processor that has no thread to
//! run runs its idle thread, which is the stack on which it was started.
//!
//! Switching happens below DISPATCH_LEVEL only: when a thread waits, and at the end
//! of a dispatch interrupt. IRQL belongs to the thread there, and is saved with it.
//! So below DISPATCH_LEVEL a thread can be on another processor from one instruction
//! to the next.
//!
//! | module | does |
//! |---|---|
//! | [`database`] | who is ready, running, blocked; one lock |
//! | [`switch`] | leaving one thread for another |
//! | [`wait`] | blocking until something holds or time is over |
//!
//! # Soundness
//! 1. A [`Thread`] is never freed, and its address is the word that the processor on
//!    which it runs keeps for [`current`].
//! 2. A thread's context is resumed by the one processor that took the thread out of
//!    the ready queues, or made it `current` there as its idle thread, under the
//!    database's lock.
//! 3. A stack is used again only when its thread has ended and left it.

mod database;
mod switch;
mod wait;

use alloc::boxed::Box;
use core::cell::Cell;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crate::machine::cpu::{self, Context};
use crate::machine::memory;
use crate::machine::sync::IrqLock;
use crate::nt::address;
use crate::nt::processor::Raises;

pub(crate) use database::{Database, describe, locked};
pub(crate) use switch::{become_idle, clock, preempt, set_affinity};
pub(crate) use wait::{Ended, WaitQueue, block, block_at_work};

/// Priorities; 0 is the idle threads'.
pub(crate) const PRIORITIES: usize = 32;
/// Priority of the idle threads.
const IDLE_PRIORITY: u8 = 0;
/// Priority of the threads that do what a program's threads would do.
pub(crate) const NORMAL_PRIORITY: u8 = 8;

/// Every processor, as an affinity.
pub(crate) const ANY_PROCESSOR: u64 = u64::MAX;

/// A thread, for good.
pub(crate) type ThreadRef = &'static Thread;

/// What a thread does. Boxed twice, because a context is begun with one word.
type Routine = Box<dyn FnOnce() + Send>;

/// A thread.
pub(crate) struct Thread {
    name: &'static str,
    priority: u8,
    /// One bit for each processor on which it may run.
    affinity: AtomicU64,
    context: Context,
    /// End of its stack; null for an idle thread, whose stack is never used again.
    stack: usize,
    /// KeRaiseIrql calls that were not undone.
    raises: IrqLock<Raises>,
    /// Calls into the driver that have not returned, those of interrupts included.
    calls: AtomicU32,
    /// Somebody has called [`Thread::unpark`], and [`park`] has not seen it.
    has_permit: AtomicBool,
    /// Its last wait was ended by its deadline. Written by whoever ends it.
    has_timed_out: AtomicBool,
}

// SAFETY: The routine that a thread begins with is `Send`; everything else is atomic
// or locked, and the context is one processor's at a time by fact 2.
unsafe impl Sync for Thread {}

impl core::fmt::Debug for Thread {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "{} (priority {})", self.name, self.priority)
    }
}

impl Thread {
    /// What it is called.
    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    /// Whether it may run on a processor.
    fn may_run_on(&self, processor: usize) -> bool {
        self.affinity.load(Ordering::Relaxed) >> processor & 1 == 1
    }

    /// Its KeRaiseIrql calls.
    pub(crate) fn raises<R>(&self, routine: impl FnOnce(&mut Raises) -> R) -> R {
        self.raises.with(routine)
    }

    /// The number by which others find it.
    pub(crate) fn key(&self) -> usize {
        address::of(core::ptr::from_ref(self))
    }

    /// Lets the thread's next [`park`] return at once, or ends the one that it is in.
    /// Any IRQL.
    pub(crate) fn unpark(&self) {
        locked(|database| {
            if !database.signal_one(self.key()) {
                self.has_permit.store(true, Ordering::Release);
            }
        });
    }
}

/// The thread that runs here. Any IRQL.
///
/// # Panics
/// Before the processor runs threads.
pub(crate) fn current() -> ThreadRef {
    try_current().unwrap_or_else(|| panic!("this processor does not run threads yet"))
}

/// The thread that runs here; none before the processor runs threads.
fn try_current() -> Option<ThreadRef> {
    let thread: *const Thread = address::to_pointer::<Thread>(cpu::current_thread());
    // SAFETY: (Pointer) null, or by fact 1 a thread, which is never freed. (Aliasing)
    // threads are only shared.
    unsafe { thread.as_ref() }
}

/// Calls into the driver that have not returned, on each processor that does not run
/// threads yet: interrupts reach it as soon as it has started.
static CALLS_BEFORE_THREADS: [AtomicU32; cpu::MAX_PROCESSORS] =
    [const { AtomicU32::new(0) }; cpu::MAX_PROCESSORS];

/// The count of calls into the driver that have not returned here.
fn calls_here() -> &'static AtomicU32 {
    match try_current() {
        Some(own) => &own.calls,
        None => &CALLS_BEFORE_THREADS[cpu::current_processor()],
    }
}

/// Runs `call`, which enters the driver.
pub(crate) fn in_driver<R>(call: impl FnOnce() -> R) -> R {
    let calls = calls_here();
    calls.fetch_add(1, Ordering::Relaxed);
    let result = call();
    calls.fetch_sub(1, Ordering::Relaxed);
    result
}

/// Whether the driver has been called here and has not returned. Any IRQL, no lock.
pub(crate) fn is_in_driver() -> bool {
    calls_here().load(Ordering::Relaxed) != 0
}

/// Waits until somebody calls [`Thread::unpark`] for this thread; at once, if that has
/// happened since it was parked last. At most APC_LEVEL.
pub(crate) fn park(what: &'static str) {
    let own = current();
    block(what, own.key(), None, || {
        own.has_permit.swap(false, Ordering::AcqRel)
    });
}

/// Begins a thread, on `processor` or, if that is `None`, on any. PASSIVE_LEVEL.
pub(crate) fn spawn(
    name: &'static str,
    priority: u8,
    processor: Option<usize>,
    routine: impl FnOnce() + Send + 'static,
) -> ThreadRef {
    assert!(
        (1..PRIORITIES).contains(&usize::from(priority)),
        "no thread has the priority {priority}"
    );
    let affinity = processor.map_or(ANY_PROCESSOR, |processor| 1 << processor);
    let stack = take_stack();
    let routine: Routine = Box::new(routine);
    let argument = Box::into_raw(Box::new(Cell::new(Some(routine)))).expose_provenance();
    // SAFETY: The stack was just taken, for this thread; whoever had it has left it, fact 3.
    let context = unsafe { Context::begin_at(address::to_pointer(stack), begin, argument) };
    let thread: ThreadRef = Box::leak(Box::new(Thread {
        name,
        priority,
        affinity: AtomicU64::new(affinity),
        context,
        stack,
        raises: IrqLock::new(Raises::new()),
        calls: AtomicU32::new(0),
        has_permit: AtomicBool::new(false),
        has_timed_out: AtomicBool::new(false),
    }));
    locked(|database| database.make_ready(thread));
    thread
}

/// A stack: that of a thread that has ended, or a new one.
fn take_stack() -> usize {
    match locked(Database::take_ended) {
        Some(ended) => {
            // Fact 3: it may be leaving this very moment, on another processor.
            ended.context.wait_until_left();
            ended.stack
        }
        None => memory::allocate_stack(memory::THREAD_STACK).expose_provenance(),
    }
}

/// The idle thread of a processor, which runs on the stack that it was started on.
fn new_idle(processor: usize) -> ThreadRef {
    Box::leak(Box::new(Thread {
        name: "idle",
        priority: IDLE_PRIORITY,
        affinity: AtomicU64::new(1 << processor),
        context: Context::running(),
        stack: 0,
        raises: IrqLock::new(Raises::new()),
        calls: AtomicU32::new(0),
        has_permit: AtomicBool::new(false),
        has_timed_out: AtomicBool::new(false),
    }))
}

/// Where a thread begins.
extern "C" fn begin(argument: usize) -> ! {
    let routine: *mut Cell<Option<Routine>> = address::to_pointer(argument);
    // SAFETY: (Pointer) `spawn` made it of a box for this one call, and gave it to
    // nobody else.
    let routine = unsafe { Box::from_raw(routine) };
    cpu::set_irql(crate::nt::irql::PASSIVE_LEVEL);
    x86_64::instructions::interrupts::enable();
    if let Some(routine) = routine.take() {
        routine();
    }
    drop(routine);
    switch::end()
}
