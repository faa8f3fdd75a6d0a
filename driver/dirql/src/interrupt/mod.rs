//! The interrupt that owns its state. Wraps `IoConnectInterruptEx`,
//! `KeSynchronizeExecution`, `KeAcquireInterruptSpinLock`, `IoReportInterruptInactive`,
//! `IoReportInterruptActive`, `IoDisconnectInterruptEx`.
//!
//! # Model
//!
//! ```text
//!                    connect                         suspend
//!   Disconnected ----------------> Connected ----------------------> Suspended
//!        ^  '--- refused: S dropped     |  ^                            |  |
//!        |                              |  '---------- resume ----------'  |
//!        '----- disconnect: S is back --'<--------- disconnect ------------'
//! ```
//!
//! A plain `S` goes in at `connect` and comes out at `disconnect`. In between it is
//! reached by the ISR and by [`Interrupt::synchronize`] alone, one at a time, at the
//! interrupt's SynchronizeIrql with the interrupt spin lock held. The ISR may run
//! before `connect` returns (a shared line may be asserted already), so all that it
//! needs is in `S` from the start; the device's own enable bit belongs into the
//! `arm` closure, which runs last and under the lock.
//!
//! `synchronize` on an interrupt that is not connected, or is suspended, runs nothing and
//! says so: the device may be stopped or put to sleep on another processor at any moment.
//!
//! A device that loses its power keeps its interrupt and `S`, but neither is of use:
//! [`Interrupt::suspend`] saves what the registers hold into a value that has none, and until
//! [`Interrupt::resume`] that value is all that anybody can get at.
//!
//! Several messages of one device share one lock and one `S` here; for one of each for
//! every message see [`messages`].
//!
//! # Contexts
//!
//! | operation | caller | token | may block |
//! |---|---|---|---|
//! | `connect`, `disconnect` | START, STOP, REMOVE | `Passive` | yes |
//! | `suspend`, `resume`, `with_disconnected` | power-down and power-up | `Passive` | yes |
//! | `synchronize`, `with_lock` | everybody but ISRs and critical sections | any up to `Dispatch` | no |
//! | `ServiceRoutine::service` | the kernel | `Dirql` is given | no |
//!
//! # Soundness
//!
//! Facts 1 to 5 of the crate, and of this module:
//!
//! 6. **One lock.** Every message of a device is connected with the lock in this
//!    object, a line with the one lock that the system supplies for it, and
//!    KeSynchronizeExecution is given an interrupt object of that connection. So ISRs
//!    and critical sections exclude each other. (With a NULL lock each *message*
//!    would have a lock of its own.)
//! 7. **Presence.** `S` is initialised, and the interrupt object connected, from before the
//!    kernel can call the ISR until after the last critical section has left and
//!    IoDisconnectInterruptEx has returned. Critical sections get the object from
//!    `access`, which is closed, and has seen everybody leave, before either goes.
//! 8. **Stage.** Who moves the stage to `BUSY` is alone with every cell that neither the ISR
//!    nor a critical section uses, until it moves the stage on.
//!
//! # Not here
//!
//! Passive-level interrupts: their critical sections do not run at DIRQL, so a
//! [`Dirql`] token would lie. `connect` refuses them; they are [`passive`]'s.

mod access;
mod connect;
pub mod messages;
pub mod passive;
mod service;
mod stage;
mod suspend;
mod synchronize;

use core::{cell::UnsafeCell, marker::PhantomPinned, mem::MaybeUninit, pin::Pin};

use crate::{
    device::Device,
    dpc,
    driver::Driver,
    irql::{Dirql, Passive},
    legacy::{Controller, LegacyDriver},
    object_table::Registered,
    resources::InterruptResource,
    status::{NtError, Result},
    sync::{
        GuardedUnsafeCell,
        atomic::{AtomicBool, Ordering},
    },
    sys,
};
use access::Access;
use connect::{Attempts, Connection, Routines};
use service::Requests;
pub use service::{Claim, DpcSet, MOST_DPCS, ServiceRoutine};
use stage::Stage;
pub use suspend::{NeverSuspended, Suspend};

/// How an interrupt is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `CONNECT_LINE_BASED`.
    Line,
    /// `CONNECT_MESSAGE_BASED`.
    Message,
    /// `CONNECT_FULLY_SPECIFIED`.
    FullySpecified,
}

/// What is known about a connected interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// How it is connected.
    pub kind: Kind,
    /// Its vector; of several messages, the first one's.
    pub vector: u32,
    /// The IRQL of the ISR and of every critical section.
    pub synchronize_irql: u8,
    /// How many messages the system granted; zero for a line.
    pub messages: u32,
}

