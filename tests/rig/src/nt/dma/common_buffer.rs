//! Common buffers: AllocateCommonBuffer, FreeCommonBuffer.

use wdk_sys::{BOOLEAN, LARGE_INTEGER, LONGLONG, PDMA_ADAPTER, PHYSICAL_ADDRESS, PVOID, ULONG};

use crate::nt::dma::adapter::expect;
use crate::nt::dma::arena::{PAGE, Pages};
use crate::nt::dma::registers::Piece;
use crate::nt::dma::{assert_passive, device};
use crate::nt::violation::check;
use crate::nt::{address, fault};

/// What a new buffer is filled with: nobody promises zeroes.
const FRESH_BYTE: u8 = 0xcd;
/// What the rest of its last page is filled with.
const GUARD_BYTE: u8 = 0xfd;

/// A common buffer that the driver has.
pub(super) struct CommonBuffer {
    pages: Pages,
    length: ULONG,
    cache_enabled: BOOLEAN,
}

/// AllocateCommonBuffer.
pub(super) unsafe extern "C" fn allocate_common_buffer(
    adapter: PDMA_ADAPTER,
    length: ULONG,
    logical: *mut PHYSICAL_ADDRESS,
    cache_enabled: BOOLEAN,
) -> PVOID {
    const OPERATION: &str = "AllocateCommonBuffer";
    assert_passive(OPERATION);
    let adapter = expect(OPERATION, adapter);
    let bytes = usize::try_from(length).unwrap_or(usize::MAX);
    if bytes == 0 || fault::strikes_with_null(OPERATION) {
        return core::ptr::null_mut();
    }
    let Some(pages) = Pages::take(bytes.div_ceil(PAGE), adapter.width) else {
        return core::ptr::null_mut();
    };
    pages.fill(0..bytes, FRESH_BYTE);
    pages.fill(bytes..pages.length(), GUARD_BYTE);
    let address = LARGE_INTEGER {
        QuadPart: LONGLONG::try_from(pages.logical(0)).unwrap_or(LONGLONG::MAX),
    };
    // SAFETY: (Pointer) the driver passes a variable of its own for the result.
    unsafe { logical.write(address) };
    let place = pages.mapped();
    adapter.state(|state| {
        state.common_buffers.insert(
            place,
            CommonBuffer {
                pages,
                length,
                cache_enabled,
            },
        );
    });
    address::to_pointer(place)
}

/// FreeCommonBuffer.
pub(super) unsafe extern "C" fn free_common_buffer(
    adapter: PDMA_ADAPTER,
    length: ULONG,
    logical: PHYSICAL_ADDRESS,
    virtual_address: PVOID,
    cache_enabled: BOOLEAN,
) {
    const OPERATION: &str = "FreeCommonBuffer";
    assert_passive(OPERATION);
    let adapter = expect(OPERATION, adapter);
    // SAFETY: (Ready) every LARGE_INTEGER is an i64.
    let logical = unsafe { logical.QuadPart }.cast_unsigned();
    let place = address::of(virtual_address);
    let buffer = adapter.state(|state| state.common_buffers.remove(&place));
    let is_same = buffer.as_ref().is_some_and(|buffer| {
        buffer.length == length
            && buffer.pages.logical(0) == logical
            && buffer.cache_enabled == cache_enabled
    });
    check!(
        Dma07,
        OPERATION,
        is_same,
        "A common buffer of {length} bytes at {virtual_address:p}, logical {logical:#x}, was freed; none was allocated so, or it was freed before."
    );
    let Some(buffer) = buffer else { return };
    let bytes = usize::try_from(length).unwrap_or_default();
    let piece = Piece {
        logical,
        length: bytes,
    };
    device::assert_done(OPERATION, &adapter.node, &[piece]);
    let is_intact = buffer
        .pages
        .read(bytes..buffer.pages.length())
        .all(|byte| byte == GUARD_BYTE);
    check!(
        Pool03,
        OPERATION,
        is_intact,
        "Something was written behind a common buffer of {length} bytes."
    );
}
