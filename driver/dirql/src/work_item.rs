//! Work items: routines that a system thread runs at PASSIVE_LEVEL. Wraps
//! `IoAllocateWorkItem`, `IoQueueWorkItemEx`, `IoFreeWorkItem`.
//!
//! # Model
//!
//! ```text
//!   new --initialize--> idle --queue: Now--> queued --the routine is called--> idle
//!                         ^                    |
//!                         |                    '-- queue: Already
//!   any --stop, or REMOVE--> stopped: `queue` fails, until `initialize`
//! ```
//!
//! What a DPC, a StartIo routine or a passive-level interrupt has no time or no right to do
//! is done here: waiting, paged memory, long work. As with a DPC, one run may stand for
//! several requests: the routine takes all that there is to do out of the state that they
//! left. A work item leaves its queue before its routine is called, so the routine can run
//! on two threads at once. (The kernel's own routine forbids queueing twice; here that is
//! [`Queued::Already`].)
//!
//! System threads are few: a routine that waits for long keeps others from running. See
//! "System Worker Threads".
//!
//! # Contexts
//!
//! | operation | who may call | token | may block |
//! |---|---|---|---|
//! | `initialize`, `stop` | START, STOP | `Passive` | yes |
//! | `queue` | everybody but ISRs and critical sections | any up to `Dispatch` | no |
//! | [`WorkRoutine::run`] | the kernel | `Passive` is given | yes |
//!
//! # Soundness
//!
//! Facts 1 to 5 of the crate, and of this module:
//!
//! 47. **Work.** A work item is queued inside its run-down, and stays inside until its
//!     routine has returned; it holds the remove lock of its device meanwhile. `stop`, which
//!     REMOVE calls too, closes the run-down and waits. So the device outlives every call of
//!     the routine, and the kernel's work item is freed when nobody queues it.
//!
//! # Not here
//!
//! Threads of a driver's own, for work that takes long or for ever.
//!
//! # Examples
//!
//! ```
//! use dirql::device::Device;
//! use dirql::irql::{Dispatch, Passive};
//! use dirql::status::Result;
//! use dirql::work_item::{WorkItem, WorkRoutine};
//!
//! pin_project_lite::pin_project! {
//!     struct Extension {
//!         #[pin]
//!         recover: WorkItem<Recover>,
//!     }
//! }
//!
//! struct Recover;
//!
//! impl WorkRoutine for Recover {
//!     type Extension = Extension;
//!
//!     fn run(_device: &Device<Extension>, irql: &mut Passive) {
//!         dirql::wait::delay(irql, 10);
//!     }
//! }
//!
//! fn start(device: &Device<Extension>, irql: &mut Passive) -> Result<()> {
//!     device.pinned().project_ref().recover.initialize(device, irql)
//! }
//!
//! fn in_a_dpc(device: &Device<Extension>, irql: &mut Dispatch) -> Result<()> {
//!     device.recover.queue(irql).map(|_| ())
//! }
//! ```

use core::{
    marker::{PhantomData, PhantomPinned},
    pin::Pin,
    ptr::null_mut,
};

pub use crate::dpc::Queued;
use crate::{
    device::{Device, Header},
    irql::{AtMostDispatch, Passive},
    object_table::Registered,
    run_down::RunDown,
    status::{NtError, Result},
    sync::atomic::{AtomicBool, AtomicPtr, Ordering},
    sys,
};

/// A WorkItemEx routine.
pub trait WorkRoutine: 'static {
    /// Extension of the devices whose work item it is.
    type Extension: 'static;

    /// Runs after one or more requests, in a system thread, maybe on two at once.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    fn run(device: &Device<Self::Extension>, irql: &mut Passive);
}

/// A work item, as a field of the device extension. Wraps an `IO_WORKITEM`; see "System
/// Worker Threads".
#[derive(Debug)]
pub struct WorkItem<R> {
    /// What IoAllocateWorkItem gave; null before `initialize` and after REMOVE.
    item: AtomicPtr<sys::IO_WORKITEM>,
    /// Whose work item it is. Written while opening.
    device: AtomicPtr<Header>,
    /// In the queue, and its routine was not called.
    is_queued: AtomicBool,
    run_down: RunDown,
    routine: PhantomData<fn() -> R>,
    /// The kernel has its address while it is queued.
    _pinned: PhantomPinned,
}

