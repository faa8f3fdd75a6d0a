//! Timers with a routine: CustomTimerDpc. Wraps `KeInitializeTimerEx`, `KeSetTimerEx`,
//! `KeSetCoalescableTimer`, `KeCancelTimer`.
//!
//! # Model
//!
//! ```text
//!   new --initialize--> idle --start_*--> pending --due--> the routine is called
//!                        ^                 |    ^             |
//!                        |    cancel: Yes  |    '- periodic --+
//!                        +-----------------'                  |
//!                        '------------- once -----------------'
//!   any --stop, or REMOVE--> stopped: `start_*` fails, until `initialize`
//! ```
//!
//! Starting a pending timer cancels it and starts it anew. The routine of a timer that
//! expires once may start it again. The routine of a periodic timer can overlap itself on
//! two processors. `cancel` does not wait: when it says [`WasPending::No`], the routine may
//! be running. `stop` waits: when it returns, the routine does not run and will not.
//!
//! The timer's DPC is its own and given to nobody else, so it cannot be queued by hand.
//!
//! # Contexts
//!
//! | operation | who may call | token | may block |
//! |---|---|---|---|
//! | `initialize`, `stop` | START, STOP | `Passive` | yes |
//! | `start_*`, `cancel` | StartIo, DPCs, its own routine, dispatch routines | any up to `Dispatch` | no |
//! | [`CustomTimerDpc::expired`] | the kernel | `Dispatch` is given | no |
//!
//! # Soundness
//!
//! Facts 1 to 5 of the crate. The rest is the run-down, fact 55: the timer is set only inside it, and
//! `stop`, which REMOVE calls too, closes it, waits for those inside, cancels the timer and
//! flushes the DPC queues of all processors.
//!
//! # Not here
//!
//! The timer that every device object can have, which ticks once a second:
//! [`IoTimer`](crate::io_timer::IoTimer).
//!
//! # Examples
//!
//! ```
//! use dirql::device::Device;
//! use dirql::irql::{Dispatch, Passive};
//! use dirql::status::Result;
//! use dirql::time::Due;
//! use dirql::timer::{CustomTimerDpc, Timer};
//!
//! pin_project_lite::pin_project! {
//!     struct Extension {
//!         #[pin]
//!         poll: Timer<Poll>,
//!     }
//! }
//!
//! struct Poll;
//!
//! impl CustomTimerDpc for Poll {
//!     type Extension = Extension;
//!
//!     fn expired(device: &Device<Extension>, irql: &mut Dispatch) {
//!         // It has not come yet: look again. A device that stops refuses, and that is fine.
//!         let _stopped = device.poll.start_once(irql, Due::after_ms(5)).is_err();
//!     }
//! }
//!
//! fn start(device: &Device<Extension>, irql: &mut Passive) -> Result<()> {
//!     device.pinned().project_ref().poll.initialize(device, irql)?;
//!     device.poll.start_once(irql, Due::after_ms(5)).map(|_| ())
//! }
//! ```

use core::{
    cell::UnsafeCell,
    marker::{PhantomData, PhantomPinned},
    pin::Pin,
};

use crate::{
    device::Device,
    dpc,
    irql::{AtMostDispatch, Dispatch, Passive},
    object_table::Registered,
    run_down::RunDown,
    status::{NtError, Result},
    sync::atomic::{AtomicBool, Ordering},
    sys,
    time::Due,
};

/// A CustomTimerDpc routine.
pub trait CustomTimerDpc: 'static {
    /// Extension of the devices whose timer it is.
    type Extension: 'static;

    /// The timer has expired. Runs on any processor.
    ///
    /// # IRQL
    /// DISPATCH_LEVEL.
    fn expired(device: &Device<Self::Extension>, irql: &mut Dispatch);
}

/// Whether a timer was pending when it was cancelled or started anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WasPending {
    /// It was; it does not expire for what was started before.
    Yes,
    /// It was not: it had expired, and its routine may be running, or was never started.
    No,
}

/// A timer, as a field of the device extension. Wraps a `KTIMER` and its `KDPC`; see
/// "Registering and Queuing a CustomTimerDpc Routine".
#[derive(Debug)]
pub struct Timer<R> {
    object: UnsafeCell<sys::KTIMER>,
    dpc: UnsafeCell<sys::KDPC>,
    /// Open while the timer may be started.
    run_down: RunDown,
    /// The two were initialised in place. Written while opening.
    is_initialised: AtomicBool,
    routine: PhantomData<fn() -> R>,
    /// The kernel has its address once started.
    _pinned: PhantomPinned,
}

