//! A driver's own DPCs: CustomDpc and CustomThreadedDpc. Wraps `KeInitializeDpc`,
//! `KeInitializeThreadedDpc`, `KeInsertQueueDpc`, `KeRemoveQueueDpc`.
//!
//! # Model
//!
//! ```text
//!   new --initialize--> idle --queue: Now--> queued --the routine is called--> idle
//!                        ^                    |  ^
//!                        |      cancel: Yes   |  '-- queue: Already
//!                        '--------------------'
//!   any --stop, or REMOVE--> stopped: `queue` says None, until `initialize`
//! ```
//!
//! A DPC is in at most one queue. Queueing it again before its routine is called does
//! nothing, so the routine may run once for several requests, and finds what there is to
//! do in the state that the requests left: it takes **all** of it out, in one critical
//! section of the interrupt that shares it. A DPC leaves its queue before its routine is
//! called, so the routine can run on two processors at once.
//!
//! A DPC carries no arguments, because those of a request that finds it queued are lost.
//!
//! # Contexts
//!
//! | operation | who may call | token | may block |
//! |---|---|---|---|
//! | `initialize`, `stop` | START, STOP | `Passive` | yes |
//! | `queue`, `cancel` | everybody, critical sections too | none: any IRQL | no |
//! | [`CustomDpc::run`] | the kernel | `Dispatch` is given | no |
//! | [`CustomThreadedDpc::run`] | the kernel | [`Threaded`](crate::irql::Threaded) is given | no |
//!
//! An ISR queues DPCs through [`Ready`] handles that its interrupt was connected with.
//!
//! # Soundness
//!
//! Facts 1 to 5 of the crate. The rest is the run-down, fact 55: a KDPC is handed to the kernel only
//! inside it, and `stop`, which REMOVE calls too, closes it, takes the DPC out of its queue
//! and waits for a routine that runs: by KeFlushQueuedDpcs for a DPC; for a threaded one
//! by counting, because the page of KeFlushQueuedDpcs does not speak of those, and by going to each
//! processor, because a routine that is counted out has still to return.
//!
//! # Not here
//!
//! The device's own DPC, [`DpcForIsr`](crate::driver::DpcForIsr), and the DPCs of
//! [timers](crate::timer), which may not be queued by hand.
//!
//! # Examples
//!
//! ```
//! use dirql::device::Device;
//! use dirql::dpc::{CustomDpc, Dpc, Importance, Placement};
//! use dirql::irql::{Dispatch, Passive};
//! use dirql::status::Result;
//!
//! pin_project_lite::pin_project! {
//!     struct Extension {
//!         #[pin]
//!         drain: Dpc<Drain>,
//!     }
//! }
//!
//! struct Drain;
//!
//! impl CustomDpc for Drain {
//!     type Extension = Extension;
//!
//!     fn run(_device: &Device<Extension>, _irql: &mut Dispatch) {
//!         // Take out, in one critical section, all that has come in meanwhile.
//!     }
//! }
//!
//! fn start(device: &Device<Extension>, irql: &mut Passive) -> Result<()> {
//!     let drain = device.pinned().project_ref().drain;
//!     drain.initialize(device, irql, Placement::new().with_importance(Importance::High))
//! }
//!
//! fn something_came_in(device: &Device<Extension>) {
//!     device.drain.queue();
//! }
//! ```

mod object;
mod placement;
mod threaded;

use core::{marker::PhantomData, pin::Pin};

use crate::{
    device::{Device, Header},
    irql::{Dispatch, Passive},
    object_table::Registered,
    status::Result,
    sys,
};
use object::Kind;
pub(crate) use object::{DpcObject, flush};
pub use placement::{Importance, Placement, Target};
pub use threaded::{CustomThreadedDpc, ThreadedDpc};

/// What became of a request to queue a DPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queued {
    /// It was put into a queue; its routine will be called.
    Now,
    /// It was in a queue already; its routine will be called once for both requests.
    Already,
}

/// Whether a DPC was in a queue when it was to be taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WasQueued {
    /// It was; its routine is not called for the requests made so far.
    Yes,
    /// It was not; its routine may be running.
    No,
}

/// A CustomDpc routine.
pub trait CustomDpc: 'static {
    /// Extension of the devices whose DPC it is.
    type Extension: 'static;

    /// Runs after one or more requests, maybe on two processors at once. Keep it below 100
    /// microseconds; see "Guidelines for Writing DPC Routines".
    ///
    /// # IRQL
    /// DISPATCH_LEVEL.
    fn run(device: &Device<Self::Extension>, irql: &mut Dispatch);
}

