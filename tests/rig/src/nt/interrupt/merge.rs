//! `merge-messages=N`: messages of a device are merged, up to N into one.
//!
//! A message that comes while the processor has not taken the one before is no second
//! interrupt. That is rare on a machine that is quick; here a message waits until N have
//! come, or some milliseconds have passed, and the ISR is called once for all.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::machine::interrupts::send_interrupt;
use crate::nt::counters;
use crate::nt::interrupt::{CHAINS, target};

/// Clock interrupts of processor 0 for which a message waits at most: two milliseconds.
const TICKS: u32 = 2;
/// The most that are merged into one.
const MOST: u32 = 64;

/// The most that this run merges; less than two for none.
static LIMIT: AtomicU32 = AtomicU32::new(0);

/// What waits on one vector.
struct Waiting {
    messages: AtomicU32,
    ticks: AtomicU32,
    /// The next interrupt is the executive's, for those that have waited.
    is_over: AtomicBool,
}

/// By vector.
static WAITING: [Waiting; 256] = [const {
    Waiting {
        messages: AtomicU32::new(0),
        ticks: AtomicU32::new(0),
        is_over: AtomicBool::new(false),
    }
}; 256];

/// Chooses how many; `false` when the text says no number from 1 to [`MOST`].
pub(crate) fn choose(text: &str) -> bool {
    let limit = text.parse().ok().filter(|limit| (1..=MOST).contains(limit));
    if let Some(limit) = limit {
        LIMIT.store(limit, Ordering::Relaxed);
    }
    limit.is_some()
}

/// A message has come in; whether its ISR is not to be called yet. At the vector's IRQL.
pub(super) fn holds_back(vector: u8) -> bool {
    let limit = LIMIT.load(Ordering::Relaxed);
    if limit < 2 {
        return false;
    }
    let waiting = &WAITING[usize::from(vector)];
    let is_over = waiting.is_over.swap(false, Ordering::AcqRel);
    if !is_over && waiting.messages.fetch_add(1, Ordering::AcqRel) + 1 < limit {
        return true;
    }
    for _ in 1..waiting.messages.swap(0, Ordering::AcqRel) {
        counters::MESSAGES_MERGED.add();
    }
    false
}

/// Sends the interrupt for those that have waited. Processor 0's clock.
pub(super) fn clock() {
    if LIMIT.load(Ordering::Relaxed) < 2 {
        return;
    }
    for (vector, waiting) in (0..=u8::MAX).zip(&WAITING) {
        if waiting.messages.load(Ordering::Acquire) == 0 {
            waiting.ticks.store(0, Ordering::Relaxed);
        } else if waiting.ticks.fetch_add(1, Ordering::Relaxed) + 1 >= TICKS {
            waiting.ticks.store(0, Ordering::Relaxed);
            waiting.is_over.store(true, Ordering::Release);
            let first = CHAINS.with(|chains| chains.get(&vector)?.first().cloned());
            if let Some(first) = first {
                send_interrupt(target::following(first.node.interrupt().processor), vector);
            }
        }
    }
}
