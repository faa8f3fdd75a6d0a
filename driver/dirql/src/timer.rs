//! Timers with a routine. Wraps `KeInitializeTimerEx`, `KeSetTimerEx`,
//! `KeCancelTimer`, and the CustomTimerDpc that goes with them.
//!
//! The timer's DPC is its own and is given to nobody else, so it can neither be
//! queued by hand nor outlive the timer. A periodic routine can overlap itself on
//! two processors. Stopping cancels, then flushes the DPC queues of all processors:
//! when it returns, the routine does not run and will not.

use core::{
    cell::UnsafeCell,
    marker::{PhantomData, PhantomPinned},
    pin::Pin,
    sync::atomic::{AtomicU8, Ordering},
};

use crate::{
    device::Device,
    irql::{Dispatch, Passive},
    object_table::Registered,
    status::{NtError, Result},
    sys,
};

const NEW: u8 = 0;
const INITIALIZING: u8 = 1;
const READY: u8 = 2;

/// A CustomTimerDpc routine.
pub trait TimerRoutine: 'static {
    /// Extension of the devices whose timer it is.
    type Extension: 'static;

    /// The timer has expired. Runs on any processor.
    fn expired(device: &Device<Self::Extension>, irql: &mut Dispatch);
}

/// A timer, as a field of the device extension.
#[derive(Debug)]
pub struct Timer<R> {
    object: UnsafeCell<sys::KTIMER>,
    dpc: UnsafeCell<sys::KDPC>,
    /// `NEW` until the first start has initialised the two, in place.
    stage: AtomicU8,
    routine: PhantomData<fn() -> R>,
    /// The kernel has its address once started.
    _pinned: PhantomPinned,
}

// SAFETY: the kernel's timer and DPC routines synchronise among themselves, and the
// stage lets one thread initialise.
unsafe impl<R> Sync for Timer<R> {}
// SAFETY: belongs to no thread; moved only before it is registered, fact 2.
unsafe impl<R> Send for Timer<R> {}

impl<R: TimerRoutine> Default for Timer<R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R: TimerRoutine> Timer<R> {
    /// A timer that was never started.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            object: UnsafeCell::new(sys::zeroed_timer()),
            dpc: UnsafeCell::new(sys::zeroed_dpc()),
            stage: AtomicU8::new(NEW),
            routine: PhantomData,
            _pinned: PhantomPinned,
        }
    }

    /// Starts it: the routine runs every `period_ms` milliseconds, the first time one
    /// period from now. A timer that runs is started anew.
    ///
    /// # Errors
    /// STATUS_INVALID_PARAMETER for a period of zero or over `i32::MAX`, or if `self` is
    /// no part of the device's extension; STATUS_DEVICE_BUSY while another processor
    /// starts it for the first time.
    pub fn start_periodic(
        self: Pin<&Self>,
        device: &Device<R::Extension>,
        irql: &mut Passive,
        period_ms: u32,
    ) -> Result<()> {
        let period = i32::try_from(period_ms).map_err(|_| NtError::STATUS_INVALID_PARAMETER)?;
        if period == 0 {
            return Err(NtError::STATUS_INVALID_PARAMETER);
        }
        device.register(irql, self.get_ref().registered())?;
        self.initialize(device)?;
        let due = sys::relative_time(period_ms);
        // SAFETY: (Pointer) initialised in place, and the kernel lets go of both before the
        // extension is dropped, facts 2 and 3. (IRQL) callable up to DISPATCH_LEVEL.
        let _was_queued =
            unsafe { sys::KeSetTimerEx(self.object.get(), due, period, self.dpc.get()) };
        Ok(())
    }

    /// Stops it: afterwards the routine does not run. Wraps `KeCancelTimer`,
    /// `KeFlushQueuedDpcs`.
    pub fn stop(&self, _irql: &mut Passive) {
        if self.stage.load(Ordering::Acquire) != READY {
            return;
        }
        // SAFETY: (Pointer) initialised, says the stage. (IRQL) up to DISPATCH_LEVEL.
        let _was_queued = unsafe { sys::KeCancelTimer(self.object.get()) };
        // SAFETY: (IRQL) the token says PASSIVE_LEVEL.
        unsafe { sys::KeFlushQueuedDpcs() };
    }

    fn initialize(&self, device: &Device<R::Extension>) -> Result<()> {
        match self
            .stage
            .compare_exchange(NEW, INITIALIZING, Ordering::Acquire, Ordering::Acquire)
        {
            Ok(_) => {}
            Err(READY) => return Ok(()),
            Err(_) => return Err(NtError::STATUS_DEVICE_BUSY),
        }
        let context = core::ptr::from_ref(device).cast_mut().cast();
        // SAFETY: (Aliasing) the exchange lets one thread in, before anyone else uses the
        // cells. (Pointer) the address is final, fact 2.
        unsafe { sys::KeInitializeTimerEx(self.object.get(), sys::NOTIFICATION_TIMER) };
        // SAFETY: as above; the context is the extension, which outlives the DPC, fact 3.
        unsafe { sys::KeInitializeDpc(self.dpc.get(), Some(custom_timer_dpc::<R>), context) };
        self.stage.store(READY, Ordering::Release);
        Ok(())
    }

    fn registered(&self) -> Registered<'_> {
        Registered::new(self, Self::stop)
    }
}

/// The kernel calls this when the timer has expired.
unsafe extern "C" fn custom_timer_dpc<R: TimerRoutine>(
    _dpc: *mut sys::KDPC,
    context: sys::PVOID,
    _argument1: sys::PVOID,
    _argument2: sys::PVOID,
) {
    // SAFETY: (Caller) the kernel's DPC dispatcher. (Pointer) `initialize` gave the device,
    // which outlives the timer, fact 3.
    let device = unsafe { &*context.cast::<Device<R::Extension>>() };
    // SAFETY: (IRQL) DPCs run at DISPATCH_LEVEL.
    let mut irql = unsafe { Dispatch::assume() };
    R::expired(device, &mut irql);
}
