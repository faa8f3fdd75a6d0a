//! Passive-level interrupts: ISRs that a real-time thread calls at PASSIVE_LEVEL.
//!
//! # Model
//! The line's interrupt comes in at its vector's IRQL as any other. Its handler masks the
//! line, so that the device, which holds it until its ISR has run, does not interrupt
//! again, and wakes the vector's thread. The thread calls the ISRs of the vector's chain
//! and unmasks the line.
//!
//! What a spin lock is to other interrupts is an event here, which the connection has:
//! whoever waits for it blocks, so an ISR and a critical section may block too.
//!
//! # Soundness
//! Fact 1 of [`interrupt`](super).

use alloc::collections::BTreeMap;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::machine::cpu;
use crate::machine::interrupts::{mask_line, route_line};
use crate::machine::sync::IrqLock;
use crate::nt::address;
use crate::nt::callout::{Callback, call_out};
use crate::nt::dispatcher::wake_waiters;
use crate::nt::interrupt::{CHAINS, Connection, Occasion, count_unclaimed, serve_chain, target};
use crate::nt::irql::PASSIVE_LEVEL;
use crate::nt::node::InterruptResource;
use crate::nt::thread::{self, ThreadRef};
use crate::nt::violation::check;

/// Priority of the threads: real-time, below that of threaded DPCs.
const PRIORITY: u8 = 26;

/// Nobody holds an event.
const FREE: usize = 0;
/// A thread was given an event and has not run since.
const HANDED_ON: usize = 1;

/// The thread of each vector that is passive.
static THREADS: IrqLock<BTreeMap<u8, ThreadRef>> = IrqLock::new(BTreeMap::new());

/// The event that keeps an ISR and critical sections apart.
pub(super) struct Event {
    /// The thread that has it, by its key.
    holder: AtomicUsize,
}

impl Event {
    /// Nobody has it.
    pub(super) const fn new() -> Self {
        Self {
            holder: AtomicUsize::new(FREE),
        }
    }

    /// Whether this thread has it.
    pub(super) fn is_mine(&self) -> bool {
        self.holder.load(Ordering::Acquire) == thread::current().key()
    }

    /// Runs `work` while this thread has the event. PASSIVE_LEVEL.
    pub(super) fn with<R>(&self, routine: impl AsRef<str>, work: impl FnOnce() -> R) -> R {
        let own = thread::current().key();
        check!(
            Irql05,
            routine,
            cpu::irql() == PASSIVE_LEVEL,
            "A passive-level interrupt's event was waited for at IRQL {}.",
            cpu::irql()
        );
        check!(
            Syn02,
            routine,
            self.holder.load(Ordering::Acquire) != own,
            "This thread is inside a critical section or the ISR of the same passive-level interrupt: waiting for its event would never end."
        );
        let key = address::of(core::ptr::from_ref(self));
        let what = "the event of a passive-level interrupt";
        // Either it is free, or whoever has it hands it on to this thread.
        thread::block_at_work(what, key, None, || {
            self.holder
                .compare_exchange(FREE, own, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        });
        self.holder.store(own, Ordering::Release);
        let result = work();
        // To the one that has waited longest, so that nobody waits for ever.
        thread::locked(|database| {
            let is_handed_on = database.signal_one(key);
            let holder = if is_handed_on { HANDED_ON } else { FREE };
            self.holder.store(holder, Ordering::Release);
        });
        result
    }
}

/// Makes a thread for the ISRs of a passive vector, if it has none.
pub(super) fn prepare(interrupt: &InterruptResource) {
    if THREADS.with(|threads| threads.contains_key(&interrupt.vector)) {
        return;
    }
    let interrupt = *interrupt;
    let thread = thread::spawn("passive-level ISR", PRIORITY, None, move || {
        loop {
            thread::park("a passive-level interrupt");
            serve(&interrupt);
        }
    });
    THREADS.with(|threads| threads.insert(interrupt.vector, thread));
}

/// A passive vector's interrupt came in: its thread goes on with it. Any IRQL.
pub(super) fn defer(vector: u8, line: u32) {
    mask_line(line);
    if let Some(thread) = THREADS.with(|threads| threads.get(&vector).copied()) {
        thread.unpark();
    }
}

/// Calls the ISRs of a vector's chain and lets the line interrupt again.
fn serve(interrupt: &InterruptResource) {
    let claimed = serve_chain(interrupt.vector);
    count_unclaimed(interrupt.vector, claimed);
    // Whoever waits to take a connection down.
    wake_waiters();
    CHAINS.with(|chains| {
        let is_connected = chains
            .get(&interrupt.vector)
            .is_some_and(|chain| !chain.is_empty());
        if is_connected && let Some(line) = interrupt.line {
            route_line(
                line,
                interrupt.vector,
                target::following(interrupt.processor),
            );
        }
    });
}

impl Connection {
    /// Calls the ISR at PASSIVE_LEVEL with the interrupt's event held.
    pub(super) fn serve_passively(&self, occasion: Occasion, causes: Option<u32>) -> bool {
        self.event.with(Callback::Isr, || {
            self.judged(occasion, causes, || {
                call_out(Callback::Isr, || self.call(0))
            })
        })
    }
}
