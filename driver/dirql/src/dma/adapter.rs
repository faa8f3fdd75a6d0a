//! The adapter: how a device does DMA, and what it was granted for that.

use core::{cell::UnsafeCell, marker::PhantomPinned, pin::Pin};

use super::{
    channel::{self, AdapterControl},
    list::{self, ListControl},
    operations::Operations,
    request::{DmaRequest, Part, Refused},
};
use crate::{
    device::Device,
    driver::Driver,
    irql::{Dispatch, Passive},
    object_table::Registered,
    processor,
    run_down::RunDown,
    status::{NtError, Result},
    stop_code::{Reason, stop},
    sys,
};

/// `DEVICE_DESCRIPTION_VERSION3`.
const VERSION_3: u32 = 3;

/// How a device does DMA; see "DEVICE_DESCRIPTION".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DmaDescription {
    /// Address bits that the device has, 1 to 64.
    pub address_width: u32,
    /// Bytes that it transfers at most in one go.
    pub maximum_length: u32,
    /// It takes a transfer in several pieces.
    pub scatter_gather: bool,
}

/// What an open adapter was granted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Granted {
    pub(super) operations: Operations,
    /// Map registers that one transfer may use.
    pub(super) registers: u32,
    maximum_length: u32,
    pub(super) device: *mut sys::DEVICE_OBJECT,
}

/// A DMA adapter, as a field of the device extension.
#[derive(Debug)]
pub struct DmaAdapter {
    run_down: RunDown,
    /// Written while opening and closing, read behind the run-down.
    granted: UnsafeCell<Option<Granted>>,
    /// The kernel's operations are given its address, with each request.
    _pinned: PhantomPinned,
}

// SAFETY: (Aliasing) the cell is written by the one thread that opens or closes the
// run-down, and copied out behind it, fact 22; the kernel's operations synchronise among
// themselves.
unsafe impl Sync for DmaAdapter {}
// SAFETY: belongs to no thread; moved only before it is registered, fact 2.
unsafe impl Send for DmaAdapter {}

impl Default for DmaAdapter {
    fn default() -> Self {
        Self::new()
    }
}

impl DmaAdapter {
    /// An adapter that is not open.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            run_down: RunDown::new(),
            granted: UnsafeCell::new(None),
            _pinned: PhantomPinned,
        }
    }

    /// Gets the adapter; how many map registers it grants to one transfer. Wraps
    /// `IoGetDmaAdapter`, version 3 of the description; see "Getting an Adapter Object".
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    ///
    /// # Errors
    /// STATUS_INSUFFICIENT_RESOURCES if the system has no such adapter, STATUS_NOT_SUPPORTED
    /// if it lacks an operation, STATUS_DEVICE_BUSY if it is open already,
    /// STATUS_INVALID_PARAMETER if the description is not one, or if `self` is no part of
    /// the device's extension.
    pub fn open<E: Driver>(
        self: Pin<&Self>,
        device: &Device<E>,
        irql: &mut Passive,
        description: &DmaDescription,
    ) -> Result<u32> {
        if !(1..=64).contains(&description.address_width) || description.maximum_length == 0 {
            return Err(NtError::STATUS_INVALID_PARAMETER);
        }
        let this = self.get_ref();
        device.register(irql, Registered::new(this, Self::close).last())?;
        if !this.run_down.begin_opening() {
            return Err(NtError::STATUS_DEVICE_BUSY);
        }
        match get(irql, device, description) {
            Ok(granted) => {
                let registers = granted.registers;
                // SAFETY: (Aliasing) this thread opens the run-down, and nobody is behind
                // it, fact 22.
                unsafe { *this.granted.get() = Some(granted) };
                this.run_down.opened();
                Ok(registers)
            }
            Err(error) => {
                this.run_down.closed();
                Err(error)
            }
        }
    }

    /// Gives the adapter back, if it is open. Wraps `PutDmaAdapter`.
    ///
    /// Waits until every transfer has been ended and every common buffer freed: end those
    /// first that this driver has in hand.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    #[inline(never)]
    pub fn close(&self, irql: &mut Passive) {
        if !self.run_down.begin_closing(irql) {
            return;
        }
        self.run_down.wait(irql);
        // A routine of the kernel's that called AdapterControl may not have returned.
        processor::visit_all(irql);
        // SAFETY: (Aliasing) this thread closes the run-down and has seen everybody leave,
        // fact 22.
        let granted = unsafe { (*self.granted.get()).take() };
        if let Some(Granted { operations, .. }) = granted {
            // SAFETY: (IRQL) the token says PASSIVE_LEVEL. (Pointer) got by `open`, and put
            // once: taken out of the cell above. (Caller) nothing of it is in use, fact 22.
            unsafe { (operations.put)(operations.adapter) };
        }
        self.run_down.closed();
    }

    /// Asks for map registers, for as much of the request's buffer as one transfer may
    /// take; `R`'s AdapterControl routine is called with them, now or later. Wraps
    /// `AllocateAdapterChannel`; see "Allocating an Adapter Channel".
    ///
    /// # IRQL
    /// DISPATCH_LEVEL.
    ///
    /// # Errors
    /// The request comes back with STATUS_DEVICE_BUSY if another request of this device
    /// waits, STATUS_DEVICE_NOT_READY if the adapter is not open, STATUS_INVALID_PARAMETER
    /// if its buffer is empty, STATUS_INVALID_DEVICE_REQUEST if it is none for direct I/O, or
    /// with the kernel's status.
    pub fn allocate_channel<R: AdapterControl>(
        self: Pin<&Self>,
        device: &Device<R::Extension>,
        irql: &mut Dispatch,
        request: R::Request,
    ) -> Result<(), Refused<R::Request>> {
        channel::allocate::<R>(self.get_ref(), device, irql, request)
    }

    /// Maps a part of the request's buffer, from `start` on, as much as one transfer may
    /// take; `R`'s list routine is called with the list, now or later. Any number of requests
    /// may wait. Wraps `GetScatterGatherList`; see "Using GetScatterGatherList".
    ///
    /// # IRQL
    /// DISPATCH_LEVEL.
    ///
    /// # Errors
    /// As [`allocate_channel`](Self::allocate_channel), but for STATUS_DEVICE_BUSY;
    /// STATUS_INVALID_PARAMETER if nothing of the buffer is left at `start`.
    pub fn get_list<R: ListControl>(
        self: Pin<&Self>,
        device: &Device<R::Extension>,
        irql: &mut Dispatch,
        request: R::Request,
        start: usize,
    ) -> Result<(), Refused<R::Request>> {
        list::get::<R>(self.get_ref(), device, irql, request, start)
    }

    /// Goes in, for a request that is going to use it until [`leave`](Self::leave).
    pub(super) fn enter(&self) -> Result<&Granted> {
        let pass = self.run_down.enter();
        pass.ok_or(NtError::STATUS_DEVICE_NOT_READY)?.stay();
        Ok(self.granted())
    }

    /// What it was granted; to be called by those inside, who alone look at it.
    pub(super) fn granted(&self) -> &Granted {
        // SAFETY: (Aliasing) behind the run-down the cell is only read, fact 22.
        let granted = unsafe { &*self.granted.get() };
        match granted {
            Some(granted) => granted,
            None => stop(Reason::AdapterMissing, core::ptr::from_ref(self).addr()),
        }
    }

    /// Ends what [`enter`](Self::enter) began.
    pub(super) fn leave(&self) {
        self.run_down.leave();
    }
}

