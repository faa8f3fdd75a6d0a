//! Cancel-safe queues: IoCsqInitialize, IoCsqInsertIrp, IoCsqRemoveNextIrp,
//! IoCsqRemoveIrp and the cancel routine behind them.
//!
//! # Model
//! The driver has the list and the lock; the routines here decide when which callback
//! is called, and who owns an IRP that is cancelled meanwhile:
//!
//! ```text
//! insert       lock, CsqInsertIrp(Ex), mark pending, set the cancel routine, unlock
//! remove next  lock, CsqPeekNextIrp until one's cancel routine can be cleared,
//!              CsqRemoveIrp, unlock
//! remove       lock, clear the cancel routine, CsqRemoveIrp, unlock
//! cancel       (drop the cancel spin lock) lock, CsqRemoveIrp, unlock,
//!              CsqCompleteCanceledIrp
//! ```
//! The last word of `Irp->Tail.Overlay.DriverContext` leads from an IRP to its queue: it holds the
//! context if one was given, else the queue; both begin with their type.
//!
//! Beside the driver's list the executive keeps a record of what is in it, and compares.
//!
//! # Soundness
//! 1. The queue and a context are the driver's and stay resident while an IRP is
//!    queued, which IoCsqInitialize's documentation demands. Access is by value.

mod callbacks;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use wdk_sys::{
    IO_CSQ, IO_CSQ_IRP_CONTEXT, IO_TYPE_CSQ, IO_TYPE_CSQ_EX, IO_TYPE_CSQ_IRP_CONTEXT, NTSTATUS,
    PDEVICE_OBJECT, PIO_CSQ, PIO_CSQ_ACQUIRE_LOCK, PIO_CSQ_COMPLETE_CANCELED_IRP,
    PIO_CSQ_INSERT_IRP, PIO_CSQ_INSERT_IRP_EX, PIO_CSQ_IRP_CONTEXT, PIO_CSQ_PEEK_NEXT_IRP,
    PIO_CSQ_RELEASE_LOCK, PIO_CSQ_REMOVE_IRP, PIRP, PVOID, ULONG,
};

use crate::machine::sync::IrqLock;
use crate::nt::irp::{Irp, ledger};
use crate::nt::routine::Routine;
use crate::nt::status::{STATUS_SUCCESS, is_success};
use crate::nt::violation::{check, fatal};
use crate::nt::{address, cancel};
use callbacks::Queue;

/// IRPs in each queue, as the executive has put them there, by the queue's address.
static QUEUED: IrqLock<BTreeMap<usize, Vec<usize>>> = IrqLock::new(BTreeMap::new());

/// IoCsqInitialize.
pub(crate) unsafe extern "C" fn io_csq_initialize(
    csq: PIO_CSQ,
    insert: PIO_CSQ_INSERT_IRP,
    remove: PIO_CSQ_REMOVE_IRP,
    peek_next: PIO_CSQ_PEEK_NEXT_IRP,
    acquire_lock: PIO_CSQ_ACQUIRE_LOCK,
    release_lock: PIO_CSQ_RELEASE_LOCK,
    complete_canceled: PIO_CSQ_COMPLETE_CANCELED_IRP,
) -> NTSTATUS {
    Routine::IoCsqInitialize.enter();
    let queue = IO_CSQ {
        Type: IO_TYPE_CSQ,
        CsqInsertIrp: insert,
        CsqRemoveIrp: remove,
        CsqPeekNextIrp: peek_next,
        CsqAcquireLock: acquire_lock,
        CsqReleaseLock: release_lock,
        CsqCompleteCanceledIrp: complete_canceled,
        ReservePointer: core::ptr::null_mut(),
    };
    // SAFETY: Fact 1: the driver's structure, which is being made.
    unsafe { csq.write_volatile(queue) };
    QUEUED.with(|queued| queued.insert(address::of(csq), Vec::new()));
    STATUS_SUCCESS
}

