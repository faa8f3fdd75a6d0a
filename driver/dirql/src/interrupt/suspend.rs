//! An interrupt whose device sleeps. Wraps `IoReportInterruptInactive`,
//! `IoReportInterruptActive`.
//!
//! # Model
//!
//! ```text
//!   Connected --suspend: closed, saved, inactive--> Suspended
//!       ^                                               |  with_disconnected: what was saved
//!       '------resume: active, restored, open-----------'
//! ```
//!
//! The device is silenced, then its interrupt made inactive; the interrupt made active, then
//! the device allowed to interrupt. Disconnecting instead would give up the vector, and
//! connecting can fail. In between the state is lent to nobody, the ISR included; so
//! no register can be touched while the device has no power.
//!
//! # Contexts
//!
//! | operation | caller | token | may block |
//! |---|---|---|---|
//! | `suspend`, `resume` | [`Power`](crate::power::Power) routines | `Passive` | yes |
//! | `with_disconnected` | PnP and power routines | `Passive` | as its closure does |
//! | [`Suspend::save`], [`Suspend::restore`] | `suspend`, `resume` | `Dirql` is given | no |
//!
//! # Soundness
//!
//! Facts 6 to 8 of [`super`].
//!
//! # Not here
//!
//! When to sleep: [`power`](crate::power). See "Making an ISR Active or Inactive".

use crate::sync::atomic::Ordering;
use core::any::TypeId;

use super::{Interrupt, ServiceRoutine, stage::Stage, synchronize};
use crate::irql::{Dirql, Passive};

/// State of an interrupt whose device can sleep.
pub trait Suspend: ServiceRoutine {
    /// What the registers held. It is plain data: a mapping is not `Copy`, so there are no
    /// registers in it that somebody could touch while the device has no power, and nothing
    /// is dropped under the lock.
    type Saved: Copy + Send + 'static;

    /// Silences the device and saves what it will forget. The last critical section before
    /// the device loses its power.
    ///
    /// # IRQL
    /// The interrupt's SynchronizeIrql, with the interrupt spin lock held.
    fn save(&mut self, irql: &mut Dirql) -> Self::Saved;

    /// Gives the device back what it has forgotten and lets it interrupt. The first critical
    /// section after the device has its power again.
    ///
    /// # IRQL
    /// The interrupt's SynchronizeIrql, with the interrupt spin lock held.
    fn restore(&mut self, irql: &mut Dirql, saved: Self::Saved);
}

/// What an interrupt saves that is never suspended. Nobody has one, so no [`Suspend`] can
/// name it.
#[derive(Debug)]
pub struct NeverSuspended(());

/// Whether an interrupt that saves a `K` can be suspended; known when it is compiled.
#[inline]
pub(super) fn can_be_suspended<K: 'static>() -> bool {
    TypeId::of::<K>() != TypeId::of::<NeverSuspended>()
}

impl<S: Suspend> Interrupt<S, S::Saved> {
    /// Shuts everybody out, has the device [saved](Suspend::save), and makes the interrupt
    /// inactive; false, and nothing is done, if it was not connected. Wraps
    /// `IoReportInterruptInactive`.
    ///
    /// What the ISR saved last may have got no DPC any more, or one that came when everybody was
    /// shut out: it is still in the state when the interrupt is [resumed](Self::resume), and
    /// whoever resumes it looks for it.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    pub fn suspend(&self, irql: &mut Passive) -> bool {
        if !self.stage.begin_when_free(irql, &[Stage::CONNECTED]) {
            return false;
        }
        self.access.close(irql);
        // SAFETY: (Aliasing) the stage is this thread's, fact 8.
        if let Some(connection) = unsafe { &*self.connection.get() } {
            let save = |irql: &mut Dirql, state: &mut S| {
                let saved = state.save(irql);
                self.asleep.store(true, Ordering::Relaxed);
                saved
            };
            // SAFETY: (IRQL) the token says PASSIVE_LEVEL. (Pointer) connected, and the
            // stage keeps everybody else from disconnecting it, facts 5, 7 and 8.
            let saved =
                unsafe { synchronize::run(connection.object, self.state.get().cast(), save) };
            // SAFETY: (Aliasing) the stage is this thread's, fact 8.
            unsafe { *self.saved.get() = Some(saved) };
            connection.set_active(false);
        }
        self.stage.end(Stage::SUSPENDED);
        true
    }

    /// Makes the interrupt active, has the device [restored](Suspend::restore) and lets
    /// everybody in again; false, and nothing is done, if it was not suspended. Wraps
    /// `IoReportInterruptActive`.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    pub fn resume(&self, irql: &mut Passive) -> bool {
        if !self.stage.begin_when_free(irql, &[Stage::SUSPENDED]) {
            return false;
        }
        // SAFETY: (Aliasing) the stage is this thread's, fact 8.
        let saved = unsafe { (*self.saved.get()).take() };
        // SAFETY: (Aliasing) as above, fact 8.
        let connection = unsafe { &*self.connection.get() };
        if let (Some(connection), Some(saved)) = (connection, saved) {
            connection.set_active(true);
            let restore = |irql: &mut Dirql, state: &mut S| {
                self.asleep.store(false, Ordering::Relaxed);
                state.restore(irql, saved);
                // Under the lock, as in `connect`: a DPC that the next ISR requests gets in.
                self.access.open(connection.object);
            };
            // SAFETY: (IRQL) (Pointer) as in `suspend`, facts 5, 7 and 8.
            unsafe { synchronize::run(connection.object, self.state.get().cast(), restore) };
        }
        self.stage.end(Stage::CONNECTED);
        true
    }

    /// Lends what was saved, while the interrupt is suspended; `None`, and nothing is run,
    /// while it is not. No lock is needed: nobody else can get at it, the ISR included.
    ///
    /// Whoever suspends, resumes or disconnects meanwhile waits until `routine` has returned;
    /// it has no token with which it could do so itself.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    pub fn with_disconnected<R>(
        &self,
        irql: &mut Passive,
        routine: impl FnOnce(&mut S::Saved) -> R,
    ) -> Option<R> {
        if !self.stage.begin_when_free(irql, &[Stage::SUSPENDED]) {
            return None;
        }
        // SAFETY: (Aliasing) the stage is this thread's, fact 8.
        let saved = unsafe { &mut *self.saved.get() };
        let result = saved.as_mut().map(routine);
        self.stage.end(Stage::SUSPENDED);
        result
    }
}
