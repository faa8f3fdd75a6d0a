//! The ISR: what a driver implements, and what the kernel calls.

use core::ptr::{null, null_mut};

use super::{Interrupt, suspend::can_be_suspended};
use crate::{
    device::Header,
    dpc::{self, DpcObject},
    irql::Dirql,
    status::{NtError, Result},
    stop_code::{Reason, stop},
    sync::atomic::Ordering,
    sys,
};

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
    /// The source was quieted and these DPCs are to run; as above.
    OursQueue(DpcSet),
}

/// DPCs that an ISR asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DpcSet(u8);

impl DpcSet {
    /// DpcForIsr.
    pub const FOR_ISR: Self = Self(1);

    /// The DPC at this place in the list that the interrupt was connected with.
    ///
    /// # IRQL
    /// Any.
    ///
    /// # Panics
    /// At compile time, or when a test runs: places end at [`MOST_DPCS`].
    #[must_use]
    pub const fn custom<const PLACE: usize>() -> Self {
        const {
            assert!(
                PLACE < MOST_DPCS,
                "an interrupt has at most four DPCs of the driver's"
            );
        }
        Self(2 << PLACE)
    }

    /// These and those.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// DpcForIsr, and those at the places below `count`.
    const fn below(count: usize) -> Self {
        Self(match count {
            0 => 0b1,
            1 => 0b11,
            2 => 0b111,
            3 => 0b1111,
            _ => 0b1_1111,
        })
    }
}

/// How many DPCs of its own a driver can have its ISR queue.
pub const MOST_DPCS: usize = 4;

/// State that an ISR shares.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the state of an interrupt",
    label = "it has no service routine, or may not be used on another processor",
    note = "implement `ServiceRoutine` for it: the ISR is a method of the state that it shares"
)]
pub trait ServiceRoutine: Send + 'static {
    /// How many DPCs of its own the interrupt is connected with at most: those are at the
    /// places below this. The ISR looks at as many for each interrupt.
    const DPCS: usize = MOST_DPCS;

    /// The ISR: tell whose interrupt it is, quiet the source, save what would be
    /// lost, and leave. May not allocate, wait or touch an IRP.
    ///
    /// # IRQL
    /// The interrupt's SynchronizeIrql, with the interrupt spin lock held. See "Writing an
    /// ISR".
    fn service(&mut self, irql: &mut Dirql) -> Claim;

    /// The ISR for message `message` of the device, counted from zero; all messages share
    /// this state and one lock. The system may merge messages, so the device must be asked
    /// what happened anyway; hence a routine that does not care need not implement this.
    ///
    /// # IRQL
    /// As [`service`](Self::service). See "InterruptMessageService".
    #[inline]
    fn service_message(&mut self, irql: &mut Dirql, _message: u32) -> Claim {
        self.service(irql)
    }
}

/// What an ISR may request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Requests {
    /// Whose DpcForIsr.
    device: *mut sys::DEVICE_OBJECT,
    /// By place; NULL where the driver gave none.
    custom: [*const DpcObject; MOST_DPCS],
}

impl Requests {
    /// None yet: not connected.
    pub(super) const NONE: Self = Self {
        device: null_mut(),
        custom: [null(); MOST_DPCS],
    };

