//! Operations that the rig does not have. A driver that calls one is told which.

use wdk_sys::{
    BOOLEAN, DMA_COMPLETION_STATUS, IO_ALLOCATION_ACTION, NTSTATUS, PDEVICE_OBJECT, PDMA_ADAPTER,
    PDRIVER_CONTROL, PDRIVER_LIST_CONTROL, PHYSICAL_ADDRESS, PMDL, PSCATTER_GATHER_LIST, PULONG,
    PVOID, ULONG,
};

use crate::nt::violation::fatal;

/// What a system DMA controller calls when a transfer is complete.
type CompletionRoutine =
    Option<unsafe extern "C" fn(PDMA_ADAPTER, PDEVICE_OBJECT, PVOID, DMA_COMPLETION_STATUS::Type)>;

/// Defines operations that end the run.
macro_rules! not_offered {
    ($($name:ident $operation:literal ($($kind:ty),*) $(-> $result:ty)?;)+) => {
        $(
            #[doc = concat!($operation, ".")]
            pub(super) unsafe extern "C" fn $name($(_: $kind),*) $(-> $result)? {
                fatal(
                    "NOT-OFFERED",
                    $operation,
                    format_args!(concat!("The rig does not have the DMA operation ", $operation, ".")),
                )
            }
        )+
    };
}

not_offered! {
    build_mdl_from_scatter_gather_list "BuildMdlFromScatterGatherList" (PDMA_ADAPTER, PSCATTER_GATHER_LIST, PMDL, *mut PMDL) -> NTSTATUS;
    initialize_dma_transfer_context "InitializeDmaTransferContext" (PDMA_ADAPTER, PVOID) -> NTSTATUS;
    allocate_common_buffer_ex "AllocateCommonBufferEx" (PDMA_ADAPTER, *mut PHYSICAL_ADDRESS, ULONG, *mut PHYSICAL_ADDRESS, BOOLEAN, ULONG) -> PVOID;
    allocate_adapter_channel_ex "AllocateAdapterChannelEx" (PDMA_ADAPTER, PDEVICE_OBJECT, PVOID, ULONG, ULONG, PDRIVER_CONTROL, PVOID, *mut PVOID) -> NTSTATUS;
    configure_adapter_channel "ConfigureAdapterChannel" (PDMA_ADAPTER, ULONG, PVOID) -> NTSTATUS;
    cancel_adapter_channel "CancelAdapterChannel" (PDMA_ADAPTER, PDEVICE_OBJECT, PVOID) -> BOOLEAN;
    map_transfer_ex "MapTransferEx" (PDMA_ADAPTER, PMDL, PVOID, u64, ULONG, PULONG, BOOLEAN, PSCATTER_GATHER_LIST, ULONG, CompletionRoutine, PVOID) -> NTSTATUS;
    get_scatter_gather_list_ex "GetScatterGatherListEx" (PDMA_ADAPTER, PDEVICE_OBJECT, PVOID, PMDL, u64, ULONG, ULONG, PDRIVER_LIST_CONTROL, PVOID, BOOLEAN, CompletionRoutine, PVOID, *mut PSCATTER_GATHER_LIST) -> NTSTATUS;
    build_scatter_gather_list_ex "BuildScatterGatherListEx" (PDMA_ADAPTER, PDEVICE_OBJECT, PVOID, PMDL, u64, ULONG, ULONG, PDRIVER_LIST_CONTROL, PVOID, BOOLEAN, PVOID, ULONG, CompletionRoutine, PVOID, PVOID) -> NTSTATUS;
    flush_adapter_buffers_ex "FlushAdapterBuffersEx" (PDMA_ADAPTER, PMDL, PVOID, u64, ULONG, BOOLEAN) -> NTSTATUS;
    free_adapter_object "FreeAdapterObject" (PDMA_ADAPTER, IO_ALLOCATION_ACTION);
    cancel_mapped_transfer "CancelMappedTransfer" (PDMA_ADAPTER, PVOID) -> NTSTATUS;
}
