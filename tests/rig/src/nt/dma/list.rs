//! Scatter/gather lists: GetScatterGatherList, BuildScatterGatherList and the list
//! routine that they lead to, PutScatterGatherList.
//!
//! # Soundness
//! 1. A list is written before its driver gets it; one that the executive allocated
//!    lies in a guarded allocation of its own, so a driver that keeps it faults.

use alloc::sync::Arc;
use alloc::vec::Vec;

use wdk_sys::{
    BOOLEAN, LARGE_INTEGER, LONGLONG, NTSTATUS, PDEVICE_OBJECT, PDMA_ADAPTER, PDRIVER_LIST_CONTROL,
    PMDL, PSCATTER_GATHER_LIST, PVOID, SCATTER_GATHER_ELEMENT, SCATTER_GATHER_LIST, ULONG,
};

use crate::machine::memory;
use crate::nt::address;
use crate::nt::callout::{Callback, call_out};
use crate::nt::device::Device;
use crate::nt::dma::adapter::{Adapter, Waiting, expect};
use crate::nt::dma::arena::PAGE;
use crate::nt::dma::registers::Piece;
use crate::nt::dma::transfer::{assert_direction, index_of};
use crate::nt::dma::{assert_at_dispatch, device};
use crate::nt::fault;
use crate::nt::mdl::{self, LockedBuffer};
use crate::nt::status::{
    STATUS_BUFFER_TOO_SMALL, STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER,
    STATUS_SUCCESS,
};
use crate::nt::violation::check;

/// A request for a list.
pub(super) struct ListRequest {
    device: Device,
    buffer: Arc<LockedBuffer>,
    start: usize,
    length: usize,
    pub(super) count: usize,
    routine: unsafe extern "C" fn(PDEVICE_OBJECT, *mut wdk_sys::_IRP, PSCATTER_GATHER_LIST, PVOID),
    /// Addresses: of the context, and of the driver's own memory for the list.
    context: usize,
    memory: Option<usize>,
    to_device: bool,
}

/// A list that the driver has.
pub(super) struct ScatterGather {
    handle: usize,
    to_device: bool,
    /// Bytes that the executive allocated for it.
    allocated: Option<usize>,
}

/// Bytes that a list with so many elements takes.
pub(super) const fn size_of_list(elements: usize) -> usize {
    core::mem::offset_of!(SCATTER_GATHER_LIST, Elements)
        + elements * size_of::<SCATTER_GATHER_ELEMENT>()
}

/// Map registers for a part of a buffer.
pub(super) fn registers_for(buffer: &LockedBuffer, start: usize, length: usize) -> usize {
    ((buffer.offset() + start) % PAGE + length).div_ceil(PAGE)
}

/// GetScatterGatherList.
pub(super) unsafe extern "C" fn get_scatter_gather_list(
    adapter: PDMA_ADAPTER,
    device: PDEVICE_OBJECT,
    mdl: PMDL,
    virtual_address: PVOID,
    length: ULONG,
    routine: PDRIVER_LIST_CONTROL,
    context: PVOID,
    write_to_device: BOOLEAN,
) -> NTSTATUS {
    request(
        "GetScatterGatherList",
        adapter,
        device,
        (mdl, virtual_address, length),
        (routine, context),
        write_to_device != 0,
        None,
    )
}

/// BuildScatterGatherList.
pub(super) unsafe extern "C" fn build_scatter_gather_list(
    adapter: PDMA_ADAPTER,
    device: PDEVICE_OBJECT,
    mdl: PMDL,
    virtual_address: PVOID,
    length: ULONG,
    routine: PDRIVER_LIST_CONTROL,
    context: PVOID,
    write_to_device: BOOLEAN,
    memory: PVOID,
    memory_length: ULONG,
) -> NTSTATUS {
    let memory_length = usize::try_from(memory_length).unwrap_or_default();
    request(
        "BuildScatterGatherList",
        adapter,
        device,
        (mdl, virtual_address, length),
        (routine, context),
        write_to_device != 0,
        Some((address::of(memory), memory_length)),
    )
}

