//! Deferred procedure calls: KeInitializeDpc, KeInsertQueueDpc and relatives.
//!
//! # Model
//! A queue for each processor; a KDPC is in at most one. Inserting asks for the
//! processor's dispatch interrupt, whose handler runs the queue dry. A KDPC leaves
//! its queue before its routine is called, so it can be queued again, and run on
//! another processor, meanwhile.
//!
//! # Soundness
//! 1. `KDPC.DpcData` is the executive's: null while the DPC is in no queue, else
//!    the queue's processor plus one. It is accessed atomically.
//! 2. A KDPC's other fields are written by KeInitializeDpc, and its arguments by
//!    whoever moved `DpcData` away from null, under the queue's lock.
//! 3. A queued KDPC is alive: memory that holds one cannot be freed, because
//!    [`assert_none_within`] stops the run.

use alloc::collections::{BTreeSet, VecDeque};
use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};

use wdk_sys::{BOOLEAN, KDPC, LIST_ENTRY, PKDEFERRED_ROUTINE, PRKDPC, PVOID};

use crate::machine::cpu::{self, MAX_PROCESSORS};
use crate::machine::log::log;
use crate::machine::sync::IrqLock;
use crate::nt::callout::{Callback, call_out};
use crate::nt::dispatcher::{wait_until, wake_waiters};
use crate::nt::routine::Routine;
use crate::nt::violation::{check, fatal};
use crate::nt::{address, counters, timer};

/// The type byte of a DPC object.
const DPC_OBJECT: u8 = 0x13;

/// Where a DPC in a queue comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// KeInsertQueueDpc.
    Driver,
    /// A timer that expired.
    Timer,
    /// One of the rig's own drivers; not counted.
    Executive,
}

/// A DPC in a queue.
#[derive(Clone, Copy)]
struct Entry {
    dpc: usize,
    source: Source,
    /// Counts up with each insertion into this queue.
    sequence: u64,
}

/// One processor's queue.
struct Queue {
    waiting: VecDeque<Entry>,
    running: Option<Entry>,
    inserted: u64,
}

static QUEUES: [IrqLock<Queue>; MAX_PROCESSORS] = [const {
    IrqLock::new(Queue {
        waiting: VecDeque::new(),
        running: None,
        inserted: 0,
    })
}; MAX_PROCESSORS];

/// Every KDPC that was initialised and whose memory is still there.
static INITIALISED: IrqLock<BTreeSet<usize>> = IrqLock::new(BTreeSet::new());

/// A DPC taken out of its queue, ready to be called.
struct Call {
    dpc: PRKDPC,
    routine: PKDEFERRED_ROUTINE,
    context: PVOID,
    argument1: PVOID,
    argument2: PVOID,
    source: Source,
}

/// The queue of a processor, and its number for `DpcData`.
fn queue_of(processor: usize) -> &'static IrqLock<Queue> {
    assert!(processor < MAX_PROCESSORS, "no such processor");
    &QUEUES[processor]
}

/// `DpcData` of a KDPC.
///
/// # Safety
/// `dpc` is an initialised KDPC that is alive while the result is used.
unsafe fn queued_in(dpc: PRKDPC) -> &'static AtomicUsize {
    // SAFETY: (Pointer) alive by the contract; the field is within the object.
    let field = unsafe { &raw mut (*dpc).DpcData };
    // SAFETY: (Pointer) as above, and a pointer's size and alignment are those of
    // usize. (Aliasing) fact 1.
    unsafe { AtomicUsize::from_ptr(field.cast()) }
}

/// KeInitializeDpc.
pub(crate) unsafe extern "C" fn ke_initialize_dpc(
    dpc: PRKDPC,
    routine: PKDEFERRED_ROUTINE,
    context: PVOID,
) {
    Routine::KeInitializeDpc.enter();
    // SAFETY: The driver passes memory for a DPC that is in no queue.
    unsafe {
        dpc.write(KDPC {
            Type: DPC_OBJECT,
            Importance: 1,
            Number: 0,
            DpcListEntry: LIST_ENTRY {
                Flink: core::ptr::null_mut(),
                Blink: core::ptr::null_mut(),
            },
            DeferredRoutine: routine,
            DeferredContext: context,
            SystemArgument1: core::ptr::null_mut(),
            SystemArgument2: core::ptr::null_mut(),
            DpcData: core::ptr::null_mut(),
        });
    };
    INITIALISED.with(|known| known.insert(address::of(dpc)));
}

/// KeInsertQueueDpc.
pub(crate) unsafe extern "C" fn ke_insert_queue_dpc(
    dpc: PRKDPC,
    argument1: PVOID,
    argument2: PVOID,
) -> BOOLEAN {
    let routine = Routine::KeInsertQueueDpc;
    routine.enter();
    let inserted = insert(routine.name(), dpc, argument1, argument2, Source::Driver);
    if !inserted {
        counters::DPCS_ALREADY_QUEUED.add();
    }
    BOOLEAN::from(inserted)
}

