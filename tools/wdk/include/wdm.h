/*
 * mingw-w64's wdm.h, with the routine that the WDK declares as a kernel export
 * on x64 and mingw-w64 defines inline, where bindgen cannot see it, and with the
 * members that Windows 8 and 10 added to two structures of the DMA interface.
 */
#pragma once

/* Named before the structures that refer to them. */
struct _DMA_ADAPTER_INFO;
struct _DMA_TRANSFER_INFO;
struct _DMA_COMMON_BUFFER_VECTOR;
struct _DMA_COMMON_BUFFER_EXTENDED_CONFIGURATION;

/* DEVICE_DESCRIPTION: what follows DmaPort since Windows 8. */
#define DmaPort                                                                \
    DmaPort;                                                                   \
    ULONG DmaAddressWidth;                                                     \
    ULONG DmaControllerInstance;                                               \
    ULONG DmaRequestLine;                                                      \
    PHYSICAL_ADDRESS DeviceAddress

/*
 * DMA_OPERATIONS: what follows BuildMdlFromScatterGatherList, up to
 * CancelMappedTransfer since Windows 8, the rest since Windows 10.
 */
#define BuildMdlFromScatterGatherList                                          \
    BuildMdlFromScatterGatherList;                                             \
    NTSTATUS (NTAPI *GetDmaAdapterInfo)(PDMA_ADAPTER DmaAdapter,               \
        struct _DMA_ADAPTER_INFO *AdapterInfo);                                \
    NTSTATUS (NTAPI *GetDmaTransferInfo)(PDMA_ADAPTER DmaAdapter, PMDL Mdl,    \
        ULONGLONG Offset, ULONG Length, BOOLEAN WriteOnly,                     \
        struct _DMA_TRANSFER_INFO *TransferInfo);                              \
    NTSTATUS (NTAPI *InitializeDmaTransferContext)(PDMA_ADAPTER DmaAdapter,    \
        PVOID DmaTransferContext);                                             \
    PVOID (NTAPI *AllocateCommonBufferEx)(PDMA_ADAPTER DmaAdapter,             \
        PPHYSICAL_ADDRESS MaximumAddress, ULONG Length,                        \
        PPHYSICAL_ADDRESS LogicalAddress, BOOLEAN CacheEnabled,                \
        ULONG PreferredNode);                                                  \
    NTSTATUS (NTAPI *AllocateAdapterChannelEx)(PDMA_ADAPTER DmaAdapter,        \
        PDEVICE_OBJECT DeviceObject, PVOID DmaTransferContext,                 \
        ULONG NumberOfMapRegisters, ULONG Flags,                               \
        PDRIVER_CONTROL ExecutionRoutine, PVOID ExecutionContext,              \
        PVOID *MapRegisterBase);                                               \
    NTSTATUS (NTAPI *ConfigureAdapterChannel)(PDMA_ADAPTER DmaAdapter,         \
        ULONG FunctionNumber, PVOID Context);                                  \
    BOOLEAN (NTAPI *CancelAdapterChannel)(PDMA_ADAPTER DmaAdapter,             \
        PDEVICE_OBJECT DeviceObject, PVOID DmaTransferContext);                \
    NTSTATUS (NTAPI *MapTransferEx)(PDMA_ADAPTER DmaAdapter, PMDL Mdl,         \
        PVOID MapRegisterBase, ULONGLONG Offset, ULONG DeviceOffset,           \
        PULONG Length, BOOLEAN WriteToDevice,                                  \
        struct _SCATTER_GATHER_LIST *ScatterGatherBuffer,                      \
        ULONG ScatterGatherBufferLength,                                       \
        VOID (NTAPI *DmaCompletionRoutine)(PDMA_ADAPTER, PDEVICE_OBJECT,       \
            PVOID, DMA_COMPLETION_STATUS),                                     \
        PVOID CompletionContext);                                              \
    NTSTATUS (NTAPI *GetScatterGatherListEx)(PDMA_ADAPTER DmaAdapter,          \
        PDEVICE_OBJECT DeviceObject, PVOID DmaTransferContext, PMDL Mdl,       \
        ULONGLONG Offset, ULONG Length, ULONG Flags,                           \
        PDRIVER_LIST_CONTROL ExecutionRoutine, PVOID Context,                  \
        BOOLEAN WriteToDevice,                                                 \
        VOID (NTAPI *DmaCompletionRoutine)(PDMA_ADAPTER, PDEVICE_OBJECT,       \
            PVOID, DMA_COMPLETION_STATUS),                                     \
        PVOID CompletionContext,                                               \
        struct _SCATTER_GATHER_LIST **ScatterGatherList);                      \
    NTSTATUS (NTAPI *BuildScatterGatherListEx)(PDMA_ADAPTER DmaAdapter,        \
        PDEVICE_OBJECT DeviceObject, PVOID DmaTransferContext, PMDL Mdl,       \
        ULONGLONG Offset, ULONG Length, ULONG Flags,                           \
        PDRIVER_LIST_CONTROL ExecutionRoutine, PVOID Context,                  \
        BOOLEAN WriteToDevice, PVOID ScatterGatherBuffer,                      \
        ULONG ScatterGatherLength,                                             \
        VOID (NTAPI *DmaCompletionRoutine)(PDMA_ADAPTER, PDEVICE_OBJECT,       \
            PVOID, DMA_COMPLETION_STATUS),                                     \
        PVOID CompletionContext,                                               \
        PVOID ScatterGatherList);                                              \
    NTSTATUS (NTAPI *FlushAdapterBuffersEx)(PDMA_ADAPTER DmaAdapter, PMDL Mdl, \
        PVOID MapRegisterBase, ULONGLONG Offset, ULONG Length,                 \
        BOOLEAN WriteToDevice);                                                \
    VOID (NTAPI *FreeAdapterObject)(PDMA_ADAPTER DmaAdapter,                   \
        IO_ALLOCATION_ACTION AllocationAction);                                \
    NTSTATUS (NTAPI *CancelMappedTransfer)(PDMA_ADAPTER DmaAdapter,            \
        PVOID DmaTransferContext);                                             \
    NTSTATUS (NTAPI *AllocateDomainCommonBuffer)(PDMA_ADAPTER DmaAdapter,      \
        HANDLE DomainHandle, PPHYSICAL_ADDRESS MaximumAddress, ULONG Length,   \
        ULONG Flags, MEMORY_CACHING_TYPE *CacheType, ULONG PreferredNode,      \
        PPHYSICAL_ADDRESS LogicalAddress, PVOID *VirtualAddress);              \
    NTSTATUS (NTAPI *FlushDmaBuffer)(PDMA_ADAPTER DmaAdapter, PMDL Mdl,        \
        BOOLEAN ReadOperation);                                                \
    NTSTATUS (NTAPI *JoinDmaDomain)(PDMA_ADAPTER DmaAdapter,                   \
        HANDLE DomainHandle);                                                  \
    NTSTATUS (NTAPI *LeaveDmaDomain)(PDMA_ADAPTER DmaAdapter);                 \
    HANDLE (NTAPI *GetDmaDomain)(PDMA_ADAPTER DmaAdapter);                     \
    PVOID (NTAPI *AllocateCommonBufferWithBounds)(PDMA_ADAPTER DmaAdapter,     \
        PPHYSICAL_ADDRESS MinimumAddress, PPHYSICAL_ADDRESS MaximumAddress,    \
        ULONG Length, ULONG Flags, MEMORY_CACHING_TYPE *CacheType,             \
        ULONG PreferredNode, PPHYSICAL_ADDRESS LogicalAddress);                \
    NTSTATUS (NTAPI *AllocateCommonBufferVector)(PDMA_ADAPTER DmaAdapter,      \
        PHYSICAL_ADDRESS LowAddress, PHYSICAL_ADDRESS HighAddress,             \
        MEMORY_CACHING_TYPE CacheType, ULONG IdealNode, ULONG Flags,           \
        ULONG NumberOfElements, ULONGLONG SizeOfElements,                      \
        struct _DMA_COMMON_BUFFER_VECTOR **VectorOut);                         \
    VOID (NTAPI *GetCommonBufferFromVectorByIndex)(PDMA_ADAPTER DmaAdapter,    \
        struct _DMA_COMMON_BUFFER_VECTOR *Vector, ULONG Index,                 \
        PVOID *VirtualAddressOut, PPHYSICAL_ADDRESS LogicalAddressOut);        \
    VOID (NTAPI *FreeCommonBufferFromVector)(PDMA_ADAPTER DmaAdapter,          \
        struct _DMA_COMMON_BUFFER_VECTOR *Vector, ULONG Index);                \
    VOID (NTAPI *FreeCommonBufferVector)(PDMA_ADAPTER DmaAdapter,              \
        struct _DMA_COMMON_BUFFER_VECTOR *Vector);                             \
    NTSTATUS (NTAPI *CreateCommonBufferFromMdl)(PDMA_ADAPTER DmaAdapter,       \
        PMDL Mdl,                                                              \
        struct _DMA_COMMON_BUFFER_EXTENDED_CONFIGURATION *ExtendedConfigs,     \
        ULONG ExtendedConfigsCount, PPHYSICAL_ADDRESS LogicalAddress)

