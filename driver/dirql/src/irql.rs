//! IRQL as types.
//!
//! A value of a token type proves that the processor is at that level. Tokens have
//! no size, cannot be made outside this crate, copied, or sent to another thread,
//! and are always passed as `&mut`: whoever holds the `&mut` decides what may be
//! called, and a closure that runs at a raised level keeps it from everybody else.
//!
//! | token | level | given to |
//! |---|---|---|
//! | [`Passive`] | PASSIVE_LEVEL | AddDevice, PnP routines that change the state |
//! | [`UpToDispatch`] | at most DISPATCH_LEVEL | dispatch and completion routines |
//! | [`Dispatch`] | DISPATCH_LEVEL | StartIo, DPC and timer routines |
//! | [`Threaded`] | PASSIVE_LEVEL or DISPATCH_LEVEL, may not wait | threaded DPC routines |
//! | [`Dirql`] | an interrupt's SynchronizeIrql | ISR and SynchCritSection closures |
//! | [`PassiveSection`] | PASSIVE_LEVEL, with an event held | the same of passive-level interrupts |
//!
//! # Model
//!
//! Whatever raises IRQL takes the token of the level that it comes from as `&mut` and lends its
//! closure the token of the level that it goes to: inside, the lower one is borrowed and out of
//! reach, and when the closure has returned the level is what it was. So a token never
//! says more than is true, and there is nothing to forget that would lower IRQL too early.
//!
//! # Soundness
//!
//! Facts 5 and 10 of the crate: this module is where fact 5 is made true.
//!
//! # Not here
//!
//! APC_LEVEL: nothing in this crate raises to it. See "Managing Hardware Priorities" in the
//! Windows driver documentation.

use core::marker::PhantomData;

use crate::{spin_lock::Held, sys};

/// PASSIVE_LEVEL, the lowest IRQL.
pub(crate) const PASSIVE_LEVEL: u8 = 0;
/// APC_LEVEL.
pub(crate) const APC_LEVEL: u8 = 1;
/// DISPATCH_LEVEL.
pub(crate) const DISPATCH_LEVEL: u8 = 2;

macro_rules! token {
    ($(#[$doc:meta])* $name:ident, $holds:expr $(, $field:ident: $kind:ty = $value:expr)?) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name {
            /// Neither `Send` nor `Sync`: the level is this processor's, now.
            not_send: PhantomData<*mut ()>,
            $($field: $kind,)?
        }

        impl $name {
            /// Makes a token from what the kernel promises; checked builds look.
            ///
            /// # Safety
            /// The processor is at the level that the type names, and stays there
            /// for as long as the token can be reached.
            pub(crate) unsafe fn assume() -> Self {
                debug_assert!({
                    let holds: fn(u8) -> bool = $holds;
                    holds(current())
                });
                Self {
                    not_send: PhantomData,
                    $($field: $value,)?
                }
            }
        }
    };
}

token!(
    /// The processor is at PASSIVE_LEVEL.
    Passive,
    |level| level == PASSIVE_LEVEL
);
token!(
    /// The processor is at DISPATCH_LEVEL.
    Dispatch,
    |level| level == DISPATCH_LEVEL,
    held: Held = Held::NONE
);
token!(
    /// The processor is at DISPATCH_LEVEL or below; the kernel does not promise more.
    UpToDispatch,
    |level| level <= DISPATCH_LEVEL
);
token!(
    /// A threaded DPC routine runs: at PASSIVE_LEVEL or, where threaded DPCs are disabled, at
    /// DISPATCH_LEVEL, and bound by the rules of DISPATCH_LEVEL in both cases.
    Threaded,
    |level| level == PASSIVE_LEVEL || level == DISPATCH_LEVEL
);
token!(
    /// The processor is at the SynchronizeIrql of an interrupt whose lock is held.
    Dirql,
    |level| level > DISPATCH_LEVEL
);

impl Dispatch {
    /// As [`assume`](Self::assume), inside the closures of these spin locks.
    ///
    /// # Safety
    /// As there.
    pub(crate) unsafe fn assume_holding(held: Held) -> Self {
        // SAFETY: the contract, passed on, fact 5.
        let token = unsafe { Self::assume() };
        Self { held, ..token }
    }
}

token!(
    /// PASSIVE_LEVEL, inside a critical section or the ISR of a passive-level interrupt, whose
    /// event is held. The thread may wait, and that is all.
    PassiveSection,
    |level| level == PASSIVE_LEVEL
);

impl UpToDispatch {
    /// Looks at the level once; a [`Passive`] token if it is PASSIVE_LEVEL.
    ///
    /// # IRQL
    /// Any.
    pub fn try_passive(&mut self) -> Option<PassiveGuard<'_>> {
        (current() == PASSIVE_LEVEL).then(|| PassiveGuard {
            // SAFETY: (IRQL) the level was read just now, and only a call that takes the
            // `UpToDispatch` token, which the guard borrows, could raise it, fact 5.
            token: unsafe { Passive::assume() },
            source: PhantomData,
        })
    }
}

/// The [`Passive`] token that [`UpToDispatch::try_passive`] found; it freezes the
/// token that it came from.
#[derive(Debug)]
pub struct PassiveGuard<'a> {
    token: Passive,
    source: PhantomData<&'a mut UpToDispatch>,
}

