//! Threaded DPCs: CustomThreadedDpc. Wraps `KeInitializeThreadedDpc`.
//!
//! The kernel runs them on a real-time thread at PASSIVE_LEVEL, or, where that is disabled,
//! as ordinary DPCs. The routine is bound by the rules of both: it may not wait, and its spin
//! locks look at the level. Its token is a type of its own for that. See "Introduction to
//! Threaded DPCs" and "Synchronization and Threaded DPCs".

use core::{marker::PhantomData, pin::Pin};

use super::{DpcObject, Kind, Placement, Queued, WasQueued};
use crate::{device::Device, irql, irql::Passive, object_table::Registered, status::Result, sys};

/// A CustomThreadedDpc routine.
pub trait CustomThreadedDpc: 'static {
    /// Extension of the devices whose threaded DPC it is.
    type Extension: 'static;

    /// Runs after one or more requests, at PASSIVE_LEVEL or DISPATCH_LEVEL, maybe on two
    /// processors at once. It is preempted by ordinary DPCs and by no thread, so it is to be
    /// as short as those.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL, or DISPATCH_LEVEL where threaded DPCs are turned off.
    fn run(device: &Device<Self::Extension>, irql: &mut irql::Threaded);
}

/// A threaded DPC, as a field of the device extension. Wraps a `KDPC`; see "Introduction to
/// Threaded DPCs".
#[derive(Debug)]
#[repr(C)]
pub struct ThreadedDpc<R: CustomThreadedDpc> {
    /// At the start: the routine finds it by the address of its KDPC.
    inner: DpcObject,
    routine: PhantomData<fn() -> R>,
}

impl<R: CustomThreadedDpc> Default for ThreadedDpc<R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R: CustomThreadedDpc> ThreadedDpc<R> {
    /// A threaded DPC that cannot be queued yet.
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

    /// Makes it ready to be queued. Wraps `KeInitializeThreadedDpc`, `KeSetImportanceDpc`,
    /// `KeSetTargetProcessorDpcEx`. One that is ready is [stopped](Self::stop) first.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    ///
    /// # Errors
    /// As [`Dpc::initialize`](super::Dpc::initialize).
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
                Kind::Threaded,
                custom_threaded_dpc::<R>,
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
        self.inner.queue_and_stay()
    }

    /// Takes it out of its queue. Wraps `KeRemoveQueueDpc`.
    ///
    /// # IRQL
    /// Any.
    pub fn cancel(&self) -> WasQueued {
        self.inner.cancel_stayed()
    }

    /// Ends its use: afterwards the routine does not run, and it is not queued until it is
    /// initialised again. Wraps `KeRemoveQueueDpc`.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    pub fn stop(&self, irql: &mut Passive) {
        self.inner.stop_stayed(irql);
    }
}

/// The kernel calls this for a threaded DPC.
unsafe extern "C" fn custom_threaded_dpc<R: CustomThreadedDpc>(
    dpc: *mut sys::KDPC,
    context: sys::PVOID,
    _argument1: sys::PVOID,
    _argument2: sys::PVOID,
) {
    // SAFETY: (Caller) the kernel's DPC dispatcher; only `initialize` hands this out. (Pointer)
    // the context is the device; `stop` waits for `ended` below before it may go, fact 3.
    let device = unsafe { &*context.cast::<Device<R::Extension>>() };
    // SAFETY: (IRQL) threaded DPCs run at PASSIVE_LEVEL or DISPATCH_LEVEL, facts 5 and 10.
    let mut irql = unsafe { irql::Threaded::assume() };
    R::run(device, &mut irql);
    // SAFETY: (Pointer) the KDPC is at the start of the `DpcObject` that `initialize` gave,
    // alive until `ended`, as above, facts 2, 5 and 10.
    let object = unsafe { &*dpc.cast::<DpcObject>() };
    object.ended();
}
