//! The channel: map registers, and the AdapterControl routine that is called with them.

use core::ptr::NonNull;

use super::{
    adapter::{DmaAdapter, Granted},
    request::{DmaRequest, Part, Refused, device_object, sealed::HandsOver},
    transfer::MapRegisters,
};
use crate::{
    device::{Device, Header},
    direct_io::sealed::RawIrp,
    driver::Driver,
    irql::Dispatch,
    status::{NtError, Result},
    stop_code::{Reason, stop},
    sys,
};

/// An AdapterControl routine.
pub trait AdapterControl: 'static {
    /// Extension of the devices whose routine it is.
    type Extension: Driver;

    /// What it is called for: a [`Packet`](crate::start_io::Packet) or a
    /// [`PendingIrp`](crate::irp::PendingIrp).
    type Request: DmaRequest;

    /// The map registers are there: map the first part, program the device in one critical
    /// section, keep the transfer in the extension. May not wait for the device. Is
    /// `DRIVER_CONTROL`; see "Writing AdapterControl Routines".
    ///
    /// # IRQL
    /// DISPATCH_LEVEL.
    fn adapter_control(
        device: &Device<Self::Extension>,
        irql: &mut Dispatch,
        grant: Grant<Self::Request>,
    ) -> Action;

    /// [`adapter_control`](Self::adapter_control) has returned, and the device object can wait
    /// for map registers again: until now [`DmaAdapter::allocate_channel`] has said
    /// STATUS_DEVICE_BUSY, also on another processor and where the request of before was
    /// completed already. A driver whose next request is not to meet that begins it when both
    /// its last one has ended and this was called. It may not do so in here: each call inside
    /// the other would take more of the stack.
    ///
    /// # IRQL
    /// DISPATCH_LEVEL.
    fn has_returned(_device: &Device<Self::Extension>, _irql: &mut Dispatch) {}
}

/// Map registers in an AdapterControl routine, which says what is to become of them.
#[must_use = "an AdapterControl routine keeps its map registers or releases them"]
#[derive(Debug)]
pub struct Grant<Q: DmaRequest>(MapRegisters<Q>);

/// What an AdapterControl routine returns; only its own [`Grant`] makes one. Is
/// `IO_ALLOCATION_ACTION`.
#[must_use = "an AdapterControl routine returns this"]
#[derive(Debug)]
pub struct Action {
    action: sys::IO_ALLOCATION_ACTION,
    /// Whose registers: routines on two processors could exchange theirs.
    base: sys::PVOID,
}

impl<Q: DmaRequest> Grant<Q> {
    /// The request.
    #[must_use]
    pub fn request(&self) -> &Q {
        self.0.request()
    }

    /// Keeps the registers: returns DeallocateObjectKeepRegisters.
    pub fn keep(self) -> (MapRegisters<Q>, Action) {
        let base = self.0.base();
        let action = sys::DEALLOCATE_OBJECT_KEEP_REGISTERS;
        (self.0, Action { action, base })
    }

    /// Gives the registers up and the request back: returns DeallocateObject.
    pub fn release(self) -> (Q, Action) {
        let base = self.0.base();
        let action = sys::DEALLOCATE_OBJECT;
        (self.0.give_up(), Action { action, base })
    }
}

