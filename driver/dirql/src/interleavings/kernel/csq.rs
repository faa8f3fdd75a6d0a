//! Cancel-safe queues: the driver has the list and the lock, and of all who reach for an IRP the
//! one gets it that takes its cancel routine away.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use super::{cancel, current};
use crate::{
    interleavings::tracked::Tracked,
    sys::{
        DEVICE_OBJECT, IO_CSQ, IO_CSQ_IRP_CONTEXT, IRP, IoReleaseCancelSpinLock, NTSTATUS, PVOID,
        cancel_irql, is_cancelled, set_cancel_routine,
    },
};

type Insert = unsafe extern "C" fn(*mut IO_CSQ, *mut IRP, PVOID) -> NTSTATUS;
type Remove = unsafe extern "C" fn(*mut IO_CSQ, *mut IRP);
type Peek = unsafe extern "C" fn(*mut IO_CSQ, *mut IRP, PVOID) -> *mut IRP;
type Acquire = unsafe extern "C" fn(*mut IO_CSQ, *mut u8);
type Release = unsafe extern "C" fn(*mut IO_CSQ, u8);

/// A queue's callbacks.
#[derive(Clone, Copy)]
struct Queue {
    csq: *mut IO_CSQ,
    insert: Insert,
    remove: Remove,
    peek: Peek,
    acquire: Acquire,
    release: Release,
    complete_cancelled: Remove,
}

/// What an `IO_CSQ_IRP_CONTEXT` says.
type Context = Rc<Tracked<*mut IRP>>;

/// The queues of a kernel, their contexts, and what each queued IRP is tied to.
pub(super) struct Queues {
    known: RefCell<BTreeMap<usize, Queue>>,
    contexts: RefCell<BTreeMap<usize, Context>>,
    ties: RefCell<BTreeMap<usize, (Queue, Option<Context>)>>,
}

impl Queues {
    pub(super) const fn new() -> Self {
        Self {
            known: RefCell::new(BTreeMap::new()),
            contexts: RefCell::new(BTreeMap::new()),
            ties: RefCell::new(BTreeMap::new()),
        }
    }

    fn of(&self, csq: *mut IO_CSQ) -> Queue {
        let known = self.known.borrow();
        *known
            .get(&csq.addr())
            .expect("a queue that was initialised")
    }

    /// What is known of a context; `None` for NULL.
    fn context(&self, context: *mut IO_CSQ_IRP_CONTEXT) -> Option<Context> {
        if context.is_null() {
            return None;
        }
        let known = self.contexts.borrow().get(&context.addr()).map(Rc::clone);
        Some(known.unwrap_or_else(|| {
            let new = Rc::new(Tracked::new(core::ptr::null_mut()));
            self.contexts
                .borrow_mut()
                .insert(context.addr(), Rc::clone(&new));
            new
        }))
    }
}

impl Queue {
    fn lock(&self) -> u8 {
        let mut irql = 0;
        // SAFETY: (Caller) as the documentation has the callbacks called, fact 10.
        unsafe { (self.acquire)(self.csq, &raw mut irql) };
        irql
    }

    fn unlock(&self, irql: u8) {
        // SAFETY: as above, fact 10.
        unsafe { (self.release)(self.csq, irql) };
    }

    /// Takes an IRP out of the list, under the lock; it is free of its context.
    fn take_out(&self, irp: *mut IRP) {
        // SAFETY: as above, with the lock held, fact 10.
        unsafe { (self.remove)(self.csq, irp) };
        let tie = current().queues.ties.borrow_mut().remove(&irp.addr());
        if let Some((_, Some(context))) = tie {
            context.change(|tied| *tied = core::ptr::null_mut());
        }
    }
}