/// IoCsqInitializeEx.
pub(crate) unsafe extern "C" fn io_csq_initialize_ex(
    csq: PIO_CSQ,
    insert: PIO_CSQ_INSERT_IRP_EX,
    remove: PIO_CSQ_REMOVE_IRP,
    peek_next: PIO_CSQ_PEEK_NEXT_IRP,
    acquire_lock: PIO_CSQ_ACQUIRE_LOCK,
    release_lock: PIO_CSQ_RELEASE_LOCK,
    complete_canceled: PIO_CSQ_COMPLETE_CANCELED_IRP,
) -> NTSTATUS {
    Routine::IoCsqInitializeEx.enter();
    let queue = IO_CSQ {
        Type: IO_TYPE_CSQ_EX,
        // SAFETY: One slot holds either form, and `Type` says which; a function
        // pointer of the one type has the size of the other.
        CsqInsertIrp: unsafe {
            core::mem::transmute::<PIO_CSQ_INSERT_IRP_EX, PIO_CSQ_INSERT_IRP>(insert)
        },
        CsqRemoveIrp: remove,
        CsqPeekNextIrp: peek_next,
        CsqAcquireLock: acquire_lock,
        CsqReleaseLock: release_lock,
        CsqCompleteCanceledIrp: complete_canceled,
        ReservePointer: core::ptr::null_mut(),
    };
    // SAFETY: Fact 1: the driver's structure, which is being made.
    unsafe { csq.write_volatile(queue) };
    QUEUED.with(|queued| queued.insert(address::of(csq), Vec::new()));
    STATUS_SUCCESS
}

/// IoCsqInsertIrp.
pub(crate) unsafe extern "C" fn io_csq_insert_irp(
    csq: PIO_CSQ,
    irp: PIRP,
    context: PIO_CSQ_IRP_CONTEXT,
) {
    let routine = Routine::IoCsqInsertIrp;
    routine.enter();
    // This form has no way to tell the caller that the driver refused.
    let _status = insert(routine, csq, irp, context, core::ptr::null_mut());
}

/// IoCsqInsertIrpEx.
pub(crate) unsafe extern "C" fn io_csq_insert_irp_ex(
    csq: PIO_CSQ,
    irp: PIRP,
    context: PIO_CSQ_IRP_CONTEXT,
    insert_context: PVOID,
) -> NTSTATUS {
    let routine = Routine::IoCsqInsertIrpEx;
    routine.enter();
    insert(routine, csq, irp, context, insert_context)
}

/// Queues an IRP; one that is cancelled already is completed instead.
fn insert(
    routine: Routine,
    csq: PIO_CSQ,
    irp: PIRP,
    context: PIO_CSQ_IRP_CONTEXT,
    insert_context: PVOID,
) -> NTSTATUS {
    let queue = expect(routine, csq);
    let irp = ledger::live(routine.name(), irp);
    tie(&queue, &irp, context);
    let lock = queue.lock(routine);
    let status = queue.insert(routine, &irp, insert_context);
    if !is_success(status) {
        irp.set_queue_context(core::ptr::null_mut());
        queue.unlock(routine, &lock);
        return status;
    }
    Queue::assert_whole(routine, &irp);
    record(&queue, |queued| queued.push(address::of(irp.pointer())));
    irp.location(irp.current()).mark_pending();
    cancel::set_routine(&irp, cancel_queued);
    let is_cancelled = irp.cancel() != 0 && cancel::take_routine(&irp).is_some();
    if is_cancelled {
        take_out(routine, &queue, &irp);
    }
    queue.unlock(routine, &lock);
    if is_cancelled {
        queue.complete_cancelled(routine, &irp);
    }
    status
}