/// Puts a DPC into this processor's queue; `false` when it is in one already.
pub(crate) fn insert(
    routine: &str,
    dpc: PRKDPC,
    argument1: PVOID,
    argument2: PVOID,
    source: Source,
) -> bool {
    check!(
        Dpc01,
        routine,
        INITIALISED.with(|known| known.contains(&address::of(dpc))),
        "The DPC at {dpc:p} was never initialised, or its memory is gone."
    );
    let processor = cpu::current_processor();
    let inserted = queue_of(processor).with(|queue| {
        // SAFETY: The check above found it initialised; fact 3 while it is queued.
        let claimed = unsafe { queued_in(dpc) }
            .compare_exchange(0, processor + 1, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok();
        if !claimed {
            return false;
        }
        // SAFETY: (Pointer) alive, see above. (Aliasing) fact 2.
        unsafe { (*dpc).SystemArgument1 = argument1 };
        // SAFETY: As above.
        unsafe { (*dpc).SystemArgument2 = argument2 };
        queue.inserted += 1;
        queue.waiting.push_back(Entry {
            dpc: address::of(dpc),
            source,
            sequence: queue.inserted,
        });
        true
    });
    if inserted {
        cpu::request_dispatch_interrupt(processor);
    }
    inserted
}

/// KeRemoveQueueDpc.
pub(crate) unsafe extern "C" fn ke_remove_queue_dpc(dpc: PRKDPC) -> BOOLEAN {
    Routine::KeRemoveQueueDpc.enter();
    if !INITIALISED.with(|known| known.contains(&address::of(dpc))) {
        fatal(
            "INVALID-OBJECT",
            Routine::KeRemoveQueueDpc.name(),
            format_args!("The object at {dpc:p} is no initialised DPC."),
        );
    }
    BOOLEAN::from(remove(dpc))
}

/// Takes a DPC out of its queue; `false` when it is in none.
pub(crate) fn remove(dpc: PRKDPC) -> bool {
    // SAFETY: Both callers found it initialised; a timer's DPC is as alive as the
    // timer that it was set with.
    let data = unsafe { queued_in(dpc) };
    let Some(processor) = data.load(Ordering::Acquire).checked_sub(1) else {
        return false;
    };
    queue_of(processor).with(|queue| {
        let before = queue.waiting.len();
        queue.waiting.retain(|entry| entry.dpc != address::of(dpc));
        let removed = queue.waiting.len() != before;
        if removed {
            data.store(0, Ordering::Release);
        }
        removed
    })
}

/// KeFlushQueuedDpcs: waits for what is queued or running now, on every processor.
pub(crate) extern "C" fn ke_flush_queued_dpcs() {
    let routine = Routine::KeFlushQueuedDpcs;
    routine.enter();
    for queue in QUEUES.iter().take(cpu::processor_count()) {
        let last = queue.with(|queue| queue.inserted);
        let has_passed = || {
            queue.with(|queue| {
                queue
                    .running
                    .iter()
                    .chain(queue.waiting.front())
                    .all(|entry| entry.sequence > last)
            })
        };
        // Without a deadline the wait ends in one way only.
        let _passed: bool = wait_until(routine.name(), None, has_passed);
    }
}

/// The dispatch interrupt's handler: timers that are due, then the DPC queue.
pub(crate) fn dispatch() {
    timer::expire_due();
    let queue = queue_of(cpu::current_processor());
    while let Some(call) = queue.with(next_call) {
        match call.source {
            Source::Driver => counters::DPCS.add(),
            Source::Timer => {
                counters::DPCS.add();
                counters::TIMER_DPCS.add();
            }
            Source::Executive => {}
        }
        if let Some(routine) = call.routine {
            // SAFETY: The driver gave the routine to KeInitializeDpc for exactly
            // this call: these arguments, at DISPATCH_LEVEL, which the dispatch
            // interrupt's handler runs at.
            call_out(Callback::Dpc, || unsafe {
                routine(call.dpc, call.context, call.argument1, call.argument2);
            });
        }
        queue.with(|queue| queue.running = None);
        wake_waiters();
    }
}

/// Takes the first DPC out of the queue. The queue's lock is held.
fn next_call(queue: &mut Queue) -> Option<Call> {
    let entry = queue.waiting.pop_front()?;
    queue.running = Some(entry);
    let dpc: PRKDPC = address::to_pointer(entry.dpc);
    // SAFETY: (Pointer) fact 3. (Aliasing) fact 2: nobody writes while `DpcData`
    // is not null, and the lock that is held keeps it so.
    let object = unsafe { dpc.read() };
    // SAFETY: Fact 3.
    unsafe { queued_in(dpc) }.store(0, Ordering::Release);
    Some(Call {
        dpc,
        routine: object.DeferredRoutine,
        context: object.DeferredContext,
        argument1: object.SystemArgument1,
        argument2: object.SystemArgument2,
        source: entry.source,
    })
}

/// Checks that no DPC inside `memory`, which is about to go away, is in use, and
/// forgets those that are there.
pub(crate) fn assert_none_within(routine: &str, memory: &Range<usize>) {
    for (processor, queue) in QUEUES.iter().enumerate() {
        // A DPC routine may free the memory of its own DPC.
        let is_own = processor == cpu::current_processor();
        let found = queue.with(|queue| {
            let running = queue.running.filter(|_| !is_own);
            queue
                .waiting
                .iter()
                .copied()
                .chain(running)
                .find(|entry| memory.contains(&entry.dpc))
        });
        check!(
            Dpc08,
            routine,
            found.is_none(),
            "The DPC at {:#x} is still queued or running on processor {processor}.",
            found.map_or(0, |entry| entry.dpc)
        );
    }
    INITIALISED.with(|known| known.retain(|dpc| !memory.contains(dpc)));
}

/// Writes what is queued or running to the log, for a run that hangs.
pub(crate) fn describe() {
    for (processor, queue) in QUEUES.iter().enumerate().take(cpu::processor_count()) {
        queue.with(|queue| {
            if let Some(running) = queue.running {
                log!(
                    "Processor {processor} is in the DPC at {:#x}, number {} of {}.",
                    running.dpc,
                    running.sequence,
                    queue.inserted
                );
            }
            for entry in &queue.waiting {
                log!(
                    "The DPC at {:#x}, number {} of {}, waits for processor {processor}.",
                    entry.dpc,
                    entry.sequence,
                    queue.inserted
                );
            }
        });
    }
}
