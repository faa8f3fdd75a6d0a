//! Passive-level interrupts: an ISR in a thread, whose state an event guards. Wraps
//! `IoConnectInterruptEx`, `KeSynchronizeExecution`, `IoDisconnectInterruptEx`.
//!
//! # Model
//!
//! ```text
//!   interrupt -> the kernel masks the line and wakes a thread
//!                  |
//!                  v
//!          the ISR, at PASSIVE_LEVEL, with the interrupt's event
//!                  |  (may wait)
//!                  '-- claims it, and has a work item queued
//!                  |
//!                  v
//!          the kernel unmasks the line
//! ```
//!
//! For a device whose registers cannot be touched at DIRQL: behind a slow bus, say, where
//! each access is a request that blocks. `S` goes in at `connect` and comes out at
//! `disconnect`, as with [`Interrupt`](super::Interrupt); in between the ISR and
//! [`PassiveInterrupt::synchronize`] reach it, one at a time. What keeps them apart is an
//! event of the kernel's in place of a spin lock, so both may wait, and only code at
//! PASSIVE_LEVEL can enter. What the spin lock can do (`with_lock`) is not there. See
//! "Using Passive-Level Interrupt Service Routines".
//!
//! An ISR runs at real-time priority and keeps the line masked. It does what must be done
//! at once, and leaves the rest to a [work item](crate::work_item), which is this
//! interrupt's DPC.
//!
//! # Contexts
//!
//! | operation | caller | token | may block |
//! |---|---|---|---|
//! | `connect`, `disconnect` | START, STOP, REMOVE | `Passive` | yes |
//! | `synchronize` | everybody at PASSIVE_LEVEL but ISRs and critical sections | `Passive` | yes |
//! | `PassiveServiceRoutine::service` | the kernel | `PassiveSection` is given | yes |
//!
//! # Soundness
//!
//! Facts 1 to 5 of the crate, and of this module:
//!
//! 50. **One event.** The interrupt is connected fully specified, which connects this one and
//!     no other, with IRQL and SynchronizeIrql PASSIVE_LEVEL and no spin lock. Then the
//!     kernel calls the ISR and SynchCritSection routines at PASSIVE_LEVEL, with the event
//!     that it made for this connection. So they exclude each other.
//! 51. **Presence.** `S` is initialised from before the kernel can call the ISR until after
//!     IoDisconnectInterruptEx has returned, and the connection is there while the run-down
//!     is open or not empty.
//! 52. **Opening.** Who moves the run-down to opening or closing, and has seen everybody
//!     leave, is alone with every cell that the ISR does not use.
//! 53. **Work.** The work item is a registered object of the same device, which is told to
//!     end after its interrupts. So it is alive when the ISR queues it.
//!
//! # Not here
//!
//! Lines that are shared with interrupts at DIRQL, which `CONNECT_LINE_BASED` would connect
//! too, and at their IRQL.

use core::{cell::UnsafeCell, marker::PhantomPinned, mem::MaybeUninit, pin::Pin};

use super::{
    Info,
    connect::{Connection, PassiveAttempt},
};
use crate::{
    device::Device,
    irql::{IsPassive, PASSIVE_LEVEL, Passive, PassiveSection},
    object_table::Registered,
    resources::InterruptResource,
    run_down::RunDown,
    status::{NtError, Result},
    sync::atomic::{AtomicBool, Ordering},
    sys,
    work_item::{self, RawReady},
};

/// What a passive-level ISR says to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassiveClaim {
    /// Another device's interrupt. The ISR returns FALSE.
    NotOurs,
    /// The source was quieted and there is nothing more to do.
    Ours,
    /// The source was quieted and the work item is to run. It is queued after the service
    /// routine has returned, so that is always the ISR's last act.
    OursQueueWork,
}

