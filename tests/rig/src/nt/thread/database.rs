//! The dispatcher database: which threads are ready, run, and are blocked on what.
//!
//! One lock guards it, and no other lock but the heap's is taken while it is held, so
//! that whoever holds whatever lock may make a thread ready. The signal states of events and timers
//! are guarded by it too ([`crate::nt::dispatcher`]).

use alloc::collections::VecDeque;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::{PRIORITIES, Thread, ThreadRef};
use crate::machine::cpu::{self, MAX_PROCESSORS};
use crate::machine::log::log;
use crate::machine::sync::IrqLock;
use crate::machine::time::{TICKS_PER_SECOND, system_time_100ns};

/// How long a thread runs while others of its priority are ready: 5 ms, or as much
/// more as the processor's clock takes to notice.
const TIME_SLICE: u64 = TICKS_PER_SECOND / 200;

/// What a processor runs.
struct Running {
    idle: ThreadRef,
    current: ThreadRef,
    /// When `current` began to run here.
    since: u64,
    /// It was asked to look for a thread and has not done so yet.
    is_asked: bool,
}

/// A thread that waits.
struct Blocked {
    thread: ThreadRef,
    /// What it waits for: [`Database::signal_one`] names it.
    key: usize,
    deadline: Option<u64>,
    what: &'static str,
}

/// The database.
pub(crate) struct Database {
    ready: [VecDeque<ThreadRef>; PRIORITIES],
    running: [Option<Running>; MAX_PROCESSORS],
    /// In the order in which they began to wait.
    blocked: VecDeque<Blocked>,
    /// Threads that have ended and whose stacks nobody has taken.
    ended: VecDeque<ThreadRef>,
    /// The processor that was asked last: work is spread by asking the next.
    asked_last: usize,
}

static DATABASE: IrqLock<Database> = IrqLock::new(Database {
    ready: [const { VecDeque::new() }; PRIORITIES],
    running: [const { None }; MAX_PROCESSORS],
    blocked: VecDeque::new(),
    ended: VecDeque::new(),
    asked_last: 0,
});

/// The earliest deadline of a blocked thread.
static NEXT_DEADLINE: AtomicU64 = AtomicU64::new(u64::MAX);
/// Threads that are ready.
static READY: AtomicUsize = AtomicUsize::new(0);

/// Runs `routine` with the database locked. Any IRQL; it takes no other lock.
pub(crate) fn locked<R>(routine: impl FnOnce(&mut Database) -> R) -> R {
    DATABASE.with(routine)
}

/// Whether a deadline has passed. Any IRQL.
pub(super) fn has_overdue() -> bool {
    NEXT_DEADLINE.load(Ordering::Acquire) <= system_time_100ns()
}

/// Whether a thread is ready. Any IRQL.
pub(super) fn has_ready() -> bool {
    READY.load(Ordering::Acquire) != 0
}

/// Writes what the threads do to the log, for a run that hangs.
pub(crate) fn describe() {
    locked(|database| {
        for (processor, running) in database.running.iter().enumerate() {
            if let Some(running) = running {
                log!(
                    "Processor {processor} runs the thread {:?}.",
                    running.current
                );
            }
        }
        for thread in database.ready.iter().flatten() {
            log!("The thread {thread:?} is ready.");
        }
        for blocked in &database.blocked {
            log!("The thread {:?} waits: {}.", blocked.thread, blocked.what);
        }
    });
}

impl Database {
    /// A processor runs threads from now on, its idle thread first.
    pub(super) fn add_processor(&mut self, processor: usize, idle: ThreadRef) {
        if let Some(running) = self.running.get_mut(processor) {
            *running = Some(Running {
                idle,
                current: idle,
                since: system_time_100ns(),
                is_asked: false,
            });
        }
        self.spread();
    }

    /// A thread may run again: it goes to the end of its queue.
    pub(super) fn make_ready(&mut self, thread: ThreadRef) {
        if let Some(queue) = self.ready.get_mut(usize::from(thread.priority)) {
            queue.push_back(thread);
        }
        READY.fetch_add(1, Ordering::AcqRel);
        self.ask_for(thread);
    }

    /// A thread that was displaced goes to the head of its queue.
    fn put_back(&mut self, thread: ThreadRef) {
        if let Some(queue) = self.ready.get_mut(usize::from(thread.priority)) {
            queue.push_front(thread);
        }
        READY.fetch_add(1, Ordering::AcqRel);
        self.ask_for(thread);
    }

    /// Asks a processor to look: one that is idle, else the one whose thread has the
    /// lowest priority below this thread's.
    fn ask_for(&mut self, thread: &Thread) {
        let count = cpu::processor_count();
        let candidates = (1..=count)
            .map(|step| (self.asked_last + step) % count)
            .filter(|processor| thread.may_run_on(*processor))
            .filter_map(|processor| {
                let running = self.running.get(processor)?.as_ref()?;
                (!running.is_asked && running.current.priority < thread.priority)
                    .then_some((running.current.priority, processor))
            });
        // The first of several minima: the one after the processor asked last.
        let chosen = candidates.min_by_key(|(priority, _)| *priority);
        if let Some((_, processor)) = chosen {
            self.asked_last = processor;
            if let Some(Some(running)) = self.running.get_mut(processor) {
                running.is_asked = true;
            }
            cpu::request_dispatch_interrupt(processor);
        }
    }

