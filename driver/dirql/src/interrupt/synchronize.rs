//! Critical sections: `KeSynchronizeExecution` with a closure.

use core::mem::MaybeUninit;

use super::{Interrupt, ServiceRoutine};
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

impl<S: ServiceRoutine> Interrupt<S> {
    /// Runs `routine` as a SynchCritSection routine: at the interrupt's
    /// SynchronizeIrql, with its lock held, the ISR kept out on every processor.
    ///
    /// `None`, and nothing is run, when the interrupt is not connected.
    ///
    /// Keep it to register accesses and the shared state: everyone who waits for
    /// the lock does nothing else. It may not allocate, and dropping an IRP in it
    /// is a bug check.
    ///
    /// From a higher IRQL, from an ISR or from inside a critical section this cannot
    /// be called, because neither has a token that fits.
    pub fn synchronize<I: AtMostDispatch, R>(
        &self,
        _irql: &mut I,
        routine: impl FnOnce(&mut Dirql, &mut S) -> R,
    ) -> Option<R> {
        let _pass = self.gate.enter()?;
        // SAFETY: (Aliasing) behind the gate the cell is only read.
        let connection = unsafe { &*self.connection.get() };
        let object = connection.as_ref()?.object;
        Some(self.run(object, routine))
    }

    fn run<F: FnOnce(&mut Dirql, &mut S) -> R, R>(
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
        // SAFETY: (IRQL) `synchronize` has a token of at most DISPATCH_LEVEL, and the
        // object's SynchronizeIrql is above that. (Pointer) the object is connected
        // while its caller is behind the gate, and the context outlives the call.
        let _routine_result =
            unsafe { sys::KeSynchronizeExecution(object, Some(thunk), (&raw mut context).cast()) };
        // SAFETY: (Ready) KeSynchronizeExecution returns after the routine has, which
        // wrote the result as its last act.
        unsafe { context.result.assume_init() }
    }
}

/// The kernel calls this with the interrupt lock held.
unsafe extern "C" fn synch_crit_section<S, F: FnOnce(&mut Dirql, &mut S) -> R, R>(
    context: sys::PVOID,
) -> sys::BOOLEAN {
    // SAFETY: (Caller) KeSynchronizeExecution, called by `run` alone. (Pointer) `run`'s
    // own stack frame, which waits for this. (Aliasing) nobody else has its address.
    let context = unsafe { &mut *context.cast::<Context<S, F, R>>() };
    // SAFETY: (IRQL) KeSynchronizeExecution raises to the SynchronizeIrql.
    let mut irql = unsafe { Dirql::assume() };
    // SAFETY: (Aliasing) the interrupt lock is held, fact 6 of the module. (Ready)
    // `run`'s caller is behind the gate, fact 7.
    let state = unsafe { &mut *context.state };
    // SAFETY: (Ready) written by `run`, and taken here only, once.
    let routine = unsafe { context.routine.assume_init_read() };
    context.result.write(routine(&mut irql, state));
    1
}