// SAFETY: (Aliasing) the objects are initialised by the one thread that opens the run-down;
// from then on only the kernel's timer routines touch them, which synchronise among
// themselves, facts 2, 10 and 55.
unsafe impl<R> Sync for Timer<R> {}
// SAFETY: belongs to no thread; moved only before it is registered, fact 2.
unsafe impl<R> Send for Timer<R> {}

impl<R: CustomTimerDpc> Default for Timer<R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R: CustomTimerDpc> Timer<R> {
    /// A timer that cannot be started yet.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            object: UnsafeCell::new(sys::zeroed_timer()),
            dpc: UnsafeCell::new(sys::zeroed_dpc()),
            run_down: RunDown::new(),
            is_initialised: AtomicBool::new(false),
            routine: PhantomData,
            _pinned: PhantomPinned,
        }
    }

    /// Makes it ready to be started. Wraps `KeInitializeTimerEx`, `KeInitializeDpc`. One
    /// that is ready is [stopped](Self::stop) first.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    ///
    /// # Errors
    /// STATUS_INVALID_PARAMETER if `self` is no part of the device's extension;
    /// STATUS_INSUFFICIENT_RESOURCES if the device has too many objects; STATUS_DEVICE_BUSY
    /// while another thread is about this; STATUS_DELETE_PENDING once the device is being
    /// removed.
    pub fn initialize(
        self: Pin<&Self>,
        device: &Device<R::Extension>,
        irql: &mut Passive,
    ) -> Result<()> {
        device.register(irql, Registered::new(self.get_ref(), Self::stop).last())?;
        self.stop(irql);
        if !self.run_down.begin_opening() {
            return Err(NtError::STATUS_DEVICE_BUSY);
        }
        if !self.is_initialised.load(Ordering::Relaxed) {
            let context = core::ptr::from_ref(device).cast_mut().cast();
            // SAFETY: (Aliasing) this thread moved the run-down, so nobody else is at the
            // cell. (Pointer) the address is final, facts 2 and 55.
            unsafe { sys::KeInitializeTimerEx(self.object.get(), sys::NOTIFICATION_TIMER) };
            // SAFETY: as above; the context is the device, which outlives the DPC, fact 3.
            unsafe { sys::KeInitializeDpc(self.dpc.get(), Some(custom_timer_dpc::<R>), context) };
            self.is_initialised.store(true, Ordering::Relaxed);
        }
        self.run_down.opened();
        Ok(())
    }

    /// Has it expire once. Wraps `KeSetTimerEx`.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    ///
    /// # Errors
    /// STATUS_DEVICE_NOT_READY if it is not initialised or was stopped.
    pub fn start_once<I: AtMostDispatch>(&self, _irql: &mut I, due: Due) -> Result<WasPending> {
        self.set(due, 0, 0)
    }

    /// Has it expire when it is due, and every `period_ms` milliseconds after that. Wraps
    /// `KeSetTimerEx`.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    ///
    /// # Errors
    /// As [`start_once`](Self::start_once); STATUS_INVALID_PARAMETER for a period of zero or
    /// over `i32::MAX`.
    pub fn start_periodic<I: AtMostDispatch>(
        &self,
        _irql: &mut I,
        due: Due,
        period_ms: u32,
    ) -> Result<WasPending> {
        self.set(due, checked_period(period_ms)?, 0)
    }

    /// As [`start_once`](Self::start_once), up to `tolerable_delay_ms` milliseconds late, so
    /// that the processor can do several timers in one go. Worth it from 32 ms on. Wraps
    /// `KeSetCoalescableTimer`.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    ///
    /// # Errors
    /// As [`start_once`](Self::start_once).
    pub fn start_once_coalescable<I: AtMostDispatch>(
        &self,
        _irql: &mut I,
        due: Due,
        tolerable_delay_ms: u32,
    ) -> Result<WasPending> {
        self.set(due, 0, tolerable_delay_ms)
    }

    /// As [`start_periodic`](Self::start_periodic), where each period may be up to
    /// `tolerable_delay_ms` milliseconds longer or shorter. Wraps `KeSetCoalescableTimer`.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    ///
    /// # Errors
    /// As [`start_periodic`](Self::start_periodic).
    pub fn start_periodic_coalescable<I: AtMostDispatch>(
        &self,
        _irql: &mut I,
        due: Due,
        period_ms: u32,
        tolerable_delay_ms: u32,
    ) -> Result<WasPending> {
        self.set(due, checked_period(period_ms)?, tolerable_delay_ms)
    }

    /// Keeps it from expiring. Wraps `KeCancelTimer`.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    pub fn cancel<I: AtMostDispatch>(&self, _irql: &mut I) -> WasPending {
        match self.run_down.enter() {
            Some(_pass) => self.cancel_now(),
            None => WasPending::No,
        }
    }

    /// Ends its use: afterwards the routine does not run, and it is not started until it is
    /// initialised again. Wraps `KeCancelTimer`, `KeFlushQueuedDpcs`.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    pub fn stop(&self, irql: &mut Passive) {
        if !self.run_down.begin_closing(irql) {
            return;
        }
        // Those who entered before have set it when they have left.
        self.run_down.wait(irql);
        // Whether it was pending makes no difference: the flush waits for a routine that is
        // about to run or runs.
        let _was_pending = self.cancel_now();
        dpc::flush(irql);
        self.run_down.closed();
    }

    fn set(&self, due: Due, period_ms: i32, tolerable_delay_ms: u32) -> Result<WasPending> {
        let _pass = self
            .run_down
            .enter()
            .ok_or(NtError::STATUS_DEVICE_NOT_READY)?;
        let due = due.to_kernel();
        let was_pending = if tolerable_delay_ms == 0 {
            // SAFETY: (IRQL) the public methods have a token of at most DISPATCH_LEVEL.
            // (Pointer) inside the run-down both objects are initialised, and whoever closes
            // it waits before the memory goes away, facts 3, 5 and 55.
            unsafe { sys::KeSetTimerEx(self.object.get(), due, period_ms, self.dpc.get()) }
        } else {
            // SAFETY: as above, facts 3, 5 and 55.
            unsafe {
                sys::KeSetCoalescableTimer(
                    self.object.get(),
                    due,
                    period_ms.unsigned_abs(),
                    tolerable_delay_ms,
                    self.dpc.get(),
                )
            }
        };
        Ok(WasPending::from_kernel(was_pending))
    }

    fn cancel_now(&self) -> WasPending {
        // SAFETY: (IRQL) callers have a token of at most DISPATCH_LEVEL. (Pointer)
        // initialised, for the run-down is or was open, and alive, facts 3, 5 and 55.
        WasPending::from_kernel(unsafe { sys::KeCancelTimer(self.object.get()) })
    }
}