impl<R: WorkRoutine> Default for WorkItem<R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R: WorkRoutine> WorkItem<R> {
    /// A work item that cannot be queued yet.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            item: AtomicPtr::new(null_mut()),
            device: AtomicPtr::new(null_mut()),
            is_queued: AtomicBool::new(false),
            run_down: RunDown::new(),
            routine: PhantomData,
            _pinned: PhantomPinned,
        }
    }

    /// Makes it ready to be queued. Wraps `IoAllocateWorkItem`. One that is ready is
    /// [stopped](Self::stop) first.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    ///
    /// # Errors
    /// STATUS_INSUFFICIENT_RESOURCES if there is no memory or the device has too many objects;
    /// STATUS_INVALID_PARAMETER if `self` is no part of the device's extension;
    /// STATUS_DEVICE_BUSY while another thread is about this; STATUS_DELETE_PENDING once the
    /// device is being removed.
    pub fn initialize(
        self: Pin<&Self>,
        device: &Device<R::Extension>,
        irql: &mut Passive,
    ) -> Result<()> {
        device.register(irql, Registered::new(self.get_ref(), Self::end).last())?;
        self.stop(irql);
        if !self.run_down.begin_opening() {
            return Err(NtError::STATUS_DEVICE_BUSY);
        }
        if self.item.load(Ordering::Relaxed).is_null() {
            // SAFETY: (IRQL) the token says PASSIVE_LEVEL. (Pointer) the device object of a device
            // that is alive, facts 1, 5 and 10.
            let item = unsafe { sys::IoAllocateWorkItem(device.header().object()) };
            if item.is_null() {
                self.run_down.closed();
                return Err(NtError::STATUS_INSUFFICIENT_RESOURCES);
            }
            self.item.store(item, Ordering::Relaxed);
        }
        let header = core::ptr::from_ref(device.header()).cast_mut();
        self.device.store(header, Ordering::Relaxed);
        self.run_down.opened();
        Ok(())
    }

    /// Has the routine called by a system thread. Wraps `IoQueueWorkItemEx`. The device is
    /// held until the routine has returned.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    ///
    /// # Errors
    /// STATUS_DEVICE_NOT_READY if it is not initialised or was stopped, STATUS_DELETE_PENDING
    /// once the device is being removed.
    pub fn queue<I: AtMostDispatch>(&self, _irql: &mut I) -> Result<Queued> {
        let pass = self.run_down.enter();
        let pass = pass.ok_or(NtError::STATUS_DEVICE_NOT_READY)?;
        let header = self.header();
        header.remove_lock().acquire(self.tag())?;
        // In one order with the routine's start, which then sees what this thread has written.
        if self.is_queued.swap(true, Ordering::AcqRel) {
            header.remove_lock().release(self.tag());
            return Ok(Queued::Already);
        }
        let context = core::ptr::from_ref(self).cast_mut().cast();
        // SAFETY: (IRQL) the token says at most DISPATCH_LEVEL. (Pointer) the item was allocated,
        // for the run-down is open, and is in no queue, says the mark; the context is alive until
        // the routine has returned, facts 2 and 47.
        unsafe {
            sys::IoQueueWorkItemEx(
                self.item.load(Ordering::Relaxed),
                Some(work_item::<R>),
                sys::DELAYED_WORK_QUEUE,
                context,
            );
        };
        pass.stay();
        Ok(Queued::Now)
    }

    /// Proof that it can be queued, for what does so on the driver's behalf; `None` if it
    /// cannot.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub fn ready(self: Pin<&Self>) -> Option<Ready<'_>> {
        self.run_down.is_open().then(|| Ready {
            raw: RawReady {
                item: core::ptr::from_ref(self.get_ref()).cast(),
                queue: queue_erased::<R>,
            },
            device: self.device.load(Ordering::Relaxed),
            item: PhantomData,
        })
    }

    /// Ends its use: waits until the routine has run for every request, and lets nobody queue
    /// it until it is initialised again. Not from its own routine, which would wait for itself.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    pub fn stop(&self, irql: &mut Passive) {
        if !self.run_down.begin_closing(irql) {
            return;
        }
        self.run_down.wait(irql);
        self.run_down.closed();
    }

    /// Ends it for good. Wraps `IoFreeWorkItem`.
    fn end(&self, irql: &mut Passive) {
        self.stop(irql);
        let item = self.item.swap(null_mut(), Ordering::Relaxed);
        if !item.is_null() {
            // SAFETY: (IRQL) the token says PASSIVE_LEVEL. (Pointer) allocated by `initialize`, and
            // in no queue: `stop` has waited, facts 5 and 47.
            unsafe { sys::IoFreeWorkItem(item) };
        }
    }

    fn header(&self) -> &Header {
        // SAFETY: (Pointer) called inside the run-down, which opens after this was written; the
        // device that this is a part of, facts 1 and 2.
        unsafe { &*self.device.load(Ordering::Relaxed) }
    }

    /// By which the remove lock knows this: an address that no IRP has.
    fn tag(&self) -> *mut sys::IRP {
        core::ptr::from_ref(self).cast_mut().cast()
    }
}

