//! Plug and Play: the state of a device and the requests that change it.
//!
//! ```text
//!              START              QUERY_STOP            STOP
//!   Added ---------------> Started ----------> StopPending ------> Stopped
//!     |                    ^  |  ^                  |                 |
//!     |                    |  |  '--- CANCEL_STOP --'                 |
//!     |                    |  '-- QUERY_REMOVE --> RemovePending      |
//!     |                    '-------- START -------- (CANCEL_REMOVE) --'
//!     |
//!     '-- any: SURPRISE_REMOVAL --> Gone;  any: REMOVE --> deleted
//! ```
//!
//! Requests that change the state come at PASSIVE_LEVEL in a system thread, one at a
//! time. See "Plug and Play Minor IRPs" and the pages that it leads to.

use crate::{
    device::{Device, Header},
    driver::{Driver, Stop},
    irp::Irp,
    irql::Passive,
    power,
    resources::Resources,
    status::{NtError, Result, status_of},
    sync::atomic::{AtomicU8, Ordering},
    sys, thunks,
};

/// Where a device stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum State {
    Added,
    Started,
    StopPending,
    Stopped,
    RemovePending,
    Gone,
}

/// The state of a device, and the one before `RemovePending`.
#[derive(Debug)]
pub(crate) struct PnpState {
    /// Written by PnP requests, one at a time; read by every dispatch routine.
    now: AtomicU8,
    before: AtomicU8,
}

impl PnpState {
    pub(crate) const fn new() -> Self {
        Self {
            now: AtomicU8::new(State::Added as u8),
            before: AtomicU8::new(State::Added as u8),
        }
    }

    fn is(&self, state: State) -> bool {
        self.now.load(Ordering::Acquire) == state as u8
    }

    fn set(&self, state: State) {
        self.now.store(state as u8, Ordering::Release);
    }

    fn remember(&self) {
        let now = self.now.load(Ordering::Relaxed);
        self.before.store(now, Ordering::Relaxed);
    }

    fn recall(&self) {
        let before = self.before.load(Ordering::Relaxed);
        self.now.store(before, Ordering::Release);
    }

    /// Whether the driver has the device's hardware in its hands.
    pub(crate) fn has_hardware(&self) -> bool {
        self.is(State::Started) || self.is(State::StopPending) || self.is(State::RemovePending)
    }

    /// Whether packets go to a device that is in D0.
    pub(crate) fn runs_packets(&self) -> bool {
        self.is(State::Started) || self.is(State::RemovePending)
    }

    /// Whether a handle may be opened now.
    pub(crate) fn admit_create(&self) -> Result<()> {
        if self.is(State::RemovePending) {
            return Err(NtError::STATUS_DELETE_PENDING);
        }
        self.admit_request()
    }

    /// Whether a request may be handled now. While stopped it may: packets are held, and
    /// what needs the hardware at once finds the interrupt disconnected.
    pub(crate) fn admit_request(&self) -> Result<()> {
        if self.is(State::Gone) {
            return Err(NtError::STATUS_DELETE_PENDING);
        }
        if self.is(State::Added) {
            return Err(NtError::STATUS_DEVICE_NOT_READY);
        }
        Ok(())
    }
}

/// IRP_MJ_PNP.
pub(crate) unsafe extern "C" fn dispatch<E: Driver>(
    object: *mut sys::DEVICE_OBJECT,
    irp: *mut sys::IRP,
) -> sys::NTSTATUS {
    // SAFETY: (Caller) the PnP manager; only `initialize::<E>` hands this out. The I/O
    // manager keeps the device object across the call, until REMOVE deletes it, facts 1, 3
    // and 10.
    let device = unsafe { Device::<E>::of(object) };
    if let Err(error) = device.header().remove_lock().acquire(irp) {
        // SAFETY: (Caller) the dispatch routine owns the IRP; no remove lock is held, fact
        // 4.
        return unsafe { thunks::refuse(irp, error) };
    }
    // SAFETY: (Pointer) the dispatch routine owns the IRP, fact 4.
    let location = unsafe { sys::current_location(irp) };
    // SAFETY: (Pointer) a location of that IRP, fact 4.
    let minor = u32::from(unsafe { (*location).MinorFunction });
    // SAFETY: (Caller) the dispatch routine owns the IRP, and the lock was acquired above,
    // fact 4.
    let irp = unsafe { Irp::from_raw(irp) };
    if !changes_state(minor) {
        return forward(device.header(), irp);
    }
    // SAFETY: (IRQL) the PnP manager sends the requests that change the state at
    // PASSIVE_LEVEL, facts 4, 5 and 10.
    let mut irql = unsafe { Passive::assume() };
    change_state(device, &mut irql, minor, irp)
}

