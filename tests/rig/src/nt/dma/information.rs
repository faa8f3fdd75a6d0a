//! What an adapter says about itself and about a transfer: GetDmaAlignment,
//! ReadDmaCounter, CalculateScatterGatherList, GetDmaAdapterInfo, GetDmaTransferInfo.

use wdk_sys::{
    _DMA_ADAPTER_INFO, _DMA_TRANSFER_INFO, BOOLEAN, DMA_ADAPTER_INFO_V1, DMA_TRANSFER_INFO_V1,
    NTSTATUS, PDMA_ADAPTER, PMDL, PULONG, PVOID, ULONG,
};

use crate::nt::dma::adapter::expect;
use crate::nt::dma::list::{registers_for, size_of_list};
use crate::nt::dma::transfer::index_of;
use crate::nt::dma::{assert_passive, assert_up_to_dispatch};
use crate::nt::mdl;
use crate::nt::status::{
    STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_PARAMETER, STATUS_NOT_SUPPORTED, STATUS_SUCCESS,
};

/// A number as the interface has it.
fn ulong(value: usize) -> ULONG {
    ULONG::try_from(value).unwrap_or(ULONG::MAX)
}

/// GetDmaAlignment: x64 processors see what devices write.
pub(super) unsafe extern "C" fn get_dma_alignment(adapter: PDMA_ADAPTER) -> ULONG {
    const OPERATION: &str = "GetDmaAlignment";
    assert_passive(OPERATION);
    let _adapter = expect(OPERATION, adapter);
    1
}

/// ReadDmaCounter: of a system DMA controller, which no adapter here is.
pub(super) unsafe extern "C" fn read_dma_counter(adapter: PDMA_ADAPTER) -> ULONG {
    const OPERATION: &str = "ReadDmaCounter";
    assert_up_to_dispatch(OPERATION);
    let _adapter = expect(OPERATION, adapter);
    0
}

/// CalculateScatterGatherList.
pub(super) unsafe extern "C" fn calculate_scatter_gather_list(
    adapter: PDMA_ADAPTER,
    mdl: PMDL,
    virtual_address: PVOID,
    length: ULONG,
    size: PULONG,
    registers: PULONG,
) -> NTSTATUS {
    const OPERATION: &str = "CalculateScatterGatherList";
    assert_up_to_dispatch(OPERATION);
    let adapter = expect(OPERATION, adapter);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let count = if mdl.is_null() {
        let skew = crate::nt::address::of(virtual_address) % mdl::PAGE;
        skew.saturating_add(length).div_ceil(mdl::PAGE)
    } else {
        let buffer = mdl::locked(OPERATION, mdl);
        let start = index_of(OPERATION, &buffer, virtual_address);
        if length > buffer.length() - start {
            return STATUS_BUFFER_TOO_SMALL;
        }
        registers_for(&buffer, start, length)
    };
    if count > adapter.granted() {
        return crate::nt::status::STATUS_INSUFFICIENT_RESOURCES;
    }
    // SAFETY: (Pointer) the driver passes a variable of its own.
    unsafe { size.write(ulong(size_of_list(count))) };
    if !registers.is_null() {
        // SAFETY: (Pointer) not null, so as above.
        unsafe { registers.write(ulong(count)) };
    }
    STATUS_SUCCESS
}

/// GetDmaAdapterInfo.
pub(super) unsafe extern "C" fn get_dma_adapter_info(
    adapter: PDMA_ADAPTER,
    information: *mut _DMA_ADAPTER_INFO,
) -> NTSTATUS {
    const OPERATION: &str = "GetDmaAdapterInfo";
    assert_up_to_dispatch(OPERATION);
    let adapter = expect(OPERATION, adapter);
    // SAFETY: (Pointer) the driver passes a structure of its own whose version it has set.
    let version = unsafe { (*information).Version };
    if version != wdk_sys::DMA_ADAPTER_INFO_VERSION1 {
        return STATUS_NOT_SUPPORTED;
    }
    // SAFETY: (Pointer) as above; the version says which member is meant.
    let place = unsafe { &raw mut (*information).__bindgen_anon_1.V1 };
    // SAFETY: (Pointer) as above.
    unsafe {
        place.write(DMA_ADAPTER_INFO_V1 {
            ReadDmaCounterAvailable: 0,
            ScatterGatherLimit: ulong(adapter.granted()),
            DmaAddressWidth: adapter.width,
            Flags: 0,
            MinimumTransferUnit: 1,
        });
    };
    STATUS_SUCCESS
}

/// GetDmaTransferInfo.
pub(super) unsafe extern "C" fn get_dma_transfer_info(
    adapter: PDMA_ADAPTER,
    mdl: PMDL,
    offset: u64,
    length: ULONG,
    _write_only: BOOLEAN,
    information: *mut _DMA_TRANSFER_INFO,
) -> NTSTATUS {
    const OPERATION: &str = "GetDmaTransferInfo";
    assert_up_to_dispatch(OPERATION);
    let _adapter = expect(OPERATION, adapter);
    let buffer = mdl::locked(OPERATION, mdl);
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let is_inside = start
        .checked_add(length)
        .is_some_and(|end| end <= buffer.length());
    // SAFETY: (Pointer) the driver passes a structure of its own whose version it has set.
    let version = unsafe { (*information).Version };
    if !is_inside || length == 0 || version != wdk_sys::DMA_TRANSFER_INFO_VERSION1 {
        return STATUS_INVALID_PARAMETER;
    }
    let count = registers_for(&buffer, start, length);
    // SAFETY: (Pointer) as above; the version says which member is meant.
    let place = unsafe { &raw mut (*information).__bindgen_anon_1.V1 };
    // SAFETY: (Pointer) as above.
    unsafe {
        place.write(DMA_TRANSFER_INFO_V1 {
            MapRegisterCount: ulong(count),
            ScatterGatherElementCount: ulong(count),
            ScatterGatherListSize: ulong(size_of_list(count)),
        });
    };
    STATUS_SUCCESS
}