    /// Asks processors for every thread that is ready and could run at once. Whoever
    /// was asked for one may have taken another.
    fn spread(&mut self) {
        if !has_ready() {
            return;
        }
        for priority in (0..PRIORITIES).rev() {
            let mut index = 0;
            while let Some(thread) = self
                .ready
                .get(priority)
                .and_then(|queue| queue.get(index))
                .copied()
            {
                self.ask_for(thread);
                index += 1;
            }
        }
    }

    /// Priority of the best thread that is ready for a processor.
    fn best_priority(&self, processor: usize) -> Option<u8> {
        self.ready
            .iter()
            .rev()
            .flatten()
            .find(|thread| thread.may_run_on(processor))
            .map(|thread| thread.priority)
    }

    /// Takes the best thread that is ready for a processor.
    fn take_ready(&mut self, processor: usize) -> Option<ThreadRef> {
        let thread = self.ready.iter_mut().rev().find_map(|queue| {
            let index = queue
                .iter()
                .position(|thread| thread.may_run_on(processor))?;
            queue.remove(index)
        })?;
        READY.fetch_sub(1, Ordering::AcqRel);
        Some(thread)
    }

    /// What a processor is to run now that its thread cannot go on.
    pub(super) fn take_next(&mut self, processor: usize) -> ThreadRef {
        let next = self.take_ready(processor);
        let next = self.run(processor, next);
        self.spread();
        next
    }

    /// What a processor is to run instead of its thread; none if that goes on.
    pub(super) fn displace(&mut self, processor: usize) -> Option<ThreadRef> {
        let running = self.running.get_mut(processor)?.as_mut()?;
        running.is_asked = false;
        let (current, idle, since) = (running.current, running.idle, running.since);
        let best = self.best_priority(processor);
        let is_over = system_time_100ns().saturating_sub(since) >= TIME_SLICE;
        let may_stay = current.may_run_on(processor);
        let yields_to = |best| best > current.priority || (best == current.priority && is_over);
        if may_stay && !best.is_some_and(yields_to) {
            return None;
        }
        let next = self.take_next(processor);
        // The idle thread is in no queue: it runs where nothing else does.
        if !core::ptr::eq(current, idle) {
            if best > Some(current.priority) {
                self.put_back(current);
            } else {
                self.make_ready(current);
            }
        }
        Some(next)
    }

    /// Notes what a processor runs: `next`, or its idle thread.
    fn run(&mut self, processor: usize, next: Option<ThreadRef>) -> ThreadRef {
        let Some(Some(running)) = self.running.get_mut(processor) else {
            unreachable!("processor {processor} does not run threads");
        };
        let next = next.unwrap_or(running.idle);
        running.current = next;
        running.since = system_time_100ns();
        next
    }

    /// A thread waits from now on.
    pub(super) fn begin_wait(
        &mut self,
        thread: ThreadRef,
        key: usize,
        deadline: Option<u64>,
        what: &'static str,
    ) {
        self.blocked.push_back(Blocked {
            thread,
            key,
            deadline,
            what,
        });
        self.update_deadline();
    }

    /// Ends the wait of the thread that has waited longest for `key`; `false` if none
    /// waits.
    pub(crate) fn signal_one(&mut self, key: usize) -> bool {
        let index = self.blocked.iter().position(|blocked| blocked.key == key);
        index.is_some_and(|index| {
            self.end_wait(index, false);
            true
        })
    }

    /// Ends the waits of all threads that wait for `key`.
    pub(crate) fn signal_all(&mut self, key: usize) {
        while self.signal_one(key) {}
    }

    /// Ends the waits whose time is over.
    pub(super) fn end_overdue(&mut self) {
        let now = system_time_100ns();
        let is_overdue =
            |blocked: &Blocked| blocked.deadline.is_some_and(|deadline| deadline <= now);
        while let Some(index) = self.blocked.iter().position(is_overdue) {
            self.end_wait(index, true);
        }
        self.update_deadline();
    }

    /// Ends one wait.
    fn end_wait(&mut self, index: usize, has_timed_out: bool) {
        if let Some(blocked) = self.blocked.remove(index) {
            let how = &blocked.thread.has_timed_out;
            how.store(has_timed_out, Ordering::Release);
            self.make_ready(blocked.thread);
        }
    }

    /// Computes [`NEXT_DEADLINE`] anew.
    fn update_deadline(&self) {
        let next = self
            .blocked
            .iter()
            .filter_map(|blocked| blocked.deadline)
            .min();
        NEXT_DEADLINE.store(next.unwrap_or(u64::MAX), Ordering::Release);
    }

    /// A thread has ended; its stack can be used again when it has left it.
    pub(super) fn keep_ended(&mut self, thread: ThreadRef) {
        self.ended.push_back(thread);
    }

    /// Takes a thread that has ended, for its stack.
    pub(super) fn take_ended(&mut self) -> Option<ThreadRef> {
        self.ended.pop_front()
    }
}