const fn changes_state(minor: u32) -> bool {
    matches!(
        minor,
        sys::IRP_MN_START_DEVICE
            | sys::IRP_MN_QUERY_STOP_DEVICE
            | sys::IRP_MN_STOP_DEVICE
            | sys::IRP_MN_CANCEL_STOP_DEVICE
            | sys::IRP_MN_QUERY_REMOVE_DEVICE
            | sys::IRP_MN_CANCEL_REMOVE_DEVICE
            | sys::IRP_MN_SURPRISE_REMOVAL
            | sys::IRP_MN_REMOVE_DEVICE
    )
}

fn change_state<E: Driver>(
    device: &Device<E>,
    irql: &mut Passive,
    minor: u32,
    irp: Irp,
) -> sys::NTSTATUS {
    let header = device.header();
    let state = header.state();
    match minor {
        sys::IRP_MN_START_DEVICE => return start(device, irql, irp),
        sys::IRP_MN_CANCEL_STOP_DEVICE => return cancel_stop(device, irql, irp),
        sys::IRP_MN_CANCEL_REMOVE_DEVICE => return cancel_remove(header, irql, irp),
        sys::IRP_MN_REMOVE_DEVICE => return remove(device, irql, irp),
        sys::IRP_MN_QUERY_STOP_DEVICE => {
            // A power-up that is under way would let the packets go again.
            header.power().exclusive(irql, |irql| {
                if state.is(State::Started) {
                    state.set(State::StopPending);
                    header.packets().pause(irql);
                }
            });
        }
        sys::IRP_MN_STOP_DEVICE => stop(device, irql, State::Stopped, Stop::Rebalance),
        sys::IRP_MN_QUERY_REMOVE_DEVICE => {
            if !state.is(State::RemovePending) {
                state.remember();
                state.set(State::RemovePending);
            }
        }
        _ => stop(device, irql, State::Gone, Stop::SurpriseRemoval),
    }
    succeed_and_forward(header, irp)
}

/// START_DEVICE: the drivers below first.
fn start<E: Driver>(device: &Device<E>, irql: &mut Passive, irp: Irp) -> sys::NTSTATUS {
    let header = device.header();
    let (irp, below) = forward_and_wait(header, irql, irp);
    if let Err(error) = below {
        return complete(irql, irp, Err(error));
    }
    // Other resources for a device that runs: the old ones go first.
    if header.state().is(State::Started) {
        stop(device, irql, State::Stopped, Stop::Rebalance);
    }
    let result = header.power().exclusive(irql, |irql| {
        start_with(device, irql, &irp)?;
        header.irp_holders().open(irql);
        header.state().set(State::Started);
        if E::ROUTINES.power.is_some() {
            power::started(header, irql);
        }
        if let Some(resume) = E::ROUTINES.resume {
            resume(device, irql);
        }
        Ok(())
    });
    if result.is_err() {
        header.power().exclusive(irql, |irql| {
            take_out_of_service(device, irql, Stop::Remove);
        });
    }
    complete(irql, irp, result)
}

fn start_with<E: Driver>(device: &Device<E>, irql: &mut Passive, irp: &Irp) -> Result<()> {
    let list = irp.translated_resources();
    // SAFETY: (Pointer) the list is the PnP manager's and stays until the IRP is completed,
    // facts 4 and 10.
    let resources = unsafe { Resources::new(list) };
    E::start_device(device, irql, &resources)?;
    device.header().show_interface(irql, true)
}

