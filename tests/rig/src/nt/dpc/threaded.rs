//! Threaded DPCs: a real-time thread for each processor, which preempts every other
//! thread and is preempted by ordinary DPCs only. The option `threaded-dpcs=off` has
//! them run as ordinary DPCs, as the registry value ThreadDpcEnable does.

use core::sync::atomic::{AtomicBool, Ordering};

use super::queue::{self, Number};
use crate::machine::cpu::{self, MAX_PROCESSORS};
use crate::machine::sync::IrqLock;
use crate::nt::dispatcher::wake_waiters;
use crate::nt::options;
use crate::nt::thread::{self, ThreadRef};

/// Priority of the threads: the highest.
const PRIORITY: u8 = 31;

/// The threads, by processor.
static THREADS: IrqLock<[Option<ThreadRef>; MAX_PROCESSORS]> = IrqLock::new([None; MAX_PROCESSORS]);
/// Whether there are threads.
static ARE_ENABLED: AtomicBool = AtomicBool::new(false);

/// Whether threaded DPCs run in threads.
pub(super) fn are_enabled() -> bool {
    ARE_ENABLED.load(Ordering::Acquire)
}

/// Begins the threads, unless the options say that there are none. PASSIVE_LEVEL, before
/// the driver is loaded.
pub(crate) fn start() {
    if !options::get().threaded_dpcs {
        return;
    }
    for processor in 0..cpu::processor_count() {
        let thread = thread::spawn("threaded DPCs", PRIORITY, Some(processor), move || {
            serve(processor);
        });
        THREADS.with(|threads| {
            if let Some(slot) = threads.get_mut(processor) {
                *slot = Some(thread);
            }
        });
    }
    ARE_ENABLED.store(true, Ordering::Release);
}

/// Runs a processor's queue, for good.
fn serve(processor: usize) {
    let number = Number::threaded(processor);
    loop {
        while let Some(call) = queue::next(number) {
            call.make();
            queue::ended(number);
            wake_waiters();
        }
        thread::park("a threaded DPC");
    }
}

/// Has a processor's queue run. Any IRQL.
pub(super) fn wake(processor: usize) {
    let thread = THREADS.with(|threads| threads.get(processor).copied().flatten());
    if let Some(thread) = thread {
        thread.unpark();
    }
}

/// Whether this is the thread of that processor's queue.
pub(super) fn is_own(processor: usize) -> bool {
    let thread = THREADS.with(|threads| threads.get(processor).copied().flatten());
    thread.is_some_and(|thread| core::ptr::eq(thread, thread::current()))
}

/// Whether a threaded DPC's routine runs here: in its thread, or as an ordinary DPC.
pub(crate) fn is_running_here() -> bool {
    match queue::running_here() {
        Some(running) => running.is_threaded,
        None => (0..cpu::processor_count()).any(is_own),
    }
}