/// An interrupt and the state `S` that it protects. A field of the device extension.
///
/// `K` is what is saved while the device sleeps, see [`Suspend`]; an interrupt that is never
/// suspended saves nothing.
#[derive(Debug)]
pub struct Interrupt<S, K = NeverSuspended> {
    access: Access,
    stage: Stage,
    /// The lock that all messages share, fact 6.
    lock: UnsafeCell<sys::KSPIN_LOCK>,
    /// Fact 8, but for `info`, which reads it behind `access`.
    connection: UnsafeCell<Option<Connection>>,
    /// What the ISR may queue. Written under fact 8 before the ISR can run.
    requests: GuardedUnsafeCell<Requests>,
    /// Initialised while connected, fact 7.
    state: UnsafeCell<MaybeUninit<S>>,
    /// The ISR is not to touch `S`: the device has no power. Read and written under the
    /// interrupt lock, since an ISR can wait for the lock while the device is put to sleep.
    asleep: AtomicBool,
    /// What was saved, while suspended. Fact 8.
    saved: GuardedUnsafeCell<Option<K>>,
    /// The kernel has its address while connected.
    _pinned: PhantomPinned,
}

// SAFETY: (Aliasing) the cells are written by the one thread that has the stage, fact 8; `S`
// is otherwise reached only under the interrupt lock, fact 6, on any processor, hence
// `S: Send`; what is saved moves between threads, hence `K: Send`.
unsafe impl<S: Send, K: Send> Sync for Interrupt<S, K> {}
// SAFETY: nothing here is tied to a thread; see above, fact 6.
unsafe impl<S: Send, K: Send> Send for Interrupt<S, K> {}