    /// Those of a device, which has a DpcForIsr routine.
    ///
    /// # Errors
    /// STATUS_INVALID_PARAMETER for more than [`MOST_DPCS`], or one of another device.
    pub(super) fn of(device: &Header, dpcs: &[dpc::Ready<'_>]) -> Result<Self> {
        if dpcs.len() > MOST_DPCS || dpcs.iter().any(|dpc| !dpc.belongs_to(device)) {
            return Err(NtError::STATUS_INVALID_PARAMETER);
        }
        let mut custom = [null(); MOST_DPCS];
        for (place, dpc) in custom.iter_mut().zip(dpcs) {
            *place = dpc.object();
        }
        Ok(Self {
            device: device.object(),
            custom,
        })
    }

    /// Does what the ISR asked for, as its last act, and says what it returns.
    #[inline]
    pub(super) fn settle<S: ServiceRoutine>(&self, claim: Claim) -> sys::BOOLEAN {
        match claim {
            Claim::NotOurs => return 0,
            Claim::Ours => {}
            Claim::OursRequestDpc => self.dpc_for_isr(),
            Claim::OursQueue(set) => self.queue::<S>(set),
        }
        1
    }

    /// Is `IoRequestDpc`. A DPC that is queued already is not queued again, and that
    /// is no loss: the ISR has counted its result in `S`, and the DPC drains them all.
    #[inline]
    fn dpc_for_isr(&self) {
        // SAFETY: (Pointer) the device object outlives its interrupts, fact 3.
        let dpc = unsafe { &raw mut (*self.device).Dpc };
        // SAFETY: (Caller) callable at any IRQL; AddDevice initialised the DPC, for
        // `connect` has seen that the driver has a routine for it, facts 5 and 10.
        let _already_queued = unsafe { sys::KeInsertQueueDpc(dpc, null_mut(), null_mut()) };
    }

    fn queue<S: ServiceRoutine>(&self, set: DpcSet) {
        let known = const { DpcSet::below(S::DPCS) };
        if set.0 & !known.0 != 0 {
            stop(Reason::NoSuchDpc, set.0.into());
        }
        if set.has(DpcSet::FOR_ISR) {
            self.dpc_for_isr();
        }
        for (place, object) in self.custom.iter().enumerate().take(S::DPCS) {
            if !set.has(DpcSet(2 << place)) {
                continue;
            }
            if object.is_null() {
                stop(Reason::NoSuchDpc, place);
            }
            // SAFETY: (Pointer) it lies in the extension of the interrupt's own device, which
            // outlives the interrupt, fact 3.
            let dpc = unsafe { dpc::Ready::from_object(*object) };
            // Queued already is no loss, as above; one that the driver has stopped is not
            // wanted any more.
            let _queued = dpc.queue();
        }
    }
}

/// The kernel calls this for a line interrupt.
pub(super) unsafe extern "C" fn isr_line<S: ServiceRoutine, K: 'static>(
    _interrupt: *mut sys::KINTERRUPT,
    context: sys::PVOID,
) -> sys::BOOLEAN {
    // SAFETY: (Caller) the kernel, and only `connect` hands this out. (Pointer)
    // `context` is the `Interrupt<S, K>` that `connect` gave, alive by facts 2 and 3.
    let interrupt = unsafe { &*context.cast::<Interrupt<S, K>>() };
    interrupt.serve(S::service)
}

/// The kernel calls this for a message.
pub(super) unsafe extern "C" fn isr_message<S: ServiceRoutine, K: 'static>(
    _interrupt: *mut sys::KINTERRUPT,
    context: sys::PVOID,
    message: u32,
) -> sys::BOOLEAN {
    // SAFETY: as in `isr_line`, facts 2 and 3.
    let interrupt = unsafe { &*context.cast::<Interrupt<S, K>>() };
    interrupt.serve(|state, irql| state.service_message(irql, message))
}

impl<S: ServiceRoutine, K: 'static> Interrupt<S, K> {
    /// The body of the ISR thunks; private, so nobody else can run it.
    #[inline]
    fn serve(&self, service: impl FnOnce(&mut S, &mut Dirql) -> Claim) -> sys::BOOLEAN {
        // SAFETY: (IRQL) the kernel calls ISRs at the SynchronizeIrql of a connection that
        // `connect` has seen to be above DISPATCH_LEVEL, facts 5 and 10.
        let mut irql = unsafe { Dirql::assume() };
        if can_be_suspended::<K>() && self.asleep.load(Ordering::Relaxed) {
            // On a shared line another device's; otherwise one that was on its way when the
            // device was silenced.
            return 0;
        }
        // SAFETY: (Aliasing) the kernel holds the interrupt lock around the ISR, fact 6.
        // (Ready) `connect` wrote the state before it registered the ISR, fact 7.
        let state = unsafe { &mut *self.state.get().cast::<S>() };
        let claim = service(state, &mut irql);
        // SAFETY: (Aliasing) written before the ISR was registered, and not while it is,
        // fact 8.
        let requests = unsafe { &*self.requests.get() };
        requests.settle::<S>(claim)
    }
}
