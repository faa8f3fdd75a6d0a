//! The callbacks that the system runs a queue by. Each links, unlinks or looks; the
//! two for the lock lock, and nothing else does.

use core::ptr::null_mut;

use super::{Content, IrpContext, IrpQueue, search::Search};
use crate::{irql::UpToDispatch, status::NtError, sys};

/// How an IRP is to be inserted: the insert context.
pub(super) struct Insertion<'a> {
    context: Option<&'a IrpContext>,
    /// How many IRPs there may be with this one.
    most: usize,
}

impl<'a> Insertion<'a> {
    /// Behind all others.
    pub(super) const PLAIN: Self = Self {
        context: None,
        most: usize::MAX,
    };
    /// If there is no other.
    pub(super) const ALONE: Self = Self::at_most(1);

    /// Behind all others, if they are `most` with it.
    pub(super) const fn at_most(most: usize) -> Self {
        Self {
            context: None,
            most,
        }
    }

    /// Behind all others, with a context.
    pub(super) const fn with(context: &'a IrpContext) -> Self {
        Self {
            context: Some(context),
            most: usize::MAX,
        }
    }

    /// The context's own structure; NULL if there is none.
    pub(super) fn context_object(&self) -> *mut sys::IO_CSQ_IRP_CONTEXT {
        self.context.map_or(null_mut(), IrpContext::object)
    }

    /// The context, for the IRP; NULL if there is none.
    pub(super) fn context_pointer(&self) -> sys::PVOID {
        self.context.map_or(null_mut(), |context| {
            core::ptr::from_ref(context).cast_mut().cast()
        })
    }
}

/// The queue that a callback is called for.
///
/// # Safety
/// `csq` is what the system gives to a callback of [`IrpQueue::initialize`]'s.
unsafe fn queue_of<'a>(csq: *mut sys::IO_CSQ) -> &'a IrpQueue {
    // SAFETY: (Pointer) `IrpQueue::csq`, which is the queue's own address; it outlives
    // the IRP that this is about, fact 61.
    unsafe { &*csq.cast::<IrpQueue>() }
}

/// The list, inside the lock.
///
/// # Safety
/// As [`queue_of`], in a callback that is called with the lock held.
unsafe fn content_of<'a>(csq: *mut sys::IO_CSQ) -> &'a mut Content {
    // SAFETY: (Pointer) the contract, facts 33 and 34.
    let queue = unsafe { queue_of(csq) };
    // SAFETY: (Aliasing) the lock is held, fact 33.
    unsafe { &mut *queue.content.get() }
}

/// CsqInsertIrpEx.
pub(super) unsafe extern "C" fn insert(
    csq: *mut sys::IO_CSQ,
    irp: *mut sys::IRP,
    insert_context: sys::PVOID,
) -> sys::NTSTATUS {
    // SAFETY: (Caller) IoCsqInsertIrpEx, which has called `acquire_lock`, fact 10.
    let content = unsafe { content_of(csq) };
    // SAFETY: (Pointer) `insert_as` alone inserts, and gives its own variable, fact 10.
    let how = unsafe { &*insert_context.cast_const().cast::<Insertion<'_>>() };
    if let Some(error) = content.closed {
        return error.status();
    }
    if content.length >= how.most {
        return NtError::STATUS_DEVICE_BUSY.status();
    }
    // SAFETY: (Pointer) the IRP is the queue's from here on and alive until it is removed;
    // its list entry is its owner's, facts 33 and 34.
    unsafe { content.list.push(irp) };
    content.length = content.length.saturating_add(1);
    if let Some(context) = how.context {
        context.queued();
    }
    0
}

/// CsqRemoveIrp.
pub(super) unsafe extern "C" fn remove(csq: *mut sys::IO_CSQ, irp: *mut sys::IRP) {
    // SAFETY: (Caller) the system, which has called `acquire_lock`, facts 33 and 34.
    let content = unsafe { content_of(csq) };
    // SAFETY: (Pointer) the system removes what was inserted, once, fact 34.
    unsafe { content.list.remove(irp) };
    content.length = content.length.saturating_sub(1);
}

/// CsqPeekNextIrp. The peek context is a [`Search`], or NULL for any IRP.
pub(super) unsafe extern "C" fn peek_next(
    csq: *mut sys::IO_CSQ,
    irp: *mut sys::IRP,
    peek_context: sys::PVOID,
) -> *mut sys::IRP {
    // SAFETY: (Caller) the system, which has called `acquire_lock`, facts 33 and 34.
    let content = unsafe { content_of(csq) };
    // SAFETY: (Pointer) `remove_matching`'s contract: NULL or a search of the caller's own,
    // who waits for this. (Aliasing) nobody else has its address, fact 11.
    let mut search = unsafe { peek_context.cast::<Search<'_>>().as_mut() };
    let mut next = if irp.is_null() {
        content.list.first()
    } else {
        // SAFETY: (Pointer) the system goes on from an IRP that it was given, under the
        // same lock, facts 33 and 34.
        unsafe { content.list.next(irp) }
    };
    while let Some(search) = &mut search {
        // SAFETY: (Pointer) (Aliasing) what is in the list is alive and the queue's, facts
        // 33 and 34.
        if next.is_null() || unsafe { search.finds(next) } {
            break;
        }
        // SAFETY: (Pointer) as above, facts 33 and 34.
        next = unsafe { content.list.next(next) };
    }
    next
}

/// CsqAcquireLock.
pub(super) unsafe extern "C" fn acquire_lock(csq: *mut sys::IO_CSQ, irql: *mut u8) {
    // SAFETY: (Caller) the system, for a queue of ours, fact 10.
    let queue = unsafe { queue_of(csq) };
    // SAFETY: (IRQL) the queue's routines and IoCancelIrp are called at DISPATCH_LEVEL or
    // below. (Pointer) the word lives in the queue, facts 5 and 10.
    let old = unsafe { sys::KeAcquireSpinLockRaiseToDpc(queue.lock.get()) };
    // SAFETY: (Pointer) the system's variable, fact 10.
    unsafe { irql.write(old) };
}

/// CsqReleaseLock.
pub(super) unsafe extern "C" fn release_lock(csq: *mut sys::IO_CSQ, irql: u8) {
    // SAFETY: (Caller) the system, for a queue of ours, fact 10.
    let queue = unsafe { queue_of(csq) };
    // SAFETY: pairs with `acquire_lock`, which stored the level, fact 10.
    unsafe { sys::KeReleaseSpinLock(queue.lock.get(), irql) };
}

/// CsqCompleteCanceledIrp.
pub(super) unsafe extern "C" fn complete_cancelled(_csq: *mut sys::IO_CSQ, irp: *mut sys::IRP) {
    // SAFETY: (IRQL) IoCancelIrp and IoCsqInsertIrpEx are called at DISPATCH_LEVEL or
    // below, and no lock is held here, facts 5 and 10.
    let mut irql = unsafe { UpToDispatch::assume() };
    // SAFETY: (Caller) the system has removed the IRP from the queue and gives it to us,
    // fact 34.
    if let Some(irp) = unsafe { IrpQueue::given_back(irp) } {
        irp.complete(&mut irql, Err(NtError::STATUS_CANCELLED));
    }
}