/// Queues a request for a list.
fn request(
    operation: &'static str,
    adapter: PDMA_ADAPTER,
    device: PDEVICE_OBJECT,
    (mdl, virtual_address, length): (PMDL, PVOID, ULONG),
    (routine, context): (PDRIVER_LIST_CONTROL, PVOID),
    to_device: bool,
    memory: Option<(usize, usize)>,
) -> NTSTATUS {
    assert_at_dispatch(operation);
    let adapter = expect(operation, adapter);
    let buffer = mdl::locked(operation, mdl);
    let start = index_of(operation, &buffer, virtual_address);
    assert_direction(operation, &buffer, to_device);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length == 0 || length > buffer.length() - start {
        return STATUS_BUFFER_TOO_SMALL;
    }
    let (Some(device), Some(routine)) = (Device::find(device), routine) else {
        return STATUS_INVALID_PARAMETER;
    };
    let count = registers_for(&buffer, start, length);
    if count > adapter.granted() || fault::strikes(operation) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    if memory.is_some_and(|(_, length)| length < size_of_list(count)) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    adapter.state(|state| {
        state.waiting.push_back(Waiting::List(ListRequest {
            device,
            buffer,
            start,
            length,
            count,
            routine,
            context: address::of(context),
            memory: memory.map(|(address, _)| address),
            to_device,
        }));
    });
    adapter.serve();
    STATUS_SUCCESS
}

/// Maps the transfer, writes the list and calls the list routine.
pub(super) fn run(adapter: &Arc<Adapter>, request: &ListRequest, handle: usize) {
    const OPERATION: &str = "GetScatterGatherList";
    let pieces = adapter.state(|state| {
        state.registers.map(
            OPERATION,
            handle,
            &request.buffer,
            request.start,
            request.length,
            request.to_device,
        )
    });
    let size = size_of_list(pieces.len());
    let (place, allocated) = if let Some(place) = request.memory {
        (place, None)
    } else {
        let memory = memory::allocate_guarded(size)
            .unwrap_or_else(|| panic!("no memory for a scatter/gather list"));
        (address::of(memory), Some(size))
    };
    write_list(place, &pieces);
    adapter.state(|state| {
        state.lists.insert(
            place,
            ScatterGather {
                handle,
                to_device: request.to_device,
                allocated,
            },
        );
    });
    let irp = request.device.current_irp();
    // SAFETY: (Caller) the driver gave the routine to be called so, with this context.
    // (Pointer) the device object was alive when the request was made, and deleting it with a
    // request outstanding is a fault of the driver's.
    call_out(Callback::AdapterListControl, || unsafe {
        (request.routine)(
            request.device.pointer(),
            irp,
            address::to_pointer(place),
            address::to_pointer(request.context),
        );
    });
}

/// Writes a list.
fn write_list(place: usize, pieces: &[Piece]) {
    let list: PSCATTER_GATHER_LIST = address::to_pointer(place);
    // SAFETY: (Pointer) fact 1: memory for a list of that many elements. (Aliasing) the
    // driver has not got it yet.
    unsafe { (*list).NumberOfElements = ULONG::try_from(pieces.len()).unwrap_or(0) };
    // SAFETY: (Pointer) as above.
    unsafe { (*list).Reserved = 0 };
    let elements = place + core::mem::offset_of!(SCATTER_GATHER_LIST, Elements);
    for (index, piece) in pieces.iter().enumerate() {
        let element: *mut SCATTER_GATHER_ELEMENT =
            address::to_pointer(elements + index * size_of::<SCATTER_GATHER_ELEMENT>());
        // SAFETY: (Pointer) as above.
        unsafe {
            element.write(SCATTER_GATHER_ELEMENT {
                Address: LARGE_INTEGER {
                    QuadPart: LONGLONG::try_from(piece.logical).unwrap_or(LONGLONG::MAX),
                },
                Length: ULONG::try_from(piece.length).unwrap_or(ULONG::MAX),
                Reserved: 0,
            });
        };
    }
}

/// PutScatterGatherList.
pub(super) unsafe extern "C" fn put_scatter_gather_list(
    adapter: PDMA_ADAPTER,
    list: PSCATTER_GATHER_LIST,
    write_to_device: BOOLEAN,
) {
    const OPERATION: &str = "PutScatterGatherList";
    assert_at_dispatch(OPERATION);
    let adapter = expect(OPERATION, adapter);
    let place = address::of(list);
    let found = adapter.state(|state| state.lists.remove(&place));
    check!(
        Dma04,
        OPERATION,
        found
            .as_ref()
            .is_some_and(|found| found.to_device == (write_to_device != 0)),
        "The address {list:p} is no scatter/gather list in this direction, or one that was put back."
    );
    let Some(found) = found else { return };
    let mapped = adapter.state(|state| state.registers.mapped(found.handle));
    let pieces: Vec<Piece> = mapped.map_or_else(Vec::new, |(.., pieces)| pieces);
    device::assert_done(OPERATION, &adapter.node, &pieces);
    adapter.state(|state| {
        state.registers.flush(OPERATION, found.handle);
        state.registers.give_back(found.handle);
    });
    if let Some(size) = found.allocated {
        memory::free_guarded(address::to_pointer(place), size);
    }
    adapter.serve();
}