/// Takes the device out of service, asleep or not: packets are held or fail, the driver
/// lets go of the hardware.
fn stop<E: Driver>(device: &Device<E>, irql: &mut Passive, state: State, why: Stop) {
    let header = device.header();
    header.power().exclusive(irql, |irql| {
        header.state().set(state);
        take_out_of_service(device, irql, why);
    });
}

fn take_out_of_service<E: Driver>(device: &Device<E>, irql: &mut Passive, why: Stop) {
    let header = device.header();
    match why {
        Stop::Rebalance => header.packets().pause(irql),
        Stop::Remove | Stop::SurpriseRemoval => {
            header.packets().fail(irql, NtError::STATUS_DELETE_PENDING);
            header
                .irp_holders()
                .close(irql, NtError::STATUS_DELETE_PENDING);
        }
    }
    if let Some(packet) = E::stop_device(device, irql, why) {
        device.hold_packet(irql, packet);
    }
    header.power().stopped();
    if why != Stop::Rebalance {
        // A failure leaves the interface as it is: nothing more can be done about it
        // on the way out, and these requests may not fail.
        let _shown_still = header.show_interface(irql, false);
    }
}

fn cancel_stop<E: Driver>(device: &Device<E>, irql: &mut Passive, irp: Irp) -> sys::NTSTATUS {
    let header = device.header();
    let irp = forward_and_ignore(header, irql, irp);
    header.power().exclusive(irql, |irql| {
        if !header.state().is(State::StopPending) {
            return;
        }
        header.state().set(State::Started);
        // The packets of a device that sleeps go on when it is awake.
        if let Some(resume) = E::ROUTINES.resume
            && !header.power().is_asleep()
        {
            resume(device, irql);
        }
    });
    complete(irql, irp, Ok(()))
}

fn cancel_remove(header: &Header, irql: &mut Passive, irp: Irp) -> sys::NTSTATUS {
    let irp = forward_and_ignore(header, irql, irp);
    if header.state().is(State::RemovePending) {
        header.state().recall();
    }
    complete(irql, irp, Ok(()))
}

/// REMOVE_DEVICE: out of service, out of the stack, out of memory.
fn remove<E: Driver>(device: &Device<E>, irql: &mut Passive, irp: Irp) -> sys::NTSTATUS {
    let header = device.header();
    if !header.state().is(State::Gone) {
        stop(device, irql, State::Gone, Stop::Remove);
    }
    let object = header.object();
    let irp = irp.into_raw();
    // SAFETY: (Caller) the IRP is ours, not pended, and has no completion routine, fact 4.
    let status = unsafe { call_below(header, irp, Some(0)) };
    header.remove_lock().release_and_wait(irql, irp);
    // SAFETY: (Caller) the remove lock has been waited for: no IRP is at the device and
    // none will be. `device` and `header` are not used again, facts 1 and 3.
    unsafe { delete::<E>(irql, object) };
    status
}

/// Makes the kernel let go of the extension, drops it, deletes the device object.
///
/// # Safety
/// The extension was written, no IRP is at the device, and no reference to the
/// extension is used afterwards.
pub(crate) unsafe fn delete<E: Driver>(irql: &mut Passive, object: *mut sys::DEVICE_OBJECT) {
    // SAFETY: (Pointer) the contract, facts 1 and 3.
    let device = unsafe { Device::<E>::of(object) };
    // SAFETY: (Pointer) the extension is alive until it is dropped below, facts 1 and 3.
    unsafe { device.header().objects().quiesce_all(irql) };
    if E::ROUTINES.has_io_timer() {
        device.header().io_timer().close(irql, object);
    }
    // SAFETY: (IRQL) the token says PASSIVE_LEVEL. Nothing queues a DPC of this device any
    // more: its interrupts and timers are gone, facts 1, 3, 5 and 10.
    unsafe { sys::KeFlushQueuedDpcs() };
    if E::ROUTINES.power.is_some() {
        // SAFETY: (Caller) the contract: no IRP is at the device, fact 35.
        unsafe { device.header().power().free(irql) };
    }
    let lower = device.header().lower();
    if !lower.is_null() {
        // SAFETY: (IRQL) as above. (Caller) the device is attached to `lower`, once, facts
        // 1, 5 and 10.
        unsafe { sys::IoDetachDevice(lower) };
    }
    // SAFETY: (Pointer) as above; the field is the extension's address, fact 1.
    let place = unsafe { (*object).DeviceExtension }.cast::<Device<E>>();
    // SAFETY: (Aliasing) no IRP, ISR, DPC or timer routine is left that could hold a
    // reference, fact 3, and the contract rules out others.
    unsafe { place.drop_in_place() };
    // SAFETY: (IRQL) as above. (Caller) detached, and nobody refers to it, facts 1, 3, 5
    // and 10.
    unsafe { sys::IoDeleteDevice(object) };
}