/// A [`WorkItem`] that is initialised and registered with its device, whatever its routine.
#[derive(Clone, Copy, Debug)]
pub struct Ready<'a> {
    raw: RawReady,
    device: *const Header,
    item: PhantomData<&'a ()>,
}

/// As [`Ready`], for whoever lies in the same extension and keeps it longer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawReady {
    item: *const (),
    queue: unsafe fn(*const (), &mut Passive) -> Result<Queued>,
}

impl Ready<'_> {
    /// What queues it, if it is a part of this device.
    pub(crate) fn of(self, device: &Header) -> Option<RawReady> {
        core::ptr::eq(self.device, device).then_some(self.raw)
    }
}

impl RawReady {
    /// Has the routine called.
    ///
    /// # Errors
    /// As [`WorkItem::queue`].
    ///
    /// # Safety
    /// The thread is at PASSIVE_LEVEL, and the device's extension is alive, so the work item
    /// that [`Ready::of`] was asked for is too.
    pub(crate) unsafe fn queue(&self) -> Result<Queued> {
        // SAFETY: (IRQL) the contract, fact 5.
        let mut irql = unsafe { Passive::assume() };
        // SAFETY: (Pointer) the contract; `ready` put the two together, fact 47.
        unsafe { (self.queue)(self.item, &mut irql) }
    }
}

/// # Safety
/// `item` is a `&WorkItem<R>` that is alive.
unsafe fn queue_erased<R: WorkRoutine>(item: *const (), irql: &mut Passive) -> Result<Queued> {
    // SAFETY: (Pointer) the contract, fact 47.
    let item = unsafe { &*item.cast::<WorkItem<R>>() };
    item.queue(irql)
}

/// The kernel calls this in a system thread.
unsafe extern "C" fn work_item<R: WorkRoutine>(
    _object: sys::PVOID,
    context: sys::PVOID,
    _item: *mut sys::IO_WORKITEM,
) {
    // SAFETY: (Caller) a system thread; only `queue` hands this out. (Pointer) the work item,
    // whose run-down this call is inside of, fact 47.
    let item = unsafe { &*context.cast::<WorkItem<R>>() };
    // SAFETY: (Pointer) the header is the beginning of the device, whose remove lock this call
    // holds, facts 1 and 47.
    let device = unsafe {
        &*item
            .device
            .load(Ordering::Relaxed)
            .cast::<Device<R::Extension>>()
    };
    // SAFETY: (IRQL) WorkItemEx routines run at PASSIVE_LEVEL, facts 5 and 10.
    let mut irql = unsafe { Passive::assume() };
    // From here on it can be queued again.
    item.is_queued.swap(false, Ordering::AcqRel);
    R::run(device, &mut irql);
    device.header().remove_lock().release(item.tag());
    // The last act: REMOVE, which waits for this too, may go on now.
    item.run_down.leave();
}