/// State that a passive-level ISR shares.
pub trait PassiveServiceRoutine: Send + 'static {
    /// The ISR: tell whose interrupt it is, quiet the source, save what would be lost, and
    /// leave. Runs in a real-time thread at PASSIVE_LEVEL with the interrupt's event held; it
    /// may wait, and the line is masked for so long.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL, with the interrupt's event held. See "Using Passive-Level Interrupt
    /// Service Routines".
    fn service(&mut self, irql: &mut PassiveSection) -> PassiveClaim;
}

/// A passive-level interrupt and the state `S` that it protects. A field of the device
/// extension.
#[derive(Debug)]
pub struct PassiveInterrupt<S> {
    /// Open while connected.
    run_down: RunDown,
    /// Written while opening and closing, read inside.
    connection: UnsafeCell<Option<Connection>>,
    /// What the ISR queues. Written while opening, before the ISR can run.
    work: UnsafeCell<Option<RawReady>>,
    /// Initialised while connected, fact 51.
    state: UnsafeCell<MaybeUninit<S>>,
    /// A request of the ISR's found its work item stopped.
    lost_work: AtomicBool,
    /// The kernel has its address while connected.
    _pinned: PhantomPinned,
}

// SAFETY: (Aliasing) the cells are written by the one thread that opens or closes, fact 52;
// `S` is otherwise reached only with the interrupt's event held, fact 50, in any thread, hence
// `S: Send`.
unsafe impl<S: Send> Sync for PassiveInterrupt<S> {}
// SAFETY: nothing here is tied to a thread, fact 52.
unsafe impl<S: Send> Send for PassiveInterrupt<S> {}

