//! Deferred procedure calls: KeInitializeDpc, KeInsertQueueDpc and relatives.
//!
//! # Model
//! Two queues for each processor, one of ordinary and one of threaded DPCs; a KDPC is in at
//! most one. Inserting asks for the processor's dispatch interrupt, whose handler runs
//! the ordinary queue dry, or wakes the processor's thread, which runs the other. A DPC
//! of low importance, or of medium importance for another processor, waits for that
//! processor's next clock interrupt, or until several have come together. A KDPC leaves
//! its queue before its routine is called, so it can be queued again, and run on
//! another processor, meanwhile.
//!
//! | module | does |
//! |---|---|
//! | [`object`] | the KDPC itself, and who uses it |
//! | [`queue`] | the queues |
//! | [`luck`] | what bad luck does to a DPC |
//! | [`victim`] | the DPCs that bad luck may have cost something |
//! | [`threaded`] | the threads of the threaded DPCs |
//! | [`placement`] | importance and target processor |

mod luck;
mod object;
pub(crate) mod placement;
mod queue;
pub(crate) mod threaded;
pub(crate) mod victim;

use core::ops::Range;

use wdk_sys::{BOOLEAN, PKDEFERRED_ROUTINE, PRKDPC, PVOID};

use crate::machine::cpu;
use crate::nt::callout::{Callback, call_out};
use crate::nt::counters;
use crate::nt::dispatcher::{wait_until, wake_waiters};
use crate::nt::interrupt::foreign;
use crate::nt::measure::{Mark, mark};
use crate::nt::mishap::Mishap;
use crate::nt::routine::Routine;
use crate::nt::throughput::isr_to_dpc;
use crate::nt::timer;
use crate::nt::violation::fatal;
use object::{Contents, Object};
use queue::Number;

/// Where a DPC in a queue comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// KeInsertQueueDpc.
    Driver,
    /// A timer that expired.
    Timer,
    /// A timer that expired just before it was cancelled.
    CancelledTimer,
    /// One of the rig's own drivers; not counted.
    Executive,
}

/// A DPC taken out of its queue, ready to be called.
struct Call {
    dpc: PRKDPC,
    contents: Contents,
    source: Source,
    is_threaded: bool,
    /// When the ISR began that asked for it, while that is measured; else zero.
    isr_began: u64,
}

impl Call {
    /// Calls the routine, at DISPATCH_LEVEL or, in a thread of threaded DPCs,
    /// PASSIVE_LEVEL.
    fn make(&self) {
        match self.source {
            Source::Driver => counters::DPCS.add(),
            Source::Timer | Source::CancelledTimer => {
                counters::DPCS.add();
                counters::TIMER_DPCS.add();
                mark(Mark::Timer);
            }
            Source::Executive => {}
        }
        let callback = if self.is_threaded {
            Callback::ThreadedDpc
        } else {
            Callback::Dpc
        };
        let contents = &self.contents;
        isr_to_dpc::dpc_begins(self.isr_began);
        if let Some(routine) = contents.routine {
            // SAFETY: The driver gave the routine to KeInitializeDpc or
            // KeInitializeThreadedDpc for exactly this call: these arguments, at this
            // level.
            call_out(callback, || unsafe {
                routine(
                    self.dpc,
                    contents.context,
                    contents.argument1,
                    contents.argument2,
                );
            });
        }
    }
}

/// KeInitializeDpc.
pub(crate) unsafe extern "C" fn ke_initialize_dpc(
    dpc: PRKDPC,
    routine: PKDEFERRED_ROUTINE,
    context: PVOID,
) {
    Routine::KeInitializeDpc.enter();
    // SAFETY: The driver passes memory for a DPC that is in no queue.
    unsafe { Object::initialise(dpc, false, routine, context) };
}

/// KeInitializeThreadedDpc.
pub(crate) unsafe extern "C" fn ke_initialize_threaded_dpc(
    dpc: PRKDPC,
    routine: PKDEFERRED_ROUTINE,
    context: PVOID,
) {
    Routine::KeInitializeThreadedDpc.enter();
    // SAFETY: As above.
    unsafe { Object::initialise(dpc, true, routine, context) };
}

