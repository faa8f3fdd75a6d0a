//! Cancel-safe queues of IRPs. Wraps `IoCsqInitializeEx`, `IoCsqInsertIrpEx`,
//! `IoCsqRemoveNextIrp`, `IoCsqRemoveIrp`.
//!
//! # Model
//!
//! [`insert`](IrpQueue::insert) gives a pending IRP away, and
//! [`remove_next`](IrpQueue::remove_next) gives one back, the oldest first. In between it
//! belongs to the queue: a request that is cancelled, whose file is closed, or whose
//! device goes is completed by it, exactly once, whoever else reaches for it at the
//! same time. The list is linked through the IRPs: inserting allocates nothing and
//! cannot fail for want of memory.
//!
//! ```text
//!  insert --> [ the queue ] --> remove_next, IrpContext::remove: a PendingIrp again
//!                   |
//!                   +--> cancelled, file closed: STATUS_CANCELLED
//!                   '--> device removed or gone: STATUS_DELETE_PENDING
//! ```
//!
//! [`IrpContext`] picks out one particular IRP; [`IrpSlot`] is a queue for one.
//!
//! # Contexts
//!
//! | operation | caller | token | may block |
//! |---|---|---|---|
//! | `initialize` | START | `Passive` | no |
//! | `insert`, `insert_with`, `insert_at_most` | all but ISRs and critical sections | any up to `Dispatch` | no |
//! | `remove_next`, `remove_next_of`, `remove_next_where` | the same | the same | no |
//!
//! # Ownership
//!
//! The queue is a pinned field of the device extension and enters itself in the device's
//! table of those that hold IRPs, by which CLEANUP and REMOVE find it. While a device is
//! stopped for rebalancing the IRPs stay where they are, and can be cancelled.
//!
//! # Soundness
//!
//! Facts 1 to 5 of the crate, and of this module:
//!
//! 33. **Queue lock.** The system calls the list's callbacks between CsqAcquireLock and
//!     CsqReleaseLock only, which are a spin lock of the queue's own. So one processor at a
//!     time is at the list.
//! 34. **Either or.** Of all who reach for a queued IRP one gets it: the system decides by
//!     the IRP's cancel routine, under the queue lock. Who gets it owns it (fact 4).
//! 61. **In place.** `initialize` has seen that the queue lies in its device's extension,
//!     where it is pinned; each queued IRP holds the device's remove lock, so the queue
//!     outlives it.
//!
//! See "Cancel-Safe IRP Queues" in the Windows driver documentation.

mod callbacks;
mod context;
mod search;
mod slot;

use core::{cell::UnsafeCell, marker::PhantomPinned, pin::Pin, ptr::null_mut};

pub use context::IrpContext;
pub use search::Queued;
pub use slot::IrpSlot;

use crate::{
    device::Device,
    file::FileObject,
    irp::{Buffers, PendingIrp},
    irp_holders::{Holder, HoldsIrps, Whose},
    irp_list::IrpList,
    irql::{AtMostDispatch, Passive, UpToDispatch},
    status::{NtError, Result},
    stop_code::{Reason, stop},
    sync::{
        GuardedUnsafeCell,
        atomic::{AtomicPtr, AtomicU8, Ordering},
    },
    sys,
};

const NEW: u8 = 0;
const INITIALIZING: u8 = 1;
const READY: u8 = 2;

/// A cancel-safe queue, as a field of the device extension.
// The first field is what the callbacks are given the address of.
#[derive(Debug)]
#[repr(C)]
pub struct IrpQueue {
    csq: UnsafeCell<sys::IO_CSQ>,
    /// Fact 33.
    lock: UnsafeCell<sys::KSPIN_LOCK>,
    /// Reached under the lock.
    content: GuardedUnsafeCell<Content>,
    /// Whose IRPs these are. Written before the stage is `READY`.
    device: AtomicPtr<sys::DEVICE_OBJECT>,
    /// `NEW` until it was initialised, in place.
    stage: AtomicU8,
    /// The system has its address once it is initialised.
    _pinned: PhantomPinned,
}