/// A driver's own DPC, as a field of the device extension. Wraps a `KDPC`; see "Registering
/// and Queuing a CustomDpc Routine".
#[derive(Debug)]
#[repr(transparent)]
pub struct Dpc<R> {
    inner: DpcObject,
    routine: PhantomData<fn() -> R>,
}

impl<R: CustomDpc> Default for Dpc<R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R: CustomDpc> Dpc<R> {
    /// A DPC that cannot be queued yet.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            inner: DpcObject::new(),
            routine: PhantomData,
        }
    }

    /// Makes it ready to be queued. Wraps `KeInitializeDpc`, `KeSetImportanceDpc`,
    /// `KeSetTargetProcessorDpcEx`. One that is ready is [stopped](Self::stop) first.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    ///
    /// # Errors
    /// STATUS_INVALID_PARAMETER for a processor that is not there, or if `self` is no part of
    /// the device's extension; STATUS_INSUFFICIENT_RESOURCES if the device has too many
    /// objects; STATUS_DEVICE_BUSY while another thread is about this;
    /// STATUS_DELETE_PENDING once the device is being removed.
    pub fn initialize(
        self: Pin<&Self>,
        device: &Device<R::Extension>,
        irql: &mut Passive,
        placement: Placement,
    ) -> Result<()> {
        device.register(irql, Registered::new(self.get_ref(), Self::stop).last())?;
        self.stop(irql);
        let context = core::ptr::from_ref(device).cast_mut().cast();
        // SAFETY: (Pointer) registered and stopped just now; the context is the device, which
        // outlives the DPC, fact 3.
        unsafe {
            self.inner.open(
                device.header(),
                &placement,
                Kind::Ordinary,
                custom_dpc::<R>,
                context,
            )
        }
    }

    /// Has the routine called; `None`, and nothing is done, when it is not initialised or was
    /// stopped. Wraps `KeInsertQueueDpc`.
    ///
    /// # IRQL
    /// Any: from critical sections too.
    pub fn queue(&self) -> Option<Queued> {
        self.inner.queue()
    }

    /// Takes it out of its queue. Wraps `KeRemoveQueueDpc`.
    ///
    /// # IRQL
    /// Any.
    pub fn cancel(&self) -> WasQueued {
        self.inner.cancel()
    }

    /// Ends its use: afterwards the routine does not run, and it is not queued until it is
    /// initialised again. Wraps `KeRemoveQueueDpc`, `KeFlushQueuedDpcs`.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    pub fn stop(&self, irql: &mut Passive) {
        self.inner.stop(irql);
    }

    /// Proof that it can be queued, for what does so on the driver's behalf; `None` if it
    /// cannot.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub fn ready(self: Pin<&Self>) -> Option<Ready<'_>> {
        let inner = &self.get_ref().inner;
        inner.is_open().then_some(Ready { inner })
    }
}

/// A [`Dpc`] that is initialised and registered with its device, whatever its routine.
#[derive(Clone, Copy, Debug)]
pub struct Ready<'a> {
    inner: &'a DpcObject,
}

impl Ready<'_> {
    /// As [`Dpc::queue`].
    ///
    /// # IRQL
    /// Any.
    #[expect(
        clippy::must_use_candidate,
        reason = "called for what it does; whether the DPC was queued already matters seldom"
    )]
    pub fn queue(&self) -> Option<Queued> {
        self.inner.queue()
    }

    /// Whether it lies in the extension of this device.
    pub(crate) fn belongs_to(self, device: &Header) -> bool {
        self.inner.belongs_to(device)
    }

    /// The object, for whoever lies in the same extension and keeps it longer than `'a`.
    pub(crate) const fn object(self) -> *const DpcObject {
        self.inner
    }

    /// The way back from [`object`](Self::object).
    ///
    /// # Safety
    /// The device's extension is alive while the result is used: `belongs_to` was asked for
    /// it, so the object is too.
    pub(crate) const unsafe fn from_object(object: *const DpcObject) -> Self {
        Self {
            // SAFETY: (Pointer) the contract, fact 2.
            inner: unsafe { &*object },
        }
    }
}

/// The kernel calls this for a DPC.
unsafe extern "C" fn custom_dpc<R: CustomDpc>(
    _dpc: *mut sys::KDPC,
    context: sys::PVOID,
    _argument1: sys::PVOID,
    _argument2: sys::PVOID,
) {
    // SAFETY: (Caller) the kernel's DPC dispatcher; only `initialize` hands this out. (Pointer)
    // the context is the device, which outlives the DPC, fact 3.
    let device = unsafe { &*context.cast::<Device<R::Extension>>() };
    // SAFETY: (IRQL) DPCs run at DISPATCH_LEVEL, facts 5 and 10.
    let mut irql = unsafe { Dispatch::assume() };
    R::run(device, &mut irql);
}