impl<S: PassiveServiceRoutine> Default for PassiveInterrupt<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: PassiveServiceRoutine> PassiveInterrupt<S> {
    /// An interrupt that is not connected.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            run_down: RunDown::new(),
            connection: UnsafeCell::new(None),
            work: UnsafeCell::new(None),
            state: UnsafeCell::new(MaybeUninit::uninit()),
            lost_work: AtomicBool::new(false),
            _pinned: PhantomPinned,
        }
    }

    /// Connects the interrupt; `state` is the ISR's from now on, and `work` is what it defers
    /// to. Wraps `IoConnectInterruptEx` with `CONNECT_FULLY_SPECIFIED`.
    ///
    /// Last, with the interrupt's event held, `arm` lets the device interrupt.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    ///
    /// # Errors
    /// What IoConnectInterruptEx says; STATUS_NOT_SUPPORTED for an interrupt that is not
    /// assigned at PASSIVE_LEVEL, STATUS_DEVICE_BUSY if connected already,
    /// STATUS_INVALID_PARAMETER if `self` is no part of the device's extension or `work` is
    /// another device's. `state` is dropped.
    pub fn connect<E>(
        self: Pin<&Self>,
        device: &Device<E>,
        irql: &mut Passive,
        resource: &InterruptResource<'_>,
        work: work_item::Ready<'_>,
        state: S,
        arm: impl FnOnce(&mut PassiveSection, &mut S),
    ) -> Result<Info> {
        if resource.level != PASSIVE_LEVEL {
            return Err(NtError::STATUS_NOT_SUPPORTED);
        }
        let work = work.of(device.header());
        let work = work.ok_or(NtError::STATUS_INVALID_PARAMETER)?;
        device.register(irql, self.get_ref().registered())?;
        if !self.run_down.begin_opening() {
            return Err(NtError::STATUS_DEVICE_BUSY);
        }
        // SAFETY: (Aliasing) the opening is this thread's, fact 52, and no ISR is connected yet.
        unsafe { *self.work.get() = Some(work) };
        // SAFETY: (Aliasing) as above, fact 52.
        unsafe { (*self.state.get()).write(state) };
        let attempt = PassiveAttempt {
            physical: device.header().physical(),
            routine: isr::<S>,
            context: core::ptr::from_ref(self.get_ref()).cast_mut().cast(),
        };
        match attempt.connect(resource) {
            Ok(connection) => {
                let (object, info) = (connection.object, connection.info);
                // SAFETY: (Aliasing) as above; the ISR does not read this cell, fact 52.
                unsafe { *self.connection.get() = Some(connection) };
                let arm = |irql: &mut PassiveSection, state: &mut S| {
                    arm(irql, state);
                    // With the event held: the work item that the next ISR queues gets in.
                    self.run_down.opened_inside()
                };
                // SAFETY: (IRQL) the token says PASSIVE_LEVEL. (Pointer) connected just now, and
                // whoever would disconnect it waits for the opening to end, and then for the
                // pass, facts 51 and 52.
                drop(unsafe { self.run(object, arm) });
                Ok(info)
            }
            Err(error) => {
                drop(self.take_state());
                self.run_down.closed();
                Err(error)
            }
        }
    }

    /// Disconnects the interrupt and hands back its state; `None` if it was not connected.
    /// Silence the device first, in a critical section. Wraps `IoDisconnectInterruptEx`.
    ///
    /// Returns after the last ISR and the last critical section have.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    pub fn disconnect(&self, irql: &mut Passive) -> Option<S> {
        if !self.run_down.begin_closing(irql) {
            return None;
        }
        self.run_down.wait(irql);
        // SAFETY: (Aliasing) the closing is this thread's and everybody has left, fact 52.
        let connection = unsafe { (*self.connection.get()).take() };
        if let Some(connection) = connection {
            connection.disconnect();
        }
        let state = self.take_state();
        self.run_down.closed();
        Some(state)
    }

    /// Runs `routine` as a SynchCritSection routine: at PASSIVE_LEVEL, with the interrupt's
    /// event held, the ISR kept out. It may wait. Wraps `KeSynchronizeExecution`.
    ///
    /// `None`, and nothing is run, when the interrupt is not connected.
    ///
    /// From the ISR or from inside a critical section this cannot be called: the event is
    /// held, and the token there does not fit.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL. See "Using Passive-Level Interrupt Service Routines" and
    /// "KeSynchronizeExecution".
    pub fn synchronize<I: IsPassive, R>(
        &self,
        _irql: &mut I,
        routine: impl FnOnce(&mut PassiveSection, &mut S) -> R,
    ) -> Option<R> {
        let _pass = self.run_down.enter()?;
        // SAFETY: (Aliasing) inside the run-down the cell is only read, fact 52.
        let connection = unsafe { &*self.connection.get() };
        let object = connection.as_ref()?.object;
        // SAFETY: (IRQL) the token says PASSIVE_LEVEL. (Pointer) connected while this is inside
        // the run-down, facts 5 and 51.
        Some(unsafe { self.run(object, routine) })
    }

    /// How the interrupt is connected; `None` if it is not.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub fn info(&self) -> Option<Info> {
        let _pass = self.run_down.enter()?;
        // SAFETY: (Aliasing) inside the run-down the cell is only read, fact 52.
        let connection = unsafe { &*self.connection.get() };
        connection.as_ref().map(|connection| connection.info)
    }

    /// Whether the ISR has asked for its work item while that was stopped, since this was
    /// asked last: what it saved in `S` waits for somebody to take it.
    ///
    /// # IRQL
    /// Any.
    pub fn take_lost_work(&self) -> bool {
        self.lost_work.swap(false, Ordering::AcqRel)
    }

    /// Runs a critical section.
    ///
    /// # Safety
    /// The thread is at PASSIVE_LEVEL, not in a section of this interrupt. `object` is connected
    /// until this returns (fact 51).
    unsafe fn run<F: FnOnce(&mut PassiveSection, &mut S) -> R, R>(
        &self,
        object: *mut sys::KINTERRUPT,
        routine: F,
    ) -> R {
        let mut context = Context {
            state: self.state.get().cast::<S>(),
            routine: MaybeUninit::new(routine),
            result: MaybeUninit::uninit(),
        };
        let thunk = synch_crit_section::<S, F, R>;
        // SAFETY: (IRQL) (Pointer) the contract; the context outlives the call, facts 10 and 11.
        let _routine_result =
            unsafe { sys::KeSynchronizeExecution(object, Some(thunk), (&raw mut context).cast()) };
        // SAFETY: (Ready) KeSynchronizeExecution returns after the routine has, which wrote the
        // result as its last act, fact 11.
        unsafe { context.result.assume_init() }
    }

    /// Moves the state out.
    fn take_state(&self) -> S {
        // SAFETY: (Aliasing) called by the thread that opens or closes, with no ISR connected.
        // (Ready) `connect` wrote it, and each `connect` is followed by one call of this, facts
        // 51 and 52.
        unsafe { self.state.get().cast::<S>().read() }
    }

    /// How the device disconnects this interrupt before its extension goes away.
    fn registered(&self) -> Registered<'_> {
        Registered::new(self, |interrupt, irql| drop(interrupt.disconnect(irql)))
    }

    /// The body of the ISR thunk.
    fn serve(&self) -> sys::BOOLEAN {
        let claim = {
            // SAFETY: (IRQL) the kernel calls the ISR at PASSIVE_LEVEL with its event held, facts
            // 5 and 50.
            let mut irql = unsafe { PassiveSection::assume() };
            // SAFETY: (Aliasing) the event is held, fact 50. (Ready) fact 51.
            let state = unsafe { &mut *self.state.get().cast::<S>() };
            state.service(&mut irql)
        };
        match claim {
            PassiveClaim::NotOurs => 0,
            PassiveClaim::Ours => 1,
            PassiveClaim::OursQueueWork => {
                self.queue_work();
                1
            }
        }
    }

    /// Queues the work item. One that is queued already is not queued again, and that is no
    /// loss: it takes out all that the ISR has saved.
    fn queue_work(&self) {
        // SAFETY: (Ready) written before the ISR was connected, and not since, fact 52.
        let work = unsafe { &*self.work.get() };
        let queued = work.as_ref().map(|work| {
            // SAFETY: (IRQL) ISRs of this kind are at PASSIVE_LEVEL. (Pointer) facts 50 and 53.
            unsafe { work.queue() }
        });
        if !matches!(queued, Some(Ok(_))) {
            self.lost_work.store(true, Ordering::Release);
        }
    }
}

