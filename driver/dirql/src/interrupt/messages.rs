//! Messages that each have a lock and a state of their own. Wraps `IoConnectInterruptEx`
//! with no spin lock, `KeSynchronizeExecution`.
//!
//! # Model
//!
//! A device with several messages can have its interrupts served at the same time: each
//! message has its own interrupt object, its own lock, and here its own `S`. A critical section
//! names the message, and gets that message's `S` under that message's lock. The wrong lock
//! for some data cannot be taken, because nobody chooses a lock.
//!
//! What several messages share belongs into one [`Interrupt`](super::Interrupt), whose
//! messages all have one lock.
//!
//! If the system does not grant as many messages as are wanted it grants one; connecting then
//! fails and hands the states back, and the driver connects an `Interrupt`. See "Using
//! Message-Signaled Interrupts" and "Synchronizing Access to Device Data".
//!
//! # Contexts
//!
//! As [`Interrupt`](super::Interrupt).
//!
//! # Soundness
//!
//! Facts 1 to 8 of the crate and of [`super`], with, in place of 6:
//!
//! 9. **One lock for each.** A message's `S` is reached by that message's ISR and by
//!    KeSynchronizeExecution on that message's interrupt object alone. With a NULL lock at
//!    connect the kernel holds the lock of just that object around both. (If it used one lock
//!    for the whole set, as one page of the documentation has it, that would exclude more.)
//!
//! # Not here
//!
//! Suspending: a device that sleeps and has several messages disconnects them.

use core::{cell::UnsafeCell, marker::PhantomPinned, mem::MaybeUninit, pin::Pin, ptr::null_mut};

use super::{
    Info, ServiceRoutine,
    access::Access,
    connect::{Attempts, Connection, Routines},
    service::Requests,
    stage::Stage,
    synchronize,
};
use crate::{
    device::Device,
    driver::Driver,
    irql::{AtMostDispatch, DISPATCH_LEVEL, Dirql, Passive},
    object_table::Registered,
    resources::InterruptResource,
    status::NtError,
    sys,
};

/// What `connect` gives back when it fails.
#[derive(Debug)]
pub struct Refused<S, const N: usize> {
    /// Why.
    pub error: NtError,
    /// The states, for another try.
    pub states: [S; N],
}

/// `N` messages of a device, each with a state of its own. A field of the device extension.
#[derive(Debug)]
pub struct MessageInterrupts<S, const N: usize> {
    accesses: [Access; N],
    stage: Stage,
    /// Fact 8.
    connection: UnsafeCell<Option<Connection>>,
    /// What the ISRs may queue. Written under fact 8 before an ISR can run.
    requests: UnsafeCell<Requests>,
    /// Initialised while connected, fact 7; each under its own lock, fact 9.
    states: [UnsafeCell<MaybeUninit<S>>; N],
    /// The kernel has its address while connected.
    _pinned: PhantomPinned,
}

// SAFETY: (Aliasing) as `Interrupt`, with fact 9 for fact 6.
unsafe impl<S: Send, const N: usize> Sync for MessageInterrupts<S, N> {}
// SAFETY: nothing here is tied to a thread, fact 9.
unsafe impl<S: Send, const N: usize> Send for MessageInterrupts<S, N> {}