impl<S: ServiceRoutine, K: Send + 'static> Default for Interrupt<S, K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: ServiceRoutine, K: Send + 'static> Interrupt<S, K> {
    /// An interrupt that is not connected.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            access: Access::new(),
            stage: Stage::new(),
            lock: UnsafeCell::new(0),
            connection: UnsafeCell::new(None),
            requests: GuardedUnsafeCell::new(Requests::NONE),
            state: UnsafeCell::new(MaybeUninit::uninit()),
            asleep: AtomicBool::new(false),
            saved: GuardedUnsafeCell::new(None),
            _pinned: PhantomPinned,
        }
    }

    /// Connects the interrupt; `state` is the ISR's from now on. Wraps
    /// `IoConnectInterruptEx`.
    ///
    /// Messages are tried first, then the line, then the fully specified form; a success
    /// without an interrupt object counts as a failure.
    /// Last, under the interrupt lock, `arm` lets the device interrupt; no other critical
    /// section runs before it.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    ///
    /// # Errors
    /// The status of the last attempt; STATUS_NOT_SUPPORTED for a passive-level
    /// interrupt, STATUS_DEVICE_BUSY if connected already, STATUS_INVALID_PARAMETER
    /// if `self` is no part of the device's extension. `state` is dropped.
    pub fn connect<E: Driver>(
        self: Pin<&Self>,
        device: &Device<E>,
        irql: &mut Passive,
        resource: &InterruptResource<'_>,
        state: S,
        arm: impl FnOnce(&mut Dirql, &mut S),
    ) -> Result<Info> {
        self.connect_with_dpcs(device, irql, resource, &[], state, arm)
    }

    /// As [`connect`](Self::connect), for an ISR that queues DPCs of the driver's own too: it
    /// names them by their place in `dpcs`, see [`DpcSet`].
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    ///
    /// # Errors
    /// As `connect`; STATUS_INVALID_PARAMETER also for more than [`MOST_DPCS`] and for a DPC of
    /// another device.
    pub fn connect_with_dpcs<E: Driver>(
        self: Pin<&Self>,
        device: &Device<E>,
        irql: &mut Passive,
        resource: &InterruptResource<'_>,
        dpcs: &[dpc::Ready<'_>],
        state: S,
        arm: impl FnOnce(&mut Dirql, &mut S),
    ) -> Result<Info> {
        const {
            assert!(
                E::ROUTINES.has_dpc_for_isr(),
                "`Driver::ROUTINES` lacks `.dpc_for_isr()`, which the ISR may request"
            );
        }
        let requests = Requests::of(device.header(), dpcs)?;
        expect_dirql(resource)?;
        device.register(irql, self.get_ref().registered())?;
        let physical = device.header().physical();
        self.bring_up(requests, physical, state, arm, |attempts| {
            attempts.connect(resource)
        })
    }

    /// Connects the interrupt of a driver without PnP, as a field of its controller
    /// extension; `state` is the ISR's from now on. Wraps `IoConnectInterrupt`.
    ///
    /// Last, under the interrupt lock, `arm` lets the device interrupt; no other critical
    /// section runs before it.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn connect_legacy<E: LegacyDriver>(
        self: Pin<&Self>,
        controller: &Controller<E>,
        irql: &mut Passive,
        resource: &InterruptResource<'_>,
        state: S,
        arm: impl FnOnce(&mut Dirql, &mut S),
    ) -> Result<Info> {
        let first = controller.first_header();
        let requests = Requests::of(first.ok_or(NtError::STATUS_NO_SUCH_DEVICE)?, &[])?;
        expect_dirql(resource)?;
        controller.register(irql, self.get_ref().registered())?;
        self.bring_up(requests, core::ptr::null_mut(), state, arm, |attempts| {
            attempts.without_pnp(resource)
        })
    }

    /// Registers the ISR, runs `arm`, lets critical sections in.
    fn bring_up(
        &self,
        requests: Requests,
        physical: *mut sys::DEVICE_OBJECT,
        state: S,
        arm: impl FnOnce(&mut Dirql, &mut S),
        connect: impl FnOnce(&Attempts) -> Result<Connection>,
    ) -> Result<Info> {
        if !self.stage.begin(Stage::DISCONNECTED) {
            return Err(NtError::STATUS_DEVICE_BUSY);
        }
        // SAFETY: (Aliasing) the stage is this thread's, fact 8, and no ISR is connected yet.
        unsafe { *self.requests.get() = requests };
        // SAFETY: (Aliasing) as above, fact 8.
        unsafe { (*self.state.get()).write(state) };
        let attempts = Attempts {
            physical,
            routines: Routines {
                line: service::isr_line::<S, K>,
                message: service::isr_message::<S, K>,
            },
            context: core::ptr::from_ref(self).cast_mut().cast(),
            lock: self.lock.get(),
        };
        match connect(&attempts) {
            Ok(connection) => {
                let (object, info) = (connection.object, connection.info);
                // SAFETY: (Aliasing) as above; the ISR does not read this cell, facts 7 and
                // 8.
                unsafe { *self.connection.get() = Some(connection) };
                let arm = |irql: &mut Dirql, state: &mut S| {
                    arm(irql, state);
                    // Under the lock: the ISR that comes as soon as the lock is free may
                    // request a DPC, which runs before this call returns and must get in.
                    self.access.open(object);
                };
                // SAFETY: (IRQL) the token says PASSIVE_LEVEL. (Pointer) connected just
                // now, and the stage keeps everybody else from disconnecting it, facts 5
                // and 8.
                unsafe { synchronize::run(object, self.state.get().cast(), arm) };
                self.stage.end(Stage::CONNECTED);
                Ok(info)
            }
            Err(error) => {
                drop(self.take_state());
                self.stage.end(Stage::DISCONNECTED);
                Err(error)
            }
        }
    }

    /// Disconnects the interrupt and hands back its state; `None` if it was not
    /// connected. Silence the device first, in a critical section. Wraps
    /// `IoDisconnectInterruptEx`.
    ///
    /// Returns after the last ISR and the last critical section have. What was saved by
    /// [`suspend`](Self::suspend) is dropped.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    pub fn disconnect(&self, irql: &mut Passive) -> Option<S> {
        let stages = [Stage::CONNECTED, Stage::SUSPENDED];
        if !self.stage.begin_when_free(irql, &stages) {
            return None;
        }
        self.access.close(irql);
        // SAFETY: (Aliasing) the stage is this thread's, fact 8, and everybody has left.
        let connection = unsafe { (*self.connection.get()).take() };
        if let Some(connection) = connection {
            connection.disconnect();
        }
        // SAFETY: (Aliasing) as above, fact 8.
        drop(unsafe { (*self.saved.get()).take() });
        let state = self.take_state();
        self.asleep.store(false, Ordering::Relaxed);
        self.stage.end(Stage::DISCONNECTED);
        Some(state)
    }

    /// How the interrupt is connected; `None` if it is not, or is suspended.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub fn info(&self) -> Option<Info> {
        let _pass = self.access.enter()?;
        // SAFETY: (Aliasing) the cell is written only while `access` is closed and empty,
        // fact 8.
        let connection = unsafe { &*self.connection.get() };
        connection.as_ref().map(|connection| connection.info)
    }

    /// Moves the state out.
    fn take_state(&self) -> S {
        // SAFETY: (Aliasing) called by the thread that has the stage, with no ISR connected
        // and nobody inside. (Ready) `connect` wrote it, and each `connect` is followed by
        // one call of this, fact 7.
        unsafe { self.state.get().cast::<S>().read() }
    }

    /// How the device disconnects this interrupt before its extension goes away.
    fn registered(&self) -> Registered<'_> {
        Registered::new(self, |interrupt, irql| drop(interrupt.disconnect(irql)))
    }
}

/// Refuses an interrupt whose ISR would run where a [`Dirql`] token would lie.
const fn expect_dirql(resource: &InterruptResource<'_>) -> Result<()> {
    if resource.level > crate::irql::DISPATCH_LEVEL {
        Ok(())
    } else {
        Err(NtError::STATUS_NOT_SUPPORTED)
    }
}