/// Passes an IRP down as it came, and gives back its remove lock.
pub(crate) fn forward(header: &Header, irp: Irp) -> sys::NTSTATUS {
    let irp = irp.into_raw();
    // SAFETY: (Caller) the IRP was owned, not pended, and has no completion routine, fact
    // 4.
    let status = unsafe { call_below(header, irp, None) };
    header.remove_lock().release(irp);
    status
}

/// Passes a handled IRP down with STATUS_SUCCESS.
pub(crate) fn succeed_and_forward(header: &Header, irp: Irp) -> sys::NTSTATUS {
    let irp = irp.into_raw();
    // SAFETY: as in `forward`, fact 4.
    let status = unsafe { call_below(header, irp, Some(0)) };
    header.remove_lock().release(irp);
    status
}

/// # Safety
/// The caller owns the IRP, has not pended it, and gives it up.
unsafe fn call_below(
    header: &Header,
    irp: *mut sys::IRP,
    status: Option<sys::NTSTATUS>,
) -> sys::NTSTATUS {
    if let Some(status) = status {
        // SAFETY: (Aliasing) the caller owns the IRP, fact 4.
        unsafe { sys::set_status(irp, status) };
    }
    // SAFETY: (Caller) the contract: owned, not pended, forwarded next, fact 4.
    unsafe { sys::skip_current_location(irp) };
    // SAFETY: (IRQL) dispatch routines are at DISPATCH_LEVEL or below. (Pointer) the lower
    // device stays while this one is attached, facts 1, 3, 5 and 10.
    unsafe { sys::IofCallDriver(header.lower(), irp) }
}

/// Completes a request that the drivers below have had already.
fn complete(irql: &mut Passive, irp: Irp, result: Result<()>) -> sys::NTSTATUS {
    let status = status_of(&result);
    let _status = irp.complete(irql, result.map(|()| 0));
    status
}

/// As `forward_and_wait`, for the CANCEL requests, which nobody may fail.
fn forward_and_ignore(header: &Header, irql: &mut Passive, irp: Irp) -> Irp {
    let (irp, _whatever_happened_below) = forward_and_wait(header, irql, irp);
    irp
}

/// Passes an IRP down and waits until the drivers below are done with it. Wraps
/// `IoForwardIrpSynchronously`.
fn forward_and_wait(header: &Header, _irql: &mut Passive, irp: Irp) -> (Irp, Result<()>) {
    let irp = irp.into_raw();
    // SAFETY: (IRQL) the token says PASSIVE_LEVEL. (Caller) the IRP is ours, and is again
    // when the call returns, facts 4, 5 and 10.
    let forwarded = unsafe { sys::IoForwardIrpSynchronously(header.lower(), irp) };
    let result = if forwarded == 0 {
        Err(NtError::STATUS_INSUFFICIENT_RESOURCES)
    } else {
        // SAFETY: (Aliasing) as above, facts 4, 5 and 10.
        NtError::check(unsafe { sys::status(irp) }).map(|_| ())
    };
    // SAFETY: (Caller) the IRP came from an `Irp` a few lines above, fact 4.
    (unsafe { Irp::from_raw(irp) }, result)
}