impl<S: ServiceRoutine, const N: usize> Default for MessageInterrupts<S, N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: ServiceRoutine, const N: usize> MessageInterrupts<S, N> {
    /// Messages that are not connected.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(N > 0, "a device without messages has a line") };
        Self {
            accesses: [const { Access::new() }; N],
            stage: Stage::new(),
            connection: UnsafeCell::new(None),
            requests: UnsafeCell::new(Requests::NONE),
            states: [const { UnsafeCell::new(MaybeUninit::uninit()) }; N],
            _pinned: PhantomPinned,
        }
    }

    /// Connects the messages; `states` are their ISRs' from now on. Last, for one message
    /// after the other and under its lock, `arm` lets the device interrupt. Wraps
    /// `IoConnectInterruptEx`.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    ///
    /// # Errors
    /// STATUS_INSUFFICIENT_RESOURCES if the system granted fewer than `N` messages,
    /// STATUS_NOT_SUPPORTED if it granted none, or passive-level ones; the status of the
    /// connect call; STATUS_DEVICE_BUSY if connected already; STATUS_INVALID_PARAMETER if
    /// `self` is no part of the device's extension. The states come back with it.
    pub fn connect<E: Driver>(
        self: Pin<&Self>,
        device: &Device<E>,
        irql: &mut Passive,
        resource: &InterruptResource<'_>,
        states: [S; N],
        mut arm: impl FnMut(usize, &mut Dirql, &mut S),
    ) -> Result<Info, Refused<S, N>> {
        const {
            assert!(
                E::ROUTINES.has_dpc_for_isr(),
                "`Driver::ROUTINES` lacks `.dpc_for_isr()`, which the ISR may request"
            );
        }
        let refuse = |error, states| Err(Refused { error, states });
        if resource.level <= DISPATCH_LEVEL {
            return refuse(NtError::STATUS_NOT_SUPPORTED, states);
        }
        let requests = Requests::of(device.header(), &[]);
        let registered = device.register(irql, self.get_ref().registered());
        let requests = match registered.and(requests) {
            Ok(requests) => requests,
            Err(error) => return refuse(error, states),
        };
        if !self.stage.begin(Stage::DISCONNECTED) {
            return refuse(NtError::STATUS_DEVICE_BUSY, states);
        }
        // SAFETY: (Aliasing) the stage is this thread's, fact 8, and no ISR is connected yet.
        unsafe { *self.requests.get() = requests };
        for (cell, state) in self.states.iter().zip(states) {
            // SAFETY: (Aliasing) as above, fact 8.
            unsafe { (*cell.get()).write(state) };
        }
        match self.connect_messages(device.header().physical(), resource) {
            Ok(connection) => {
                let info = connection.info;
                self.let_in(&connection, &mut arm);
                // SAFETY: (Aliasing) as above; the ISRs do not read this cell, fact 8.
                unsafe { *self.connection.get() = Some(connection) };
                self.stage.end(Stage::CONNECTED);
                Ok(info)
            }
            Err(error) => {
                let states = self.take_states();
                self.stage.end(Stage::DISCONNECTED);
                refuse(error, states)
            }
        }
    }

    /// Connects with a lock for each message, and disconnects again unless there are enough.
    fn connect_messages(
        &self,
        physical: *mut sys::DEVICE_OBJECT,
        resource: &InterruptResource<'_>,
    ) -> Result<Connection, NtError> {
        let attempts = Attempts {
            physical,
            routines: Routines {
                line: isr_not_wanted,
                message: isr_own_message::<S, N>,
            },
            context: core::ptr::from_ref(self).cast_mut().cast(),
            lock: null_mut(),
        };
        let connection = attempts.message_based(resource)?;
        let granted = connection.info.messages;
        let objects = (0..N).filter(|message| connection.message_object(*message).is_some());
        if objects.count() == N {
            return Ok(connection);
        }
        connection.disconnect();
        Err(if granted == 0 {
            NtError::STATUS_NOT_SUPPORTED
        } else {
            NtError::STATUS_INSUFFICIENT_RESOURCES
        })
    }

    fn let_in(&self, connection: &Connection, arm: &mut impl FnMut(usize, &mut Dirql, &mut S)) {
        let messages = self.accesses.iter().zip(&self.states).enumerate();
        for (message, (access, state)) in messages {
            let Some(object) = connection.message_object(message) else {
                continue;
            };
            let arm = |irql: &mut Dirql, state: &mut S| {
                arm(message, irql, state);
                // Under the lock, as in `Interrupt::connect`: this message's DPC gets in.
                access.open(object);
            };
            // SAFETY: (IRQL) `connect`, which alone gets here, has a `Passive` token. (Pointer)
            // connected, and the stage keeps everybody else from disconnecting it. (Aliasing)
            // fact 9. (Ready) `connect` has written the state.
            unsafe { synchronize::run(object, state.get().cast(), arm) };
        }
    }

    /// Runs `routine` as a SynchCritSection routine of message `message`, with that message's
    /// state; `None`, and nothing is run, if it is not connected or there is no such message.
    /// Other messages' ISRs and critical sections may run meanwhile. Wraps
    /// `KeSynchronizeExecution`.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL, as [`Interrupt::synchronize`](super::Interrupt::synchronize).
    #[inline]
    pub fn synchronize<I: AtMostDispatch, R>(
        &self,
        message: usize,
        _irql: &mut I,
        routine: impl FnOnce(&mut Dirql, &mut S) -> R,
    ) -> Option<R> {
        let access = self.accesses.get(message)?;
        let state = self.states.get(message)?.get().cast::<S>();
        // SAFETY: (IRQL) the token says at most DISPATCH_LEVEL, and which. (Aliasing) (Ready)
        // facts 9 and 7: access and state are those of one message.
        unsafe { synchronize::enter_and_run::<I, _, _, _>(access, state, routine) }
    }

    /// Disconnects the messages and hands back their states; `None` if they were not
    /// connected. Silence the device first. Returns after the last ISR and the last critical
    /// section have. Wraps `IoDisconnectInterruptEx`.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    pub fn disconnect(&self, irql: &mut Passive) -> Option<[S; N]> {
        if !self.stage.begin(Stage::CONNECTED) {
            return None;
        }
        Access::close_all(&self.accesses, irql);
        // SAFETY: (Aliasing) the stage is this thread's, fact 8.
        let connection = unsafe { (*self.connection.get()).take() };
        if let Some(connection) = connection {
            connection.disconnect();
        }
        let states = self.take_states();
        self.stage.end(Stage::DISCONNECTED);
        Some(states)
    }

    /// Moves the states out.
    fn take_states(&self) -> [S; N] {
        self.states.each_ref().map(|cell| {
            // SAFETY: (Aliasing) called by the thread that has the stage, with no ISR connected
            // and nobody inside. (Ready) `connect` wrote it, and each `connect` is followed by
            // one call of this, fact 7.
            unsafe { cell.get().cast::<S>().read() }
        })
    }

    /// How the device disconnects them before its extension goes away.
    fn registered(&self) -> Registered<'_> {
        Registered::new(self, |interrupts, irql| drop(interrupts.disconnect(irql)))
    }
}