impl WasPending {
    const fn from_kernel(was_in_queue: sys::BOOLEAN) -> Self {
        if was_in_queue == 0 {
            Self::No
        } else {
            Self::Yes
        }
    }
}

fn checked_period(period_ms: u32) -> Result<i32> {
    match i32::try_from(period_ms) {
        Ok(period @ 1..) => Ok(period),
        _ => Err(NtError::STATUS_INVALID_PARAMETER),
    }
}

/// The kernel calls this when the timer has expired.
unsafe extern "C" fn custom_timer_dpc<R: CustomTimerDpc>(
    _dpc: *mut sys::KDPC,
    context: sys::PVOID,
    _argument1: sys::PVOID,
    _argument2: sys::PVOID,
) {
    // SAFETY: (Caller) the kernel's DPC dispatcher. (Pointer) `initialize` gave the device,
    // which outlives the timer, fact 3.
    let device = unsafe { &*context.cast::<Device<R::Extension>>() };
    // SAFETY: (IRQL) DPCs run at DISPATCH_LEVEL, facts 5 and 10.
    let mut irql = unsafe { Dispatch::assume() };
    R::expired(device, &mut irql);
}

#[cfg(test)]
mod tests {
    use super::{CustomTimerDpc, Timer, WasPending, checked_period};
    use crate::{
        device::Device,
        irql::{Dispatch, Passive},
        status::NtError,
        time::Due,
    };

    struct Nothing;

    impl CustomTimerDpc for Nothing {
        type Extension = ();

        fn expired(_device: &Device<()>, _irql: &mut Dispatch) {}
    }

    #[test]
    fn a_timer_that_is_not_initialised_is_not_started() {
        // SAFETY: a host thread starts at the level that the host kernel calls PASSIVE,
        // fact 5.
        let mut irql = unsafe { Passive::assume() };
        let timer = Timer::<Nothing>::new();
        assert_eq!(
            timer.start_once(&mut irql, Due::after_ms(1)),
            Err(NtError::STATUS_DEVICE_NOT_READY)
        );
        assert_eq!(timer.cancel(&mut irql), WasPending::No);
        timer.stop(&mut irql);
    }

    #[test]
    fn a_period_fits_into_what_the_kernel_takes() {
        assert_eq!(checked_period(0), Err(NtError::STATUS_INVALID_PARAMETER));
        assert_eq!(checked_period(1), Ok(1));
        assert_eq!(checked_period(0x7fff_ffff), Ok(i32::MAX));
        assert_eq!(
            checked_period(0x8000_0000),
            Err(NtError::STATUS_INVALID_PARAMETER)
        );
    }
}
