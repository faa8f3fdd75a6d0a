//! Packet transfers: MapTransfer, FlushAdapterBuffers.

use wdk_sys::{BOOLEAN, LARGE_INTEGER, LONGLONG, PDMA_ADAPTER, PMDL, PULONG, PVOID, ULONG};

use crate::nt::address;
use crate::nt::dma::adapter::expect;
use crate::nt::dma::arena::PAGE;
use crate::nt::dma::assert_up_to_dispatch;
use crate::nt::dma::device;
use crate::nt::mdl::{self, Access, LockedBuffer};
use crate::nt::violation::check;

/// Where in a buffer a virtual address lies, which is an index and nothing more.
pub(super) fn index_of(operation: &str, buffer: &LockedBuffer, virtual_address: PVOID) -> usize {
    let start = address::of(virtual_address).checked_sub(buffer.virtual_address());
    check!(
        Dma08,
        operation,
        start.is_some_and(|start| start < buffer.length()),
        "The virtual address {virtual_address:p} is not one of the MDL's."
    );
    start.unwrap_or_default()
}

/// Checks that a transfer in this direction may use the buffer.
pub(super) fn assert_direction(operation: &str, buffer: &LockedBuffer, to_device: bool) {
    check!(
        Dma08,
        operation,
        to_device || buffer.access() == Access::Write,
        "A transfer from the device was to be mapped to a buffer that is locked for reading."
    );
}

/// MapTransfer.
pub(super) unsafe extern "C" fn map_transfer(
    adapter: PDMA_ADAPTER,
    mdl: PMDL,
    base: PVOID,
    virtual_address: PVOID,
    length: PULONG,
    write_to_device: BOOLEAN,
) -> LARGE_INTEGER {
    const OPERATION: &str = "MapTransfer";
    assert_up_to_dispatch(OPERATION);
    let adapter = expect(OPERATION, adapter);
    let buffer = mdl::locked(OPERATION, mdl);
    let start = index_of(OPERATION, &buffer, virtual_address);
    let to_device = write_to_device != 0;
    assert_direction(OPERATION, &buffer, to_device);
    // SAFETY: (Pointer) the driver passes a variable of its own.
    let wanted = usize::try_from(unsafe { length.read() }).unwrap_or(usize::MAX);
    // A device that takes pieces gets one: up to the end of the page.
    let mapped = if adapter.scatter_gather {
        wanted.min(PAGE - (buffer.offset() + start) % PAGE)
    } else {
        wanted
    };
    let handle = address::of(base);
    let pieces = adapter.state(|state| {
        state
            .registers
            .map(OPERATION, handle, &buffer, start, mapped, to_device)
    });
    check!(
        Dma04,
        OPERATION,
        pieces.len() == 1,
        "A transfer was mapped with the register base {base:p}, which is not allocated."
    );
    // SAFETY: (Pointer) as above.
    unsafe { length.write(ULONG::try_from(mapped).unwrap_or(ULONG::MAX)) };
    let logical = pieces.first().map_or(0, |piece| piece.logical);
    LARGE_INTEGER {
        QuadPart: LONGLONG::try_from(logical).unwrap_or(LONGLONG::MAX),
    }
}

/// FlushAdapterBuffers.
pub(super) unsafe extern "C" fn flush_adapter_buffers(
    adapter: PDMA_ADAPTER,
    mdl: PMDL,
    base: PVOID,
    virtual_address: PVOID,
    length: ULONG,
    write_to_device: BOOLEAN,
) -> BOOLEAN {
    const OPERATION: &str = "FlushAdapterBuffers";
    assert_up_to_dispatch(OPERATION);
    let adapter = expect(OPERATION, adapter);
    let buffer = mdl::locked(OPERATION, mdl);
    let start = index_of(OPERATION, &buffer, virtual_address);
    let handle = address::of(base);
    let mapped = adapter.state(|state| state.registers.mapped(handle));
    let is_same = mapped
        .as_ref()
        .is_some_and(|(mapped_start, mapped_length, to_device, _)| {
            *mapped_start == start
                && Ok(*mapped_length) == usize::try_from(length)
                && *to_device == (write_to_device != 0)
        });
    check!(
        Dma05,
        OPERATION,
        is_same,
        "{length} bytes at {start} were flushed, which is not the transfer that the registers {base:p} map."
    );
    if let Some((.., pieces)) = mapped {
        device::assert_done(OPERATION, &adapter.node, &pieces);
        adapter.state(|state| state.registers.flush(OPERATION, handle));
    }
    1
}
