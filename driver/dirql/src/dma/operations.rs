//! The operations of an adapter, each with its contract.

use crate::sys;

/// An adapter and the operations that this module uses, all of which it has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operations {
    pub(super) adapter: *mut sys::DMA_ADAPTER,
    pub(super) put: unsafe extern "C" fn(*mut sys::DMA_ADAPTER),
    pub(super) allocate_common_buffer: unsafe extern "C" fn(
        *mut sys::DMA_ADAPTER,
        u32,
        *mut sys::LARGE_INTEGER,
        sys::BOOLEAN,
    ) -> sys::PVOID,
    pub(super) free_common_buffer: unsafe extern "C" fn(
        *mut sys::DMA_ADAPTER,
        u32,
        sys::LARGE_INTEGER,
        sys::PVOID,
        sys::BOOLEAN,
    ),
    pub(super) allocate_channel: unsafe extern "C" fn(
        *mut sys::DMA_ADAPTER,
        *mut sys::DEVICE_OBJECT,
        u32,
        Option<ControlRoutine>,
        sys::PVOID,
    ) -> sys::NTSTATUS,
    pub(super) flush: unsafe extern "C" fn(
        *mut sys::DMA_ADAPTER,
        *mut sys::MDL,
        sys::PVOID,
        sys::PVOID,
        u32,
        sys::BOOLEAN,
    ) -> sys::BOOLEAN,
    pub(super) free_registers: unsafe extern "C" fn(*mut sys::DMA_ADAPTER, sys::PVOID, u32),
    pub(super) map: unsafe extern "C" fn(
        *mut sys::DMA_ADAPTER,
        *mut sys::MDL,
        sys::PVOID,
        sys::PVOID,
        *mut u32,
        sys::BOOLEAN,
    ) -> sys::LARGE_INTEGER,
    pub(super) get_list: unsafe extern "C" fn(
        *mut sys::DMA_ADAPTER,
        *mut sys::DEVICE_OBJECT,
        *mut sys::MDL,
        sys::PVOID,
        u32,
        Option<ListRoutine>,
        sys::PVOID,
        sys::BOOLEAN,
    ) -> sys::NTSTATUS,
    pub(super) put_list:
        unsafe extern "C" fn(*mut sys::DMA_ADAPTER, *mut sys::SCATTER_GATHER_LIST, sys::BOOLEAN),
}

/// An AdapterControl routine as the kernel calls it.
pub(super) type ControlRoutine = unsafe extern "C" fn(
    *mut sys::DEVICE_OBJECT,
    *mut sys::IRP,
    sys::PVOID,
    sys::PVOID,
) -> sys::IO_ALLOCATION_ACTION;

/// An AdapterListControl routine as the kernel calls it.
pub(super) type ListRoutine = unsafe extern "C" fn(
    *mut sys::DEVICE_OBJECT,
    *mut sys::IRP,
    *mut sys::SCATTER_GATHER_LIST,
    sys::PVOID,
);

impl Operations {
    /// The operations of an adapter; `None` if one that is needed is missing.
    ///
    /// # Safety
    /// `adapter` is what IoGetDmaAdapter has just returned.
    pub(super) unsafe fn of(adapter: *mut sys::DMA_ADAPTER) -> Option<Self> {
        // SAFETY: (Pointer) the contract says that it is alive, fact 10.
        let table = unsafe { (*adapter).DmaOperations };
        // SAFETY: (Pointer) an adapter has a table, which it keeps, fact 10.
        let table = unsafe { &*table };
        Some(Self {
            adapter,
            put: table.PutDmaAdapter?,
            allocate_common_buffer: table.AllocateCommonBuffer?,
            free_common_buffer: table.FreeCommonBuffer?,
            allocate_channel: table.AllocateAdapterChannel?,
            flush: table.FlushAdapterBuffers?,
            free_registers: table.FreeMapRegisters?,
            map: table.MapTransfer?,
            get_list: table.GetScatterGatherList?,
            put_list: table.PutScatterGatherList?,
        })
    }
}
