//! The timer that a device object has: about once a second, while it is started. Wraps
//! `IoInitializeTimer`, `IoStartTimer`, `IoStopTimer`.
//!
//! # Model
//!
//! A driver that has an [`IoTimer`] routine names it in its
//! [`Routines`](crate::driver::Routines::io_timer); AddDevice registers it. Starting and
//! stopping are for the whole device, and doing either twice does no harm.
//!
//! It is meant for time-outs: StartIo sets a count of seconds, one more than needed because
//! the next tick may come at once; the ISR sets it back to "none"; the routine counts down, in a
//! critical section of the interrupt that owns the count, and whoever takes the count to
//! zero takes the operation away from the device. See "Using an IoTimer Routine".
//!
//! # Contexts
//!
//! | operation | who may call | token | may block |
//! |---|---|---|---|
//! | `start_io_timer` | START, StartIo, DPCs | any up to `Dispatch` | no |
//! | `stop_io_timer` | STOP, dispatch routines that find themselves at PASSIVE_LEVEL | `Passive` | no |
//! | [`IoTimer::io_timer`] | the kernel | `Dispatch` is given | no |
//!
//! IoStopTimer may not be called from the routine itself; asking for a
//! [`Passive`] token, which the routine has not got, says so to the compiler.
//!
//! # Soundness
//!
//! Facts 1 to 5 of the crate. IoStartTimer is called inside a run-down only, which REMOVE
//! closes (fact 55); then it stops the timer and flushes the DPC queues (the routine runs "in a DPC
//! context", says its page), before the extension goes away.
//!
//! # Not here
//!
//! Other periods than a second, and one shot: [`Timer`](crate::timer::Timer).

use crate::{
    device::{Device, Header},
    driver::Driver,
    irql::{AtMostDispatch, Dispatch, Passive},
    run_down::RunDown,
    status::{NtError, Result},
    sys,
};

/// What the kernel calls.
pub(crate) type IoTimerRoutine = unsafe extern "C" fn(*mut sys::DEVICE_OBJECT, sys::PVOID);

/// An IoTimer routine.
pub trait IoTimer: Driver {
    /// About a second has passed. Runs on any processor.
    ///
    /// # IRQL
    /// DISPATCH_LEVEL.
    fn io_timer(device: &Device<Self>, irql: &mut Dispatch);
}

/// Whether the timer of a device may be started.
#[derive(Debug)]
pub(crate) struct IoTimerState {
    /// Open from AddDevice, if the driver has the routine, to REMOVE.
    run_down: RunDown,
}

impl IoTimerState {
    pub(crate) const fn new() -> Self {
        Self {
            run_down: RunDown::new(),
        }
    }

    /// Registers the routine. Wraps `IoInitializeTimer`.
    ///
    /// # Errors
    /// What IoInitializeTimer says.
    ///
    /// # Safety
    /// `object` is the device object of this header, whose AddDevice is under way, and which
    /// `routine` was made for.
    pub(crate) unsafe fn initialize(
        &self,
        _irql: &mut Passive,
        object: *mut sys::DEVICE_OBJECT,
        routine: IoTimerRoutine,
    ) -> Result<()> {
        // SAFETY: (IRQL) the token says PASSIVE_LEVEL. (Pointer) the contract. (Caller)
        // once for each device object: AddDevice makes one, facts 1, 5 and 10.
        let status =
            unsafe { sys::IoInitializeTimer(object, Some(routine), core::ptr::null_mut()) };
        NtError::check(status)?;
        let is_first = self.run_down.begin_opening();
        debug_assert!(is_first, "AddDevice calls this once");
        self.run_down.opened();
        Ok(())
    }

    /// Stops the timer for good. A routine that runs is waited for by the flush that REMOVE
    /// does next.
    pub(crate) fn close(&self, irql: &mut Passive, object: *mut sys::DEVICE_OBJECT) {
        if !self.run_down.begin_closing(irql) {
            return;
        }
        self.run_down.wait(irql);
        // SAFETY: (IRQL) the token says PASSIVE_LEVEL, so this is not the routine.
        // (Pointer) alive, says the caller, with an IoTimer routine, for the run-down was
        // open, facts 1, 5, 10 and 55.
        unsafe { sys::IoStopTimer(object) };
        self.run_down.closed();
    }

    fn start(&self, object: *mut sys::DEVICE_OBJECT) -> Result<()> {
        let _pass = self
            .run_down
            .enter()
            .ok_or(NtError::STATUS_DELETE_PENDING)?;
        // SAFETY: (IRQL) `start_io_timer` has a token of at most DISPATCH_LEVEL. (Pointer)
        // inside the run-down the device object is alive and has an IoTimer routine, facts
        // 1, 5, 10 and 55.
        unsafe { sys::IoStartTimer(object) };
        Ok(())
    }

    fn stop(&self, object: *mut sys::DEVICE_OBJECT) {
        if let Some(_pass) = self.run_down.enter() {
            // SAFETY: (IRQL) `stop_io_timer` has a token of PASSIVE_LEVEL, so this is not
            // the routine. (Pointer) as in `start`, facts 1, 5, 10 and 55.
            unsafe { sys::IoStopTimer(object) };
        }
    }
}

impl<E: IoTimer> Device<E> {
    /// Has the IoTimer routine called about once a second. Wraps `IoStartTimer`.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    ///
    /// # Errors
    /// STATUS_DELETE_PENDING once the device is being removed.
    pub fn start_io_timer<I: AtMostDispatch>(&self, _irql: &mut I) -> Result<()> {
        const {
            assert!(
                E::ROUTINES.has_io_timer(),
                "`Driver::ROUTINES` lacks `.io_timer()`"
            );
        }
        let header: &Header = self.header();
        header.io_timer().start(header.object())
    }

    /// Ends that; the routine may be running once more. Wraps `IoStopTimer`.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL: IoStopTimer may be called up to DISPATCH_LEVEL, but not from the
    /// routine itself.
    pub fn stop_io_timer(&self, _irql: &mut Passive) {
        let header: &Header = self.header();
        header.io_timer().stop(header.object());
    }
}

/// The kernel calls this about once a second.
pub(crate) unsafe extern "C" fn io_timer<E: IoTimer>(
    object: *mut sys::DEVICE_OBJECT,
    _context: sys::PVOID,
) {
    // SAFETY: (Caller) the kernel's timer DPC, for a device whose AddDevice gave this to
    // IoInitializeTimer. (Pointer) REMOVE stops the timer and flushes DPCs before it drops the
    // extension, fact 3.
    let device = unsafe { Device::<E>::of(object) };
    // SAFETY: (IRQL) IoTimer routines run at DISPATCH_LEVEL, facts 1, 5 and 10.
    let mut irql = unsafe { Dispatch::assume() };
    E::io_timer(device, &mut irql);
}