impl PassiveGuard<'_> {
    /// The token.
    ///
    /// # IRQL
    /// Any.
    pub fn token(&mut self) -> &mut Passive {
        &mut self.token
    }
}

mod sealed {
    use crate::spin_lock::Held;

    pub trait Level {
        /// The spin locks whose closures this token is inside of.
        ///
        /// # IRQL
        /// Any.
        fn held(&self) -> Held {
            Held::NONE
        }
    }
}

/// Levels from which a spin lock may be taken, an IRP completed or a critical
/// section entered.
#[diagnostic::on_unimplemented(
    message = "this needs an IRQL of at most DISPATCH_LEVEL",
    label = "`{Self}` may be higher",
    note = "in an ISR or a critical section, queue a DPC and do it there"
)]
pub trait AtMostDispatch: sealed::Level {
    /// The level is DISPATCH_LEVEL for certain, so raising to it is not needed.
    #[doc(hidden)]
    const IS_DISPATCH: bool;

    /// A threaded DPC runs, which takes spin locks by the routines made for it.
    #[doc(hidden)]
    const IS_THREADED_DPC: bool = false;
}

impl sealed::Level for Passive {}
impl sealed::Level for UpToDispatch {}
impl sealed::Level for Dispatch {
    fn held(&self) -> Held {
        self.held
    }
}
impl sealed::Level for Threaded {}

#[diagnostic::do_not_recommend]
impl AtMostDispatch for Passive {
    const IS_DISPATCH: bool = false;
}
#[diagnostic::do_not_recommend]
impl AtMostDispatch for UpToDispatch {
    const IS_DISPATCH: bool = false;
}
#[diagnostic::do_not_recommend]
impl AtMostDispatch for Dispatch {
    const IS_DISPATCH: bool = true;
}
#[diagnostic::do_not_recommend]
impl AtMostDispatch for Threaded {
    const IS_DISPATCH: bool = false;
    const IS_THREADED_DPC: bool = true;
}

/// Levels at which nothing takes the processor away: what runs stays on it.
#[diagnostic::on_unimplemented(
    message = "this needs DISPATCH_LEVEL or above",
    label = "at `{Self}` the thread can be moved to another processor",
    note = "raise with `at_dispatch`"
)]
pub trait AtLeastDispatch: sealed::Level {}

#[diagnostic::do_not_recommend]
impl AtLeastDispatch for Dispatch {}
impl sealed::Level for Dirql {}
#[diagnostic::do_not_recommend]
impl AtLeastDispatch for Dirql {}

/// Levels at which a thread may wait: for time to pass, for an event, for paged memory.
#[diagnostic::on_unimplemented(
    message = "waiting needs PASSIVE_LEVEL",
    label = "nothing may wait at the level of `{Self}`",
    note = "at DISPATCH_LEVEL or above, queue a work item and wait there, or start a timer; a \
            dispatch routine can look with `try_passive`"
)]
pub trait MayWait: sealed::Level {}

#[diagnostic::do_not_recommend]
impl MayWait for Passive {}
impl sealed::Level for PassiveSection {}
#[diagnostic::do_not_recommend]
impl MayWait for PassiveSection {}

/// PASSIVE_LEVEL with nothing held, from which a passive-level interrupt's critical section
/// is entered.
#[diagnostic::on_unimplemented(
    message = "a passive-level interrupt's critical section is entered at PASSIVE_LEVEL, from outside \
               of any other",
    label = "`{Self}` is not that",
    note = "at DISPATCH_LEVEL, queue a work item and do it there; inside a section the state is at \
            hand already"
)]
pub trait IsPassive: sealed::Level {}

#[diagnostic::do_not_recommend]
impl IsPassive for Passive {}

/// Runs `f` at DISPATCH_LEVEL. Wraps `KeRaiseIrql`, `KeLowerIrql`; calls neither for a token
/// that says that the level is DISPATCH_LEVEL.
///
/// # IRQL
/// At most DISPATCH_LEVEL.
#[inline]
pub fn at_dispatch<I: AtMostDispatch, R>(irql: &mut I, f: impl FnOnce(&mut Dispatch) -> R) -> R {
    if I::IS_DISPATCH {
        // SAFETY: (IRQL) the token says DISPATCH_LEVEL, and is borrowed while the closure
        // runs, fact 5.
        return f(&mut unsafe { Dispatch::assume_holding(irql.held()) });
    }
    // SAFETY: (IRQL) the token says that the level is at most DISPATCH_LEVEL, so this never
    // lowers it, facts 5 and 10.
    let old = unsafe { sys::KfRaiseIrql(DISPATCH_LEVEL) };
    // SAFETY: (IRQL) the line above raised to just this level, and the token cannot leave
    // the closure, fact 5.
    let mut token = unsafe { Dispatch::assume_holding(irql.held()) };
    let result = f(&mut token);
    // SAFETY: (IRQL) undoes the raise above, the latest one: closures nest, facts 5 and 10.
    unsafe { sys::KeLowerIrql(old) };
    result
}

/// The level that this processor is at.
pub(crate) fn current() -> u8 {
    // SAFETY: KeGetCurrentIrql may be called at any IRQL and takes nothing, facts 5 and 10.
    unsafe { sys::KeGetCurrentIrql() }
}