/// The kernel calls this for a message.
unsafe extern "C" fn isr_own_message<S: ServiceRoutine, const N: usize>(
    _interrupt: *mut sys::KINTERRUPT,
    context: sys::PVOID,
    message: u32,
) -> sys::BOOLEAN {
    // SAFETY: (Caller) the kernel, and only `connect_messages` hands this out. (Pointer)
    // `context` is the object that it gave, alive by facts 2 and 3.
    let interrupts = unsafe { &*context.cast::<MessageInterrupts<S, N>>() };
    let cell = usize::try_from(message)
        .ok()
        .and_then(|message| interrupts.states.get(message));
    // A message beyond those that have a state: the device was never armed for it.
    let Some(cell) = cell else { return 0 };
    // SAFETY: (IRQL) the kernel calls ISRs at the SynchronizeIrql of a connection that
    // `connect` has seen to be above DISPATCH_LEVEL, facts 5 and 10.
    let mut irql = unsafe { Dirql::assume() };
    // SAFETY: (Aliasing) the kernel holds this message's lock around its ISR, fact 9. (Ready)
    // `connect` wrote the state before it registered the ISR, fact 7.
    let state = unsafe { &mut *cell.get().cast::<S>() };
    let claim = state.service_message(&mut irql, message);
    // SAFETY: (Aliasing) written before the ISR was registered, and not while it is, fact
    // 8.
    let requests = unsafe { &*interrupts.requests.get() };
    requests.settle::<S>(claim)
}

/// The fallback for a device that was given a line: `connect_messages` refuses it and
/// disconnects, and until then no interrupt is this driver's.
unsafe extern "C" fn isr_not_wanted(
    _interrupt: *mut sys::KINTERRUPT,
    _context: sys::PVOID,
) -> sys::BOOLEAN {
    0
}