/// The cancel routine of each IRP in a queue.
unsafe extern "C" fn cancel_queued(_: *mut DEVICE_OBJECT, irp: *mut IRP) {
    // SAFETY: (Caller) this is the IRP's cancel routine, fact 31.
    let irql = unsafe { cancel_irql(irp) };
    // SAFETY: (Caller) as above, fact 31.
    unsafe { IoReleaseCancelSpinLock(irql) };
    let tie = current().queues.ties.borrow().get(&irp.addr()).cloned();
    let (queue, _) = tie.expect("an IRP in a queue is tied to it");
    let irql = queue.lock();
    queue.take_out(irp);
    queue.unlock(irql);
    // SAFETY: (Caller) without the lock, fact 10.
    unsafe { (queue.complete_cancelled)(queue.csq, irp) };
}

pub(crate) unsafe fn IoCsqInitializeEx(
    csq: *mut IO_CSQ,
    insert: Option<Insert>,
    remove: Option<Remove>,
    peek: Option<Peek>,
    acquire: Option<Acquire>,
    release: Option<Release>,
    complete_cancelled: Option<Remove>,
) -> NTSTATUS {
    let queue = Queue {
        csq,
        insert: insert.expect("a callback"),
        remove: remove.expect("a callback"),
        peek: peek.expect("a callback"),
        acquire: acquire.expect("a callback"),
        release: release.expect("a callback"),
        complete_cancelled: complete_cancelled.expect("a callback"),
    };
    current()
        .queues
        .known
        .borrow_mut()
        .insert(csq.addr(), queue);
    0
}

pub(crate) unsafe fn IoCsqInsertIrpEx(
    csq: *mut IO_CSQ,
    irp: *mut IRP,
    context: *mut IO_CSQ_IRP_CONTEXT,
    insert_context: PVOID,
) -> NTSTATUS {
    let kernel = current();
    let queue = kernel.queues.of(csq);
    let context = kernel.queues.context(context);
    // Before the lock is taken, as the documentation's own code has it.
    if let Some(context) = &context {
        context.change(|tied| *tied = irp);
    }
    kernel
        .queues
        .ties
        .borrow_mut()
        .insert(irp.addr(), (queue, context));
    let irql = queue.lock();
    // SAFETY: (Caller) with the lock held, fact 10.
    let status = unsafe { (queue.insert)(csq, irp, insert_context) };
    if status < 0 {
        kernel.queues.ties.borrow_mut().remove(&irp.addr());
        queue.unlock(irql);
        return status;
    }
    // SAFETY: (Pointer) the queue's IRP, fact 4.
    unsafe { set_cancel_routine(irp, Some(cancel_queued)) };
    // SAFETY: (Pointer) as above, fact 4.
    let is_cancelled = unsafe { is_cancelled(irp) } && cancel::take_routine(irp).is_some();
    if is_cancelled {
        queue.take_out(irp);
    }
    queue.unlock(irql);
    if is_cancelled {
        // SAFETY: (Caller) without the lock, fact 10.
        unsafe { (queue.complete_cancelled)(csq, irp) };
    }
    status
}

pub(crate) unsafe fn IoCsqRemoveNextIrp(csq: *mut IO_CSQ, peek_context: PVOID) -> *mut IRP {
    let queue = current().queues.of(csq);
    let irql = queue.lock();
    let mut irp = core::ptr::null_mut();
    loop {
        // SAFETY: (Caller) with the lock held, fact 10.
        irp = unsafe { (queue.peek)(csq, irp, peek_context) };
        if irp.is_null() {
            break;
        }
        // One without a routine is being cancelled, and its cancel routine waits for the lock.
        if cancel::take_routine(irp).is_some() {
            queue.take_out(irp);
            break;
        }
    }
    queue.unlock(irql);
    irp
}

pub(crate) unsafe fn IoCsqRemoveIrp(
    csq: *mut IO_CSQ,
    context: *mut IO_CSQ_IRP_CONTEXT,
) -> *mut IRP {
    let kernel = current();
    let queue = kernel.queues.of(csq);
    let context = kernel.queues.context(context).expect("a context");
    let irql = queue.lock();
    let mut irp = context.read(|tied| *tied);
    if !irp.is_null() {
        if cancel::take_routine(irp).is_some() {
            queue.take_out(irp);
        } else {
            irp = core::ptr::null_mut();
        }
    }
    queue.unlock(irql);
    irp
}