/// Initialises a DPC of the executive's own, which runs on `processor`, at once.
///
/// # Safety
/// `dpc` is memory for a DPC that nobody else knows; `routine` may be called as one.
pub(crate) unsafe fn initialize_of_executive(
    dpc: PRKDPC,
    processor: usize,
    routine: unsafe extern "C" fn(*mut wdk_sys::KDPC, PVOID, PVOID, PVOID),
) {
    // SAFETY: The contract.
    unsafe { Object::initialise(dpc, false, Some(routine), core::ptr::null_mut()) };
    let object = Object::expect("IoInitializeTimer", dpc);
    object.set_importance(object::importance::MEDIUM_HIGH);
    object.set_target(u8::try_from(processor).unwrap_or_default());
}

/// KeInsertQueueDpc.
pub(crate) unsafe extern "C" fn ke_insert_queue_dpc(
    dpc: PRKDPC,
    argument1: PVOID,
    argument2: PVOID,
) -> BOOLEAN {
    let routine = Routine::KeInsertQueueDpc;
    routine.enter();
    foreign::note_dpc();
    let object = Object::expect(routine.name(), dpc);
    object.give_to_driver(routine.name());
    victim::forget(dpc);
    let inserted = queue::insert(object, argument1, argument2, Source::Driver);
    if let Err(queued) = &inserted {
        object::assert_same_arguments(routine, dpc, queued.arguments, argument1, argument2);
        counters::DPCS_ALREADY_QUEUED.add();
        if queued.is_late {
            victim::note(dpc, Mishap::LateDpc);
        }
    }
    BOOLEAN::from(inserted.is_ok())
}

/// Puts a DPC that no driver queues itself into a queue; `false` when it is in one already.
pub(crate) fn insert(
    routine: &str,
    dpc: PRKDPC,
    argument1: PVOID,
    argument2: PVOID,
    source: Source,
) -> bool {
    let object = Object::expect(routine, dpc);
    queue::insert(object, argument1, argument2, source).is_ok()
}

/// Notes that a timer is set with this DPC.
pub(crate) fn give_to_timer(routine: &str, dpc: PRKDPC) {
    Object::expect(routine, dpc).give_to_timer(routine);
}

/// KeRemoveQueueDpc.
pub(crate) unsafe extern "C" fn ke_remove_queue_dpc(dpc: PRKDPC) -> BOOLEAN {
    let routine = Routine::KeRemoveQueueDpc;
    routine.enter();
    if !object::is_initialised(dpc) {
        fatal(
            "INVALID-OBJECT",
            routine.name(),
            format_args!("The object at {dpc:p} is no initialised DPC."),
        );
    }
    BOOLEAN::from(remove(routine.name(), dpc))
}

/// Takes a DPC out of its queue; `false` when it is in none.
pub(crate) fn remove(routine: &str, dpc: PRKDPC) -> bool {
    queue::remove(Object::expect(routine, dpc))
}

/// KeFlushQueuedDpcs: waits for what is queued or running now, on every processor.
pub(crate) extern "C" fn ke_flush_queued_dpcs() {
    let routine = Routine::KeFlushQueuedDpcs;
    routine.enter();
    let cancelled = timer::cancelled_periodic();
    for (number, mark) in queue::marks() {
        queue::hurry(number);
        // Without a deadline the wait ends in one way only.
        let _passed: bool = wait_until(routine.name(), None, || queue::has_passed(number, mark));
    }
    timer::flushed(&cancelled);
}

/// The dispatch interrupt's handler: timers that are due, then the DPC queue.
pub(crate) fn dispatch() {
    timer::expire_due();
    let number = Number::ordinary(cpu::current_processor());
    while let Some(call) = queue::next(number) {
        call.make();
        queue::ended(number);
        wake_waiters();
    }
}

/// The clock interrupt's part: runs what was not urgent enough to be run at once.
pub(crate) fn clock() {
    if queue::is_waiting_here() {
        cpu::request_dispatch_interrupt(cpu::current_processor());
    }
}

/// Checks that no DPC inside `memory`, which is about to go away, is in use, and
/// forgets those that are there.
pub(crate) fn assert_none_within(routine: &str, memory: &Range<usize>) {
    queue::assert_none_within(routine, memory);
    object::forget_within(memory);
    victim::forget_within(memory);
}

/// Whether this processor runs a DPC that ran elsewhere at the same time.
pub(crate) fn is_beside_itself_here() -> bool {
    queue::running_here().is_some_and(|entry| entry.is_beside_itself)
}

/// Writes what is queued or running to the log, for a run that hangs.
pub(crate) fn describe() {
    queue::describe();
}