/// IoCsqRemoveNextIrp.
pub(crate) unsafe extern "C" fn io_csq_remove_next_irp(csq: PIO_CSQ, peek_context: PVOID) -> PIRP {
    let routine = Routine::IoCsqRemoveNextIrp;
    routine.enter();
    let queue = expect(routine, csq);
    let lock = queue.lock(routine);
    let mut candidate = peek(routine, &queue, None, peek_context);
    let mut removed = core::ptr::null_mut();
    while let Some(irp) = candidate {
        assert_tied(routine, &queue, &irp);
        if cancel::take_routine(&irp).is_some() {
            take_out(routine, &queue, &irp);
            removed = irp.pointer();
            break;
        }
        // It is being cancelled, and its cancel routine waits for the lock.
        candidate = peek(routine, &queue, Some(&irp), peek_context);
    }
    queue.unlock(routine, &lock);
    removed
}

/// IoCsqRemoveIrp.
pub(crate) unsafe extern "C" fn io_csq_remove_irp(
    csq: PIO_CSQ,
    context: PIO_CSQ_IRP_CONTEXT,
) -> PIRP {
    let routine = Routine::IoCsqRemoveIrp;
    routine.enter();
    let queue = expect(routine, csq);
    let lock = queue.lock(routine);
    // SAFETY: Fact 1.
    let tied = unsafe { context.read_volatile() };
    let mut removed = core::ptr::null_mut();
    if !tied.Irp.is_null() {
        check!(
            Csq02,
            routine,
            tied.Type == IO_TYPE_CSQ_IRP_CONTEXT && tied.Csq == csq,
            "The context at {context:p} belongs to the queue at {:p}, and an IRP is removed by it from {csq:p}.",
            tied.Csq
        );
        let irp = ledger::live(routine.name(), tied.Irp);
        assert_tied(routine, &queue, &irp);
        if cancel::take_routine(&irp).is_some() {
            take_out(routine, &queue, &irp);
            removed = irp.pointer();
        }
    }
    queue.unlock(routine, &lock);
    removed
}

/// The cancel routine of every IRP in a queue.
unsafe extern "C" fn cancel_queued(_device: PDEVICE_OBJECT, irp: PIRP) {
    let routine = Routine::IoCancelIrp;
    let irp = ledger::live(routine.name(), irp);
    cancel::release(routine, irp.cancel_irql());
    let queue = queue_of(&irp);
    let lock = queue.lock(routine);
    take_out(routine, &queue, &irp);
    queue.unlock(routine, &lock);
    queue.complete_cancelled(routine, &irp);
}

/// The queue at this address, which must have been initialised.
fn expect(routine: Routine, csq: PIO_CSQ) -> Queue {
    let is_known = QUEUED.with(|queued| queued.contains_key(&address::of(csq)));
    if !is_known {
        fatal(
            "NO-SUCH-QUEUE",
            routine.name(),
            format_args!("The address {csq:p} is no cancel-safe queue that was initialised."),
        )
    }
    Queue::at(csq)
}

/// Ties an IRP to its queue, and to its context if it has one.
fn tie(queue: &Queue, irp: &Irp, context: PIO_CSQ_IRP_CONTEXT) {
    if context.is_null() {
        irp.set_queue_context(queue.pointer().cast());
        return;
    }
    let tied = IO_CSQ_IRP_CONTEXT {
        Type: IO_TYPE_CSQ_IRP_CONTEXT,
        Irp: irp.pointer(),
        Csq: queue.pointer(),
    };
    // SAFETY: Fact 1.
    unsafe { context.write_volatile(tied) };
    irp.set_queue_context(context.cast());
}

/// What `DriverContext[3]` of a queued IRP leads to: its queue, and its context if
/// it has one.
fn ties_of(irp: &Irp) -> (PIO_CSQ, PIO_CSQ_IRP_CONTEXT) {
    let pointer = irp.queue_context();
    if pointer.is_null() {
        return (core::ptr::null_mut(), core::ptr::null_mut());
    }
    // SAFETY: Fact 1: what a queued IRP is tied to begins with its type.
    let kind = unsafe { pointer.cast::<ULONG>().read_volatile() };
    if kind != IO_TYPE_CSQ_IRP_CONTEXT {
        return (pointer.cast(), core::ptr::null_mut());
    }
    let context: PIO_CSQ_IRP_CONTEXT = pointer.cast();
    // SAFETY: Fact 1.
    let tied = unsafe { context.read_volatile() };
    (tied.Csq, context)
}