/// What the queue lock protects.
#[derive(Debug)]
struct Content {
    list: IrpList,
    /// IRPs in the list.
    length: usize,
    /// What an IRP that comes now fails with, when the device takes none.
    closed: Option<NtError>,
}

/// An IRP that a queue did not take.
#[must_use = "the IRP is completed in the end; dropping it aborts the request"]
#[derive(Debug)]
pub struct Refused {
    /// The IRP.
    pub irp: PendingIrp,
    /// Why it was not taken.
    pub error: NtError,
}

impl Refused {
    /// Completes the IRP with the error for which it was refused.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    pub fn complete<I: AtMostDispatch>(self, irql: &mut I) {
        self.irp.complete(irql, Err(self.error));
    }
}

// SAFETY: (Aliasing) the list is reached under the queue lock, fact 33; the rest is
// atomic or written once, before it is shared.
unsafe impl Sync for IrpQueue {}
// SAFETY: belongs to no thread; moved only before it is initialised, fact 61.
unsafe impl Send for IrpQueue {}

impl Default for IrpQueue {
    fn default() -> Self {
        Self::new()
    }
}

impl IrpQueue {
    /// A queue that takes nothing before it is initialised.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            csq: UnsafeCell::new(sys::zeroed_csq()),
            lock: UnsafeCell::new(0),
            content: GuardedUnsafeCell::new(Content {
                list: IrpList::new(),
                length: 0,
                closed: None,
            }),
            device: AtomicPtr::new(null_mut()),
            stage: AtomicU8::new(NEW),
            _pinned: PhantomPinned,
        }
    }

    /// Makes the queue ready, in place. Once is enough; again does no harm. Wraps
    /// `IoCsqInitializeEx`.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    ///
    /// # Errors
    /// STATUS_INVALID_PARAMETER if `self` is no part of the device's extension,
    /// STATUS_INSUFFICIENT_RESOURCES if the device has too many queues,
    /// STATUS_DELETE_PENDING once the device is being removed, STATUS_DEVICE_BUSY while
    /// another thread does the same.
    pub fn initialize<E>(self: Pin<&Self>, device: &Device<E>, irql: &mut Passive) -> Result<()> {
        let queue = self.get_ref();
        let exchanged =
            queue
                .stage
                .compare_exchange(NEW, INITIALIZING, Ordering::Acquire, Ordering::Acquire);
        match exchanged {
            Ok(_) => {}
            Err(READY) => return Ok(()),
            Err(_) => return Err(NtError::STATUS_DEVICE_BUSY),
        }
        let result = queue.initialize_now(device, irql);
        let stage = if result.is_ok() { READY } else { NEW };
        queue.stage.store(stage, Ordering::Release);
        result
    }

    fn initialize_now<E>(&self, device: &Device<E>, irql: &mut Passive) -> Result<()> {
        device.expect_within(self)?;
        self.device
            .store(device.header().object(), Ordering::Relaxed);
        // SAFETY: (Pointer) in place for good, fact 61. (Aliasing) the exchange of the
        // stage let one thread in. The callbacks are for a queue of this type.
        let status = unsafe {
            sys::IoCsqInitializeEx(
                self.csq(),
                Some(callbacks::insert),
                Some(callbacks::remove),
                Some(callbacks::peek_next),
                Some(callbacks::acquire_lock),
                Some(callbacks::release_lock),
                Some(callbacks::complete_cancelled),
            )
        };
        NtError::check(status)?;
        device.header().irp_holders().enter(irql, Holder::new(self))
    }

    /// Gives an IRP to the queue, behind all others. Wraps `IoCsqInsertIrpEx`.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    ///
    /// # Errors
    /// The IRP, with STATUS_DEVICE_NOT_READY if the queue was not initialised, or
    /// STATUS_DELETE_PENDING if the device is gone or being removed.
    pub fn insert<I: AtMostDispatch>(
        &self,
        irql: &mut I,
        irp: PendingIrp,
    ) -> core::result::Result<(), Refused> {
        self.insert_as(irql, irp, &callbacks::Insertion::PLAIN)
    }

    /// As [`insert`](Self::insert), into a queue that is to hold no more than `most` IRPs:
    /// what has to go through all of them at DISPATCH_LEVEL needs a bound.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    ///
    /// # Errors
    /// As [`insert`](Self::insert), and STATUS_DEVICE_BUSY if that many are there.
    pub fn insert_at_most<I: AtMostDispatch>(
        &self,
        irql: &mut I,
        irp: PendingIrp,
        most: usize,
    ) -> core::result::Result<(), Refused> {
        self.insert_as(irql, irp, &callbacks::Insertion::at_most(most))
    }

    /// As [`insert`](Self::insert); `context` picks the IRP out later.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    ///
    /// # Errors
    /// As [`insert`](Self::insert), and STATUS_DEVICE_BUSY if the context stands for an IRP
    /// already, STATUS_INVALID_PARAMETER if it is no part of the device's extension.
    pub fn insert_with<I: AtMostDispatch>(
        &self,
        irql: &mut I,
        irp: PendingIrp,
        context: Pin<&IrpContext>,
    ) -> core::result::Result<(), Refused> {
        let context = context.get_ref();
        if self.stage.load(Ordering::Acquire) != READY {
            return Err(refused(irp, NtError::STATUS_DEVICE_NOT_READY));
        }
        if let Err(error) = context.claim(self) {
            return Err(refused(irp, error));
        }
        let inserted = self.insert_as(irql, irp, &callbacks::Insertion::with(context));
        if inserted.is_err() {
            context.release();
        }
        inserted
    }

    fn insert_as<I: AtMostDispatch>(
        &self,
        _irql: &mut I,
        irp: PendingIrp,
        how: &callbacks::Insertion<'_>,
    ) -> core::result::Result<(), Refused> {
        if self.stage.load(Ordering::Acquire) != READY {
            return Err(refused(irp, NtError::STATUS_DEVICE_NOT_READY));
        }
        if irp.device_object() != self.device.load(Ordering::Relaxed) {
            stop(Reason::ForeignIrp, irp.as_raw().addr());
        }
        let raw = irp.into_raw();
        // SAFETY: (Aliasing) the IRP was owned a line ago, and is in no queue, facts 4 and
        // 34.
        unsafe { sys::set_word(raw, how.context_pointer()) };
        // SAFETY: (IRQL) the token says at most DISPATCH_LEVEL. (Pointer) the queue is in
        // place, fact 61; the context, if there is one, lies in the same extension and is
        // claimed for this IRP; the insertion lives across the call.
        let status = unsafe {
            sys::IoCsqInsertIrpEx(
                self.csq(),
                raw,
                how.context_object(),
                core::ptr::from_ref(how).cast_mut().cast(),
            )
        };
        match NtError::check(status) {
            Ok(_) => Ok(()),
            // SAFETY: (Caller) an IRP that is refused was not queued: it is ours still,
            // facts 4 and 34.
            Err(error) => Err(refused(unsafe { PendingIrp::from_raw(raw) }, error)),
        }
    }

    /// Takes the oldest IRP out. Wraps `IoCsqRemoveNextIrp`.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    pub fn remove_next<I: AtMostDispatch>(&self, irql: &mut I) -> Option<PendingIrp> {
        // SAFETY: (Caller) NULL is a context that the callbacks know, fact 33.
        unsafe { self.remove_matching(irql, null_mut()) }
    }

    /// Takes the oldest IRP of a file out.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    pub fn remove_next_of<I: AtMostDispatch>(
        &self,
        irql: &mut I,
        file: FileObject,
    ) -> Option<PendingIrp> {
        self.remove_next_where(irql, |irp| irp.file() == Some(file))
    }

    /// Takes the oldest IRP out for which `is_it` is true. `is_it` runs with the queue's spin
    /// lock held, and may be asked again about the same IRP: it looks, and is quick.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    pub fn remove_next_where<I: AtMostDispatch>(
        &self,
        irql: &mut I,
        mut is_it: impl FnMut(&Queued) -> bool,
    ) -> Option<PendingIrp> {
        let mut search = search::Search::new(&mut is_it);
        // SAFETY: (Caller) a search, which lives across the call; the callbacks look at it in
        // that alone, facts 11 and 33.
        unsafe { self.remove_matching(irql, (&raw mut search).cast()) }
    }

    /// # Safety
    /// `peek_context` is NULL or points to a [`Search`](search::Search) that nobody else uses.
    unsafe fn remove_matching<I: AtMostDispatch>(
        &self,
        _irql: &mut I,
        peek_context: sys::PVOID,
    ) -> Option<PendingIrp> {
        if self.stage.load(Ordering::Acquire) != READY {
            return None;
        }
        // SAFETY: (IRQL) the token says at most DISPATCH_LEVEL. (Pointer) initialised in
        // place, fact 61; the contract says what the context is.
        let irp = unsafe { sys::IoCsqRemoveNextIrp(self.csq(), peek_context) };
        // SAFETY: (Caller) removed from the queue, so it is ours, fact 34.
        unsafe { Self::given_back(irp) }
    }

    /// An IRP that came out of a queue, if it is one, whose context is free again.
    ///
    /// # Safety
    /// `irp` was just taken out of a queue of this type, or is NULL.
    unsafe fn given_back(irp: *mut sys::IRP) -> Option<PendingIrp> {
        if irp.is_null() {
            return None;
        }
        // SAFETY: (Pointer) the contract. (Ready) written by `insert_as`, facts 4 and 34.
        let context = unsafe { sys::word(irp) }.cast::<IrpContext>();
        // SAFETY: (Pointer) the context lies in the extension of the IRP's device, which
        // its remove lock keeps alive, facts 4 and 34.
        if let Some(context) = unsafe { context.as_ref() } {
            context.release();
        }
        // SAFETY: (Caller) the contract; it holds its remove lock, fact 4.
        Some(unsafe { PendingIrp::from_raw(irp) })
    }

    /// The structure that the system knows the queue by. Its address is the queue's, so
    /// the callbacks can go back.
    fn csq(&self) -> *mut sys::IO_CSQ {
        core::ptr::from_ref(self).cast_mut().cast()
    }

    /// Runs `f` with the list and the queue lock held.
    fn with_content<R>(&self, f: impl FnOnce(&mut Content) -> R) -> R {
        // SAFETY: (IRQL) all callers are at DISPATCH_LEVEL or below: they have a token or
        // an IRP to complete. (Pointer) the word lives in the queue, facts 4, 5, 10 and 34.
        let old = unsafe { sys::KeAcquireSpinLockRaiseToDpc(self.lock.get()) };
        // SAFETY: (Aliasing) the lock is held, fact 33, and `f` does not come back here.
        let result = f(unsafe { &mut *self.content.get() });
        // SAFETY: pairs with the acquisition, whose level this is, facts 10 and 33.
        unsafe { sys::KeReleaseSpinLock(self.lock.get(), old) };
        result
    }
}

impl HoldsIrps for IrpQueue {
    fn close(&self, closed: Option<NtError>) {
        self.with_content(|content| content.closed = closed);
    }

    fn end(&self, irql: &mut UpToDispatch, whose: Whose, error: NtError) {
        loop {
            let irp = match whose {
                Whose::All => self.remove_next(irql),
                Whose::File(file) => self.remove_next_of(irql, file),
            };
            let Some(irp) = irp else { return };
            irp.complete(irql, Err(error));
        }
    }
}

const fn refused(irp: PendingIrp, error: NtError) -> Refused {
    Refused { irp, error }
}