/// AllocateAdapterChannel.
pub(super) fn allocate<R: AdapterControl>(
    adapter: &DmaAdapter,
    device: &Device<R::Extension>,
    _irql: &mut Dispatch,
    request: R::Request,
) -> Result<(), Refused<R::Request>> {
    let granted = match adapter.enter() {
        Ok(granted) => granted,
        Err(error) => return Err(Refused { request, error }),
    };
    let count = match registers_for(granted, device.header(), &request) {
        Ok(count) => count,
        Err(error) => {
            adapter.leave();
            return Err(Refused { request, error });
        }
    };
    let irp = request.hand_over().0;
    let word = core::ptr::from_ref(adapter).cast_mut().cast();
    // SAFETY: (Aliasing) the IRP was owned until the line above, and is nobody else's, fact 24.
    unsafe { sys::set_second_word(irp, word) };
    let operations = granted.operations;
    // SAFETY: (IRQL) the token says DISPATCH_LEVEL. (Pointer) the adapter is open, fact 22; the
    // device object is alive, for the IRP at it is; the IRP is the context, fact 24. (Caller) no
    // other request of this device object waits: `registers_for` has seen to that.
    let status = unsafe {
        (operations.allocate_channel)(
            operations.adapter,
            granted.device,
            count,
            Some(adapter_control::<R>),
            irp.cast(),
        )
    };
    match NtError::check(status) {
        Ok(_) => Ok(()),
        Err(error) => {
            device.header().end_channel_request();
            adapter.leave();
            // SAFETY: (Caller) the kernel does not call the routine after a failure, so the
            // IRP has no owner, fact 24.
            let request = unsafe { <R::Request as HandsOver>::take_back(RawIrp(irp)) };
            Err(Refused { request, error })
        }
    }
}

/// Map registers for the first part of a request, which becomes the one that waits.
fn registers_for<Q: DmaRequest>(granted: &Granted, header: &Header, request: &Q) -> Result<u32> {
    if granted.device != header.object() {
        return Err(NtError::STATUS_INVALID_PARAMETER);
    }
    // SAFETY: (Pointer) the request owns its IRP, fact 4.
    header.expect_own(unsafe { device_object(request.irp().0) });
    let part = granted.part(request, 0)?;
    if !header.begin_channel_request() {
        return Err(NtError::STATUS_DEVICE_BUSY);
    }
    Ok(part.registers())
}

/// The kernel calls this when the map registers are there.
unsafe extern "C" fn adapter_control<R: AdapterControl>(
    _object: *mut sys::DEVICE_OBJECT,
    _current: *mut sys::IRP,
    base: sys::PVOID,
    context: sys::PVOID,
) -> sys::IO_ALLOCATION_ACTION {
    let irp: *mut sys::IRP = context.cast();
    // SAFETY: (Caller) the kernel, with the context that `allocate` gave, which wrote the word.
    // (Pointer) the IRP is alive and nobody else's, fact 24.
    let adapter = unsafe { sys::second_word(irp) };
    // SAFETY: (Pointer) as above, fact 24.
    let object = unsafe { device_object(irp) };
    // SAFETY: (Pointer) the IRP is at a device of this crate, which its remove lock keeps alive,
    // fact 4; `allocate` was given a `Device<R::Extension>`, and has seen that it is the same.
    let device = unsafe { Device::<R::Extension>::of(object) };
    // SAFETY: (Caller) `allocate` handed the IRP over, and this is where it comes back,
    // once, fact 24.
    let request = unsafe { <R::Request as HandsOver>::take_back(RawIrp(irp)) };
    let Some(adapter) = NonNull::new(adapter.cast::<DmaAdapter>()) else {
        stop(Reason::BufferMissing, irp.addr());
    };
    // SAFETY: (Pointer) a part of the extension, fact 23.
    let granted = unsafe { adapter.as_ref() }.granted();
    let Ok(whole) = Part::of(&request, 0) else {
        // The request is what it was.
        stop(Reason::BufferMissing, irp.addr());
    };
    let count = granted.first_of(whole).registers();
    // SAFETY: (Caller) the kernel grants them with this call; `allocate` has entered, facts
    // 5 and 10.
    let registers = unsafe { MapRegisters::new(adapter, base, count, request, whole) };
    // SAFETY: (IRQL) AdapterControl is called at DISPATCH_LEVEL, facts 5 and 10.
    let mut irql = unsafe { Dispatch::assume() };
    let action = R::adapter_control(device, &mut irql, Grant(registers));
    if action.base != base {
        stop(Reason::ForeignAction, base.addr());
    }
    // Whatever has become of the request meanwhile: while this processor is in here at
    // DISPATCH_LEVEL, `close` waits for it, and REMOVE for `close`.
    device.header().end_channel_request();
    R::has_returned(device, &mut irql);
    action.action
}