/// The queue that an IRP is in.
fn queue_of(irp: &Irp) -> Queue {
    let recorded = QUEUED.with(|queued| {
        queued
            .iter()
            .find(|(_, irps)| irps.contains(&address::of(irp.pointer())))
            .map(|(csq, _)| *csq)
    });
    let csq = address::to_pointer(recorded.unwrap_or_default());
    let queue = Queue::at(csq);
    assert_tied(Routine::IoCancelIrp, &queue, irp);
    queue
}

/// Checks that the driver left alone what ties a queued IRP to its queue, and its
/// cancel routine.
fn assert_tied(routine: Routine, queue: &Queue, irp: &Irp) {
    let (csq, _) = ties_of(irp);
    let cancel_routine = irp
        .cancel_routine()
        .map(|cancel_routine| cancel_routine as usize);
    let own = cancel_queued as *const () as usize;
    check!(
        Csq03,
        routine,
        csq == queue.pointer() && cancel_routine.is_none_or(|found| found == own),
        "The IRP {irp} is in the queue at {:p}, and the driver changed its DriverContext[3] or its cancel routine.",
        queue.pointer()
    );
    check!(
        Csq03,
        routine,
        cancel_routine.is_some() || irp.cancel() != 0,
        "The IRP {irp} is in the queue at {:p}, and the driver cleared its cancel routine.",
        queue.pointer()
    );
}

/// The next IRP of the driver's list, which must be one that was put there.
fn peek(routine: Routine, queue: &Queue, after: Option<&Irp>, peek_context: PVOID) -> Option<Irp> {
    let found = queue.peek_next(routine, after, peek_context);
    if found.is_null() {
        return None;
    }
    let is_queued = record(queue, |queued| queued.contains(&address::of(found)));
    let is_new = after.is_none_or(|after| after.pointer() != found);
    check!(
        Csq02,
        routine,
        is_queued && is_new,
        "CsqPeekNextIrp returned {found:p}, which {}.",
        if is_queued {
            "it was to go on from"
        } else {
            "is not in the queue"
        }
    );
    Some(ledger::live(routine.name(), found))
}

/// Takes an IRP whose cancel routine was cleared out of its queue. The lock is held.
fn take_out(routine: Routine, queue: &Queue, irp: &Irp) {
    let pointer = address::of(irp.pointer());
    let was_queued = record(queue, |queued| {
        let position = queued.iter().position(|other| *other == pointer);
        position.map(|position| queued.swap_remove(position))
    });
    check!(
        Csq02,
        routine,
        was_queued.is_some(),
        "The IRP {irp} is removed from the queue at {:p}, where it is not.",
        queue.pointer()
    );
    let (_, context) = ties_of(irp);
    queue.remove(routine, irp);
    let next = queue.peek_next(routine, None, core::ptr::null_mut());
    check!(
        Csq02,
        routine,
        next != irp.pointer(),
        "CsqRemoveIrp left the IRP {irp} in the driver's list."
    );
    if !context.is_null() {
        // SAFETY: Fact 1.
        let tied = unsafe { &raw mut (*context).Irp };
        // SAFETY: Fact 1.
        unsafe { tied.write_volatile(core::ptr::null_mut()) };
    }
    irp.set_queue_context(core::ptr::null_mut());
}

/// Runs `work` on the record of a queue.
fn record<R>(queue: &Queue, work: impl FnOnce(&mut Vec<usize>) -> R) -> R {
    QUEUED.with(|queued| work(queued.entry(address::of(queue.pointer())).or_default()))
}