/// What the SynchCritSection thunk works on; lives on the caller's stack.
struct Context<S, F, R> {
    state: *mut S,
    routine: MaybeUninit<F>,
    result: MaybeUninit<R>,
}

/// The kernel calls this for an interrupt, in a thread.
unsafe extern "C" fn isr<S: PassiveServiceRoutine>(
    _interrupt: *mut sys::KINTERRUPT,
    context: sys::PVOID,
) -> sys::BOOLEAN {
    // SAFETY: (Caller) the kernel, and only `connect` hands this out. (Pointer) `context` is the
    // interrupt that `connect` gave, alive by facts 2 and 3.
    let interrupt = unsafe { &*context.cast::<PassiveInterrupt<S>>() };
    interrupt.serve()
}

/// The kernel calls this with the interrupt's event held.
unsafe extern "C" fn synch_crit_section<S, F: FnOnce(&mut PassiveSection, &mut S) -> R, R>(
    context: sys::PVOID,
) -> sys::BOOLEAN {
    // SAFETY: (Caller) KeSynchronizeExecution, called by `run` alone. (Pointer) `run`'s own stack
    // frame, which waits for this. (Aliasing) nobody else has its address, fact 11.
    let context = unsafe { &mut *context.cast::<Context<S, F, R>>() };
    // SAFETY: (IRQL) it calls at the SynchronizeIrql, which is PASSIVE_LEVEL, with the event
    // held, fact 50.
    let mut irql = unsafe { PassiveSection::assume() };
    // SAFETY: (Aliasing) the event is held, fact 50. (Ready) `run`'s caller keeps the interrupt
    // connected, fact 51.
    let state = unsafe { &mut *context.state };
    // SAFETY: (Ready) written by `run`, and taken here only, once, fact 11.
    let routine = unsafe { context.routine.assume_init_read() };
    context.result.write(routine(&mut irql, state));
    1
}