#define KeGetCurrentIrql stand_in_inline_KeGetCurrentIrql
#include_next <wdm.h>
#undef KeGetCurrentIrql
#undef DmaPort
#undef BuildMdlFromScatterGatherList

NTHALAPI KIRQL NTAPI KeGetCurrentIrql(VOID);

/* Windows 8: version 3 of the DMA interface. */

#define DEVICE_DESCRIPTION_VERSION3       0x0003

#define DMA_ADAPTER_INFO_VERSION1         1
#define ADAPTER_INFO_SYNCHRONOUS_CALLBACK 0x0001
#define ADAPTER_INFO_API_BYPASS           0x0002

typedef struct _DMA_ADAPTER_INFO_V1 {
    ULONG ReadDmaCounterAvailable;
    ULONG ScatterGatherLimit;
    ULONG DmaAddressWidth;
    ULONG Flags;
    ULONG MinimumTransferUnit;
} DMA_ADAPTER_INFO_V1, *PDMA_ADAPTER_INFO_V1;

typedef struct _DMA_ADAPTER_INFO_CRASHDUMP {
    DEVICE_DESCRIPTION DeviceDescription;
    SIZE_T DeviceIdSize;
    PVOID DeviceId;
} DMA_ADAPTER_INFO_CRASHDUMP, *PDMA_ADAPTER_INFO_CRASHDUMP;

