//! Scatter/gather lists, and the list routine that is called with one.

use core::{fmt, mem::ManuallyDrop, ptr::NonNull};

use super::{
    adapter::{DmaAdapter, Granted},
    address::LogicalAddress,
    request::{DmaRequest, Part, Refused, device_object, sealed::HandsOver},
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

/// A scatter/gather list routine.
pub trait ListControl: 'static {
    /// Extension of the devices whose routine it is.
    type Extension: Driver;

    /// What it is called for: a [`Packet`](crate::start_io::Packet) or a
    /// [`PendingIrp`](crate::irp::PendingIrp).
    type Request: DmaRequest;

    /// The buffer is mapped: program the device in one critical section, keep the list in the
    /// extension. May not wait for the device. Is `DRIVER_LIST_CONTROL`; see "Using
    /// GetScatterGatherList".
    ///
    /// # IRQL
    /// DISPATCH_LEVEL.
    fn list_control(
        device: &Device<Self::Extension>,
        irql: &mut Dispatch,
        list: ScatterGatherList<Self::Request>,
    );
}

/// A piece of a buffer that the device can take in one go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element {
    /// What the device is given.
    pub address: LogicalAddress,
    /// Bytes that are mapped there.
    pub length: u32,
}

/// A part of a request's buffer that is mapped in pieces: the device may reach them.
///
/// Putting it gives the request back. Dropping it is a bug check.
#[must_use = "a scatter/gather list is put when its device has done"]
pub struct ScatterGatherList<Q: DmaRequest> {
    /// Alive, fact 23, and entered, fact 22.
    adapter: NonNull<DmaAdapter>,
    list: NonNull<sys::SCATTER_GATHER_LIST>,
    part: Part,
    /// Where in the buffer the part begins.
    start: usize,
    /// Present until the list is put.
    request: ManuallyDrop<Q>,
}

// SAFETY: the list and the adapter belong to no thread; the one owner may be anywhere, fact
// 23.
unsafe impl<Q: DmaRequest> Send for ScatterGatherList<Q> {}

impl<Q: DmaRequest> fmt::Debug for ScatterGatherList<Q> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.elements()).finish()
    }
}

impl<Q: DmaRequest> ScatterGatherList<Q> {
    /// The pieces, in the order of the buffer.
    pub fn elements(&self) -> impl Iterator<Item = Element> + '_ {
        let list = self.list.as_ptr();
        // SAFETY: (Pointer) the kernel's list, which stands until it is put, fact 10.
        let count = unsafe { (*list).NumberOfElements };
        // SAFETY: (Pointer) as above, fact 10.
        let first = unsafe { &raw const (*list).Elements }.cast::<sys::SCATTER_GATHER_ELEMENT>();
        (0..usize::try_from(count).unwrap_or(0)).map(move |index| {
            // SAFETY: (Pointer) the kernel says that so many elements follow each other,
            // fact 10.
            let element = unsafe { first.add(index) };
            // SAFETY: (Ready) the kernel has filled it in, fact 10.
            let element = unsafe { element.read() };
            Element {
                address: LogicalAddress::new(element.Address),
                length: element.Length,
            }
        })
    }

    /// Where in the buffer the mapped part begins.
    #[must_use]
    pub const fn start(&self) -> usize {
        self.start
    }

    /// How long the mapped part is.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.part.length
    }

    /// Which way the data goes.
    #[must_use]
    pub const fn is_to_device(&self) -> bool {
        self.part.to_device
    }

    /// The request; it cannot be taken out while its buffer is mapped.
    #[must_use]
    pub fn request(&self) -> &Q {
        &self.request
    }

    /// Ends the transfer, which the device has done, and gives the request back. Wraps
    /// `PutScatterGatherList`, which flushes.
    ///
    /// # IRQL
    /// DISPATCH_LEVEL.
    pub fn put(self, _irql: &mut Dispatch) -> Q {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: (Pointer) the request is still here, so the adapter is alive, fact 23.
        let adapter = unsafe { this.adapter.as_ref() };
        let operations = adapter.granted().operations;
        // SAFETY: (IRQL) the token says DISPATCH_LEVEL. (Pointer) the adapter is open, fact 22;
        // the list is its own, in the direction that it was made for. (Caller) put once: its
        // owner is used no more.
        unsafe {
            (operations.put_list)(
                operations.adapter,
                this.list.as_ptr(),
                this.part.to_device.into(),
            );
        };
        adapter.leave();
        // SAFETY: taken once: `this` is never dropped and not used again, fact 23.
        unsafe { ManuallyDrop::take(&mut this.request) }
    }
}

