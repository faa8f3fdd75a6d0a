//! The interrupt that owns its state. Wraps `IoConnectInterruptEx`,
//! `KeSynchronizeExecution`, `IoDisconnectInterruptEx`.
//!
//! # Model
//!
//! ```text
//!   Disconnected --connect--> Connecting --> Connected --disconnect--> Disconnecting
//!        ^                        |                                         |
//!        '------- refused --------'<---------- the S comes back ------------'
//! ```
//!
//! A plain `S` goes in at `connect` and comes out at `disconnect`. In between it is
//! reached by the ISR and by [`Interrupt::synchronize`] alone, one at a time, at the
//! interrupt's SynchronizeIrql with the interrupt spin lock held. The ISR may run
//! before `connect` returns (a shared line may be asserted already), so all that it
//! needs is in `S` from the start; the device's own enable bit belongs into the
//! `arm` closure, which runs last and under the lock.
//!
//! `synchronize` on an interrupt that is not connected runs nothing and says so: the
//! device may be stopped on another processor at any moment.
//!
//! # Contexts
//!
//! | operation | caller | token | may block |
//! |---|---|---|---|
//! | `connect`, `disconnect` | START, STOP, REMOVE | `Passive` | yes |
//! | `synchronize` | everybody but ISRs and critical sections | any up to `Dispatch` | no |
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
//! 7. **Presence.** `S` is initialised from before the kernel can call the ISR until
//!    after IoDisconnectInterruptEx has returned and the last `synchronize` that
//!    passed the gate has left it.
//!
//! # Not here
//!
//! Passive-level interrupts: their critical sections do not run at DIRQL, so a
//! [`Dirql`] token would lie. `connect` refuses them.

mod connect;
mod gate;
mod synchronize;

use core::{cell::UnsafeCell, marker::PhantomPinned, mem::MaybeUninit, pin::Pin};

use crate::{
    device::Header,
    driver::Driver,
    irql::{Dirql, Passive},
    object_table::Registered,
    resources::InterruptResource,
    status::{NtError, Result},
    sys,
};
use connect::Connection;
use gate::Gate;

/// What an ISR says to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Another device's interrupt; nothing was touched. The ISR returns FALSE.
    NotOurs,
    /// The source was quieted and there is nothing more to do.
    Ours,
    /// The source was quieted and DpcForIsr is to run. It is requested after the
    /// service routine has returned, so that is always the ISR's last act.
    OursRequestDpc,
}

/// State that an ISR shares.
pub trait ServiceRoutine: Send + 'static {
    /// The ISR: tell whose interrupt it is, quiet the source, save what would be
    /// lost, and leave. Runs at DIRQL with the interrupt spin lock held; may not
    /// allocate, wait or touch an IRP.
    fn service(&mut self, irql: &mut Dirql) -> Claim;
}

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
}

/// An interrupt and the state `S` that it protects. A field of the device extension.
#[derive(Debug)]
pub struct Interrupt<S> {
    gate: Gate,
    /// The lock that all messages share, fact 6.
    lock: UnsafeCell<sys::KSPIN_LOCK>,
    /// Written while `Connecting` and `Disconnecting`, read behind the gate.
    connection: UnsafeCell<Option<Connection>>,
    /// Whose DPC the ISR requests. Written while `Connecting`, before the ISR can run.
    device: UnsafeCell<*mut sys::DEVICE_OBJECT>,
    /// Initialised while connected, fact 7.
    state: UnsafeCell<MaybeUninit<S>>,
    /// The kernel has its address while connected.
    _pinned: PhantomPinned,
}

// SAFETY: (Aliasing) the cells are written by the one thread that moved the gate out
// of `Disconnected` or `Connected`; `S` is otherwise reached only under the interrupt
// lock, fact 6, on any processor, hence `S: Send`.
unsafe impl<S: Send> Sync for Interrupt<S> {}
// SAFETY: nothing here is tied to a thread; see above.
unsafe impl<S: Send> Send for Interrupt<S> {}