impl Granted {
    /// As much of a request's buffer, from `start` on, as one transfer may take.
    pub(super) fn part<Q: DmaRequest>(&self, request: &Q, start: usize) -> Result<Part> {
        Part::of(request, start).map(|part| self.first_of(part))
    }

    /// As much of this part as one transfer may take.
    pub(super) fn first_of(&self, part: Part) -> Part {
        let longest = usize::try_from(self.maximum_length).unwrap_or(usize::MAX);
        let part = part.limited_to(longest);
        let registers = usize::try_from(self.registers).unwrap_or(usize::MAX);
        part.limited_to(part.covered_by(registers))
    }
}

/// IoGetDmaAdapter.
fn get<E: Driver>(
    _irql: &mut Passive,
    device: &Device<E>,
    description: &DmaDescription,
) -> Result<Granted> {
    let mut described = sys::DEVICE_DESCRIPTION {
        Version: VERSION_3,
        Master: 1,
        ScatterGather: description.scatter_gather.into(),
        InterfaceType: sys::INTERFACE_TYPE_UNDEFINED,
        MaximumLength: description.maximum_length,
        DmaAddressWidth: description.address_width,
        ..Default::default()
    };
    let mut registers = 0;
    // SAFETY: (IRQL) the token says PASSIVE_LEVEL. (Pointer) the PDO that AddDevice was
    // given; the description and the result are this function's own, facts 5 and 10.
    let adapter = unsafe {
        sys::IoGetDmaAdapter(
            device.header().physical(),
            &raw mut described,
            &raw mut registers,
        )
    };
    if adapter.is_null() {
        return Err(NtError::STATUS_INSUFFICIENT_RESOURCES);
    }
    // SAFETY: (Pointer) IoGetDmaAdapter has just returned it, fact 10.
    let operations = unsafe { Operations::of(adapter) };
    let operations = operations.ok_or(NtError::STATUS_NOT_SUPPORTED)?;
    if registers == 0 {
        // SAFETY: (IRQL) as above. (Pointer) got above, and given back at once, facts 5 and
        // 10.
        unsafe { (operations.put)(adapter) };
        return Err(NtError::STATUS_INSUFFICIENT_RESOURCES);
    }
    Ok(Granted {
        operations,
        registers,
        maximum_length: description.maximum_length,
        device: device.header().object(),
    })
}
