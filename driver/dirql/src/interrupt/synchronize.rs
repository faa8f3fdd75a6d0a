//! Critical sections: `KeSynchronizeExecution` with a closure, and
//! `KeAcquireInterruptSpinLock` with one.

use core::mem::MaybeUninit;

use super::{Interrupt, ServiceRoutine, access::Access};
use crate::{
    irql::{AtMostDispatch, Dirql},
    sys,
};

/// What the SynchCritSection thunk works on; lives on the caller's stack.
struct Context<S, F, R> {
    state: *mut S,
    routine: MaybeUninit<F>,
    result: MaybeUninit<R>,
}

impl<S: ServiceRoutine, K> Interrupt<S, K> {
    /// Runs `routine` as a SynchCritSection routine: at the interrupt's
    /// SynchronizeIrql, with its lock held, the ISR kept out on every processor. Wraps
    /// `KeSynchronizeExecution`.
    ///
    /// `None`, and nothing is run, when the interrupt is not connected or is suspended.
    ///
    /// Keep it to register accesses and the shared state: everyone who waits for
    /// the lock does nothing else. It may not allocate, and dropping an IRP in it
    /// is a bug check.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL; cheapest at DISPATCH_LEVEL. From an ISR or from inside a
    /// critical section this cannot be called, because neither has a token that fits. See
    /// "Using Critical Sections" and "KeSynchronizeExecution".
    #[inline]
    pub fn synchronize<I: AtMostDispatch, R>(
        &self,
        _irql: &mut I,
        routine: impl FnOnce(&mut Dirql, &mut S) -> R,
    ) -> Option<R> {
        // SAFETY: (IRQL) the token says at most DISPATCH_LEVEL, and which. (Aliasing) (Ready)
        // facts 6 and 7.
        unsafe { enter_and_run::<I, _, _, _>(&self.access, self.state.get().cast(), routine) }
    }

    /// As [`synchronize`](Self::synchronize), but takes the interrupt spin lock itself.
    /// Wraps `KeAcquireInterruptSpinLock`, `KeReleaseInterruptSpinLock`.
    ///
    /// The documentation prefers `synchronize`; this is for code that calls it from so many
    /// places that one thunk for each would be too much.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL. See "KeAcquireInterruptSpinLock".
    #[inline]
    pub fn with_lock<I: AtMostDispatch, R>(
        &self,
        _irql: &mut I,
        routine: impl FnOnce(&mut Dirql, &mut S) -> R,
    ) -> Option<R> {
        let pass = self.access.enter()?;
        // SAFETY: (IRQL) the token says at most DISPATCH_LEVEL. (Pointer) the object stays
        // connected while `pass` is held, fact 7; passive-level interrupts, for which this
        // is forbidden, are not of this type.
        let old = unsafe { sys::KeAcquireInterruptSpinLock(pass.object()) };
        let result = {
            // SAFETY: (IRQL) the line above raised to the SynchronizeIrql, facts 5 and 10.
            let mut irql = unsafe { Dirql::assume() };
            // SAFETY: (Aliasing) the interrupt lock is held, fact 6. (Ready) fact 7.
            let state = unsafe { &mut *self.state.get().cast::<S>() };
            routine(&mut irql, state)
        };
        // SAFETY: pairs with the acquisition above, whose level this is, fact 10.
        unsafe { sys::KeReleaseInterruptSpinLock(pass.object(), old) };
        Some(result)
    }
}

/// Runs a critical section on `state`, if `access` lets it in.
///
/// # Safety
/// The caller has a token `I`. While `access` is open, the lock of its object guards `state`,
/// and `state` is initialised (facts 6 and 7).
#[inline]
pub(super) unsafe fn enter_and_run<I, S, F, R>(
    access: &Access,
    state: *mut S,
    routine: F,
) -> Option<R>
where
    I: AtMostDispatch,
    F: FnOnce(&mut Dirql, &mut S) -> R,
{
    // The context is begun before the look: its address part is then computed in the
    // registers that the call leaves free, as in C.
    let mut context = Context::on(state);
    if I::IS_DISPATCH {
        let object = access.object_at_dispatch();
        if object.is_null() {
            return None;
        }
        // SAFETY: (IRQL) (Pointer) the caller is at DISPATCH_LEVEL, and the object that was
        // read stays connected until it comes down, fact 7.
        return Some(unsafe { run_in(object, &mut context, routine) });
    }
    let pass = access.enter()?;
    // SAFETY: (IRQL) at most DISPATCH_LEVEL. (Pointer) the object stays connected while
    // `pass` is held, fact 7.
    Some(unsafe { run_in(pass.object(), &mut context, routine) })
}

/// Runs a critical section on `state`.
///
/// # Safety
/// The IRQL is at most DISPATCH_LEVEL. `object` is connected until this returns, its lock
/// guards `state` (fact 6), and `state` is initialised (fact 7).
#[inline]
pub(super) unsafe fn run<S, F: FnOnce(&mut Dirql, &mut S) -> R, R>(
    object: *mut sys::KINTERRUPT,
    state: *mut S,
    routine: F,
) -> R {
    // SAFETY: (Caller) the contract, passed on, facts 6 and 7.
    unsafe { run_in(object, &mut Context::on(state), routine) }
}

/// As `run`, on the state of `context`.
///
/// # Safety
/// As `run`.
#[inline]
unsafe fn run_in<S, F: FnOnce(&mut Dirql, &mut S) -> R, R>(
    object: *mut sys::KINTERRUPT,
    context: &mut Context<S, F, R>,
    routine: F,
) -> R {
    context.routine.write(routine);
    let thunk = synch_crit_section::<S, F, R>;
    // SAFETY: (IRQL) at most DISPATCH_LEVEL, which is below the object's SynchronizeIrql.
    // (Pointer) the contract; the context outlives the call, facts 5, 10 and 11.
    let _routine_result =
        unsafe { sys::KeSynchronizeExecution(object, Some(thunk), (&raw mut *context).cast()) };
    // SAFETY: (Ready) KeSynchronizeExecution returns after the routine has, which wrote the
    // result as its last act, fact 11.
    unsafe { context.result.assume_init_read() }
}

impl<S, F, R> Context<S, F, R> {
    #[inline]
    const fn on(state: *mut S) -> Self {
        Self {
            state,
            routine: MaybeUninit::uninit(),
            result: MaybeUninit::uninit(),
        }
    }
}

/// The kernel calls this with the interrupt lock held.
unsafe extern "C" fn synch_crit_section<S, F: FnOnce(&mut Dirql, &mut S) -> R, R>(
    context: sys::PVOID,
) -> sys::BOOLEAN {
    // SAFETY: (Caller) KeSynchronizeExecution, called by `run` alone. (Pointer) `run`'s own
    // stack frame, which waits for this. (Aliasing) nobody else has its address, fact 11.
    let context = unsafe { &mut *context.cast::<Context<S, F, R>>() };
    // SAFETY: (IRQL) KeSynchronizeExecution raises to the SynchronizeIrql, facts 5 and 10.
    let mut irql = unsafe { Dirql::assume() };
    // SAFETY: (Aliasing) the interrupt lock is held, fact 6 of the module. (Ready)
    // `run`'s contract, fact 7.
    let state = unsafe { &mut *context.state };
    // SAFETY: (Ready) written by `run`, and taken here only, once, fact 11.
    let routine = unsafe { context.routine.assume_init_read() };
    context.result.write(routine(&mut irql, state));
    1
}