impl<S: ServiceRoutine> Default for Interrupt<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: ServiceRoutine> Interrupt<S> {
    /// An interrupt that is not connected.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            gate: Gate::new(),
            lock: UnsafeCell::new(0),
            connection: UnsafeCell::new(None),
            device: UnsafeCell::new(core::ptr::null_mut()),
            state: UnsafeCell::new(MaybeUninit::uninit()),
            _pinned: PhantomPinned,
        }
    }

    /// Connects the interrupt; `state` is the ISR's from now on.
    ///
    /// Tries `CONNECT_MESSAGE_BASED`, with a fall-back to the device's lines,
    /// `CONNECT_LINE_BASED` and `CONNECT_FULLY_SPECIFIED` in this order. A connection
    /// without an interrupt object counts as a failure.
    /// Last, under the interrupt lock, `arm` lets the device interrupt.
    ///
    /// # Errors
    /// The status of the last attempt; STATUS_NOT_SUPPORTED for a passive-level
    /// interrupt, STATUS_DEVICE_BUSY if connected already, STATUS_INVALID_PARAMETER
    /// if `self` is no part of the device's extension. `state` is dropped.
    pub fn connect<E: Driver>(
        self: Pin<&Self>,
        device: &crate::device::Device<E>,
        irql: &mut Passive,
        resource: &InterruptResource<'_>,
        state: S,
        arm: impl FnOnce(&mut Dirql, &mut S),
    ) -> Result<Info> {
        const {
            assert!(
                E::ROUTINES.has_dpc_for_isr(),
                "`Driver::ROUTINES` lacks `.dpc_for_isr()`, which the ISR may request"
            );
        }
        if resource.level <= crate::irql::DISPATCH_LEVEL {
            return Err(NtError::STATUS_NOT_SUPPORTED);
        }
        device.register(irql, self.get_ref().registered())?;
        if !self.gate.begin_connecting() {
            return Err(NtError::STATUS_DEVICE_BUSY);
        }
        // SAFETY: (Aliasing) this thread moved the gate, so nobody else is at the cell.
        unsafe { *self.device.get() = device.header().object() };
        // SAFETY: (Aliasing) as above, and no ISR is connected yet.
        unsafe { (*self.state.get()).write(state) };
        match self.connect_any(device.header(), resource) {
            Ok(connection) => {
                let info = connection.info;
                // SAFETY: (Aliasing) as above; the ISR does not read this cell.
                unsafe { *self.connection.get() = Some(connection) };
                self.gate.opened();
                let _armed = self.synchronize(irql, arm);
                Ok(info)
            }
            Err(error) => {
                self.take_state();
                self.gate.closed();
                Err(error)
            }
        }
    }

    /// Disconnects the interrupt and hands back its state; `None` if it was not
    /// connected. Silence the device first, in a critical section.
    ///
    /// Returns after the last ISR and the last critical section have.
    pub fn disconnect(&self, irql: &mut Passive) -> Option<S> {
        if !self.gate.begin_disconnecting() {
            return None;
        }
        while !self.gate.is_empty() {
            crate::wait::delay(irql, 1);
        }
        // SAFETY: (Aliasing) this thread moved the gate and has seen everybody leave.
        let connection = unsafe { (*self.connection.get()).take() };
        if let Some(connection) = connection {
            connection.disconnect();
        }
        let state = self.take_state();
        self.gate.closed();
        Some(state)
    }

    /// How the interrupt is connected; `None` if it is not.
    #[must_use]
    pub fn info(&self) -> Option<Info> {
        let _pass = self.gate.enter()?;
        // SAFETY: (Aliasing) behind the gate the cell is only read.
        let connection = unsafe { &*self.connection.get() };
        connection.as_ref().map(|connection| connection.info)
    }

    /// Moves the state out.
    fn take_state(&self) -> S {
        // SAFETY: (Aliasing) called by the thread that moved the gate, with no ISR
        // connected and nobody behind the gate. (Ready) `connect` wrote it, and each
        // `connect` is followed by one call of this, fact 7.
        unsafe { self.state.get().cast::<S>().read() }
    }

    /// How the device disconnects this interrupt before its extension goes away.
    fn registered(&self) -> Registered<'_> {
        Registered::new(self, |interrupt, irql| drop(interrupt.disconnect(irql)))
    }

    fn connect_any(&self, header: &Header, resource: &InterruptResource<'_>) -> Result<Connection> {
        let context = core::ptr::from_ref(self).cast_mut().cast();
        let attempts = connect::Attempts {
            physical: header.physical(),
            line: isr_line::<S>,
            message: isr_message::<S>,
            context,
            lock: self.lock.get(),
        };
        attempts.connect(resource)
    }
}

/// The kernel calls this for a line interrupt.
unsafe extern "C" fn isr_line<S: ServiceRoutine>(
    _interrupt: *mut sys::KINTERRUPT,
    context: sys::PVOID,
) -> sys::BOOLEAN {
    // SAFETY: (Caller) the kernel, and only `connect` hands this out. (Pointer)
    // `context` is the `Interrupt<S>` that `connect` gave, alive by facts 2 and 3.
    let interrupt = unsafe { &*context.cast::<Interrupt<S>>() };
    interrupt.serve()
}

/// The kernel calls this for a message. All messages share one lock and one state,
/// and the device is asked what happened, so the message's number is of no use.
unsafe extern "C" fn isr_message<S: ServiceRoutine>(
    _interrupt: *mut sys::KINTERRUPT,
    context: sys::PVOID,
    _message: u32,
) -> sys::BOOLEAN {
    // SAFETY: as in `isr_line`.
    let interrupt = unsafe { &*context.cast::<Interrupt<S>>() };
    interrupt.serve()
}

impl<S: ServiceRoutine> Interrupt<S> {
    /// The body of the ISR thunks; private, so nobody else can run it.
    fn serve(&self) -> sys::BOOLEAN {
        // SAFETY: (IRQL) the kernel calls ISRs at the SynchronizeIrql of a connection
        // that `connect` has seen to be above DISPATCH_LEVEL.
        let mut irql = unsafe { Dirql::assume() };
        // SAFETY: (Aliasing) the kernel holds the interrupt lock around the ISR, fact 6.
        // (Ready) `connect` wrote the state before it registered the ISR, fact 7.
        let state = unsafe { &mut *self.state.get().cast::<S>() };
        match state.service(&mut irql) {
            Claim::NotOurs => 0,
            Claim::Ours => 1,
            Claim::OursRequestDpc => {
                self.request_dpc();
                1
            }
        }
    }

    /// Is `IoRequestDpc`. A DPC that is queued already is not queued again, and that
    /// is no loss: the ISR has counted its result in `S`, and the DPC drains them all.
    fn request_dpc(&self) {
        // SAFETY: (Ready) written before the ISR was registered, and not since.
        let object = unsafe { *self.device.get() };
        // SAFETY: (Pointer) the device object outlives its interrupts, fact 3.
        let dpc = unsafe { &raw mut (*object).Dpc };
        // SAFETY: (Caller) callable at any IRQL; AddDevice initialised the DPC, for `connect` has
        // seen that the driver has a routine for it.
        let _already_queued =
            unsafe { sys::KeInsertQueueDpc(dpc, core::ptr::null_mut(), core::ptr::null_mut()) };
    }
}