impl<Q: DmaRequest> Drop for ScatterGatherList<Q> {
    fn drop(&mut self) {
        stop(Reason::DroppedWhileMapped, self.part.mdl.addr());
    }
}

/// GetScatterGatherList.
pub(super) fn get<R: ListControl>(
    adapter: &DmaAdapter,
    device: &Device<R::Extension>,
    _irql: &mut Dispatch,
    request: R::Request,
    start: usize,
) -> Result<(), Refused<R::Request>> {
    let granted = match adapter.enter() {
        Ok(granted) => granted,
        Err(error) => return Err(Refused { request, error }),
    };
    let part = match part_of(granted, device.header(), &request, start) {
        Ok(part) => part,
        Err(error) => {
            adapter.leave();
            return Err(Refused { request, error });
        }
    };
    let irp = request.hand_over().0;
    let word = core::ptr::from_ref(adapter).cast_mut().cast();
    // SAFETY: (Aliasing) the IRP was owned until the line above, and is nobody else's, fact 24.
    unsafe { sys::set_second_word(irp, word) };
    // SAFETY: (Aliasing) as above, fact 24; whoever completes the IRP writes it anew.
    unsafe { sys::set_information(irp, start) };
    let operations = granted.operations;
    // SAFETY: (IRQL) the token says DISPATCH_LEVEL. (Pointer) the adapter is open, fact 22; the
    // device object is alive, for the IRP at it is; the part lies in the IRP's own MDL; the IRP
    // is the context, fact 24.
    let status = unsafe {
        (operations.get_list)(
            operations.adapter,
            granted.device,
            part.mdl,
            part.current_va(),
            part.ulong_length(),
            Some(list_control::<R>),
            irp.cast(),
            part.to_device.into(),
        )
    };
    match NtError::check(status) {
        Ok(_) => Ok(()),
        Err(error) => {
            adapter.leave();
            // SAFETY: (Caller) the kernel does not call the routine after a failure, so the
            // IRP has no owner, fact 24.
            let request = unsafe { <R::Request as HandsOver>::take_back(RawIrp(irp)) };
            Err(Refused { request, error })
        }
    }
}

/// The part of a request's buffer that one list maps.
fn part_of<Q: DmaRequest>(
    granted: &Granted,
    header: &Header,
    request: &Q,
    start: usize,
) -> Result<Part> {
    if granted.device != header.object() {
        return Err(NtError::STATUS_INVALID_PARAMETER);
    }
    // SAFETY: (Pointer) the request owns its IRP, fact 4.
    header.expect_own(unsafe { device_object(request.irp().0) });
    granted.part(request, start)
}

/// The kernel calls this when the list is there.
unsafe extern "C" fn list_control<R: ListControl>(
    _object: *mut sys::DEVICE_OBJECT,
    _current: *mut sys::IRP,
    list: *mut sys::SCATTER_GATHER_LIST,
    context: sys::PVOID,
) {
    let irp: *mut sys::IRP = context.cast();
    // SAFETY: (Caller) the kernel, with the context that `get` gave, which wrote the word.
    // (Pointer) the IRP is alive and nobody else's, fact 24.
    let adapter = unsafe { sys::second_word(irp) };
    // SAFETY: (Ready) as above, fact 24.
    let start = unsafe { sys::information(irp) };
    // SAFETY: (Pointer) as above, fact 24.
    let object = unsafe { device_object(irp) };
    // SAFETY: (Pointer) the IRP is at a device of this crate, which its remove lock keeps alive,
    // fact 4; `get` was given a `Device<R::Extension>`, and has seen that it is the same.
    let device = unsafe { Device::<R::Extension>::of(object) };
    // SAFETY: (Caller) `get` handed the IRP over, and this is where it comes back, once,
    // fact 24.
    let request = unsafe { <R::Request as HandsOver>::take_back(RawIrp(irp)) };
    let (Some(adapter), Some(list)) = (
        NonNull::new(adapter.cast::<DmaAdapter>()),
        NonNull::new(list),
    ) else {
        stop(Reason::BufferMissing, irp.addr());
    };
    // SAFETY: (Pointer) a part of the extension, fact 23.
    let granted = unsafe { adapter.as_ref() }.granted();
    let Ok(part) = granted.part(&request, start) else {
        // The request is what it was.
        stop(Reason::BufferMissing, irp.addr());
    };
    // SAFETY: (IRQL) list routines are called at DISPATCH_LEVEL, facts 5 and 10.
    let mut irql = unsafe { Dispatch::assume() };
    R::list_control(
        device,
        &mut irql,
        ScatterGatherList {
            adapter,
            list,
            part,
            start,
            request: ManuallyDrop::new(request),
        },
    );
}