typedef struct _DMA_ADAPTER_INFO {
    ULONG Version;
    union {
        DMA_ADAPTER_INFO_V1 V1;
        DMA_ADAPTER_INFO_CRASHDUMP Crashdump;
    };
} DMA_ADAPTER_INFO, *PDMA_ADAPTER_INFO;

#define DMA_TRANSFER_INFO_VERSION1        1
#define DMA_TRANSFER_INFO_VERSION2        2
#define DMA_TRANSFER_CONTEXT_VERSION1     1
#define DMA_TRANSFER_CONTEXT_SIZE_V1      128
#define DMA_SYNCHRONOUS_CALLBACK          0x01

typedef struct _DMA_TRANSFER_INFO_V1 {
    ULONG MapRegisterCount;
    ULONG ScatterGatherElementCount;
    ULONG ScatterGatherListSize;
} DMA_TRANSFER_INFO_V1, *PDMA_TRANSFER_INFO_V1;

typedef struct _DMA_TRANSFER_INFO_V2 {
    ULONG MapRegisterCount;
    ULONG ScatterGatherElementCount;
    ULONG ScatterGatherListSize;
    ULONG LogicalPageCount;
} DMA_TRANSFER_INFO_V2, *PDMA_TRANSFER_INFO_V2;

typedef struct _DMA_TRANSFER_INFO {
    ULONG Version;
    union {
        DMA_TRANSFER_INFO_V1 V1;
        DMA_TRANSFER_INFO_V2 V2;
    };
} DMA_TRANSFER_INFO, *PDMA_TRANSFER_INFO;
