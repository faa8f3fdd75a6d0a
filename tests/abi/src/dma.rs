//! The DMA interface, whose version 3 is newer than mingw-w64's headers.

use windows_sys::Wdk::System::SystemServices as services;

same_layout!(
    wdk_sys::DEVICE_DESCRIPTION,
    services::DEVICE_DESCRIPTION {
        Version,
        Master,
        ScatterGather,
        DemandMode,
        AutoInitialize,
        Dma32BitAddresses,
        IgnoreCount,
        Reserved1,
        Dma64BitAddresses,
        BusNumber,
        DmaChannel,
        InterfaceType,
        DmaWidth,
        DmaSpeed,
        MaximumLength,
        DmaPort,
        DmaAddressWidth,
        DmaControllerInstance,
        DmaRequestLine,
        DeviceAddress,
    }
);
same_layout!(
    wdk_sys::DMA_ADAPTER,
    services::DMA_ADAPTER {
        Version,
        Size,
        DmaOperations,
    }
);
same_layout!(
    wdk_sys::DMA_OPERATIONS,
    services::DMA_OPERATIONS {
        Size,
        PutDmaAdapter,
        AllocateCommonBuffer,
        FreeCommonBuffer,
        AllocateAdapterChannel,
        FlushAdapterBuffers,
        FreeAdapterChannel,
        FreeMapRegisters,
        MapTransfer,
        GetDmaAlignment,
        ReadDmaCounter,
        GetScatterGatherList,
        PutScatterGatherList,
        CalculateScatterGatherList,
        BuildScatterGatherList,
        BuildMdlFromScatterGatherList,
        GetDmaAdapterInfo,
        GetDmaTransferInfo,
        InitializeDmaTransferContext,
        AllocateCommonBufferEx,
        AllocateAdapterChannelEx,
        ConfigureAdapterChannel,
        CancelAdapterChannel,
        MapTransferEx,
        GetScatterGatherListEx,
        BuildScatterGatherListEx,
        FlushAdapterBuffersEx,
        FreeAdapterObject,
        CancelMappedTransfer,
        AllocateDomainCommonBuffer,
        FlushDmaBuffer,
        JoinDmaDomain,
        LeaveDmaDomain,
        GetDmaDomain,
        AllocateCommonBufferWithBounds,
        AllocateCommonBufferVector,
        GetCommonBufferFromVectorByIndex,
        FreeCommonBufferFromVector,
        FreeCommonBufferVector,
        CreateCommonBufferFromMdl,
    }
);
same_layout!(
    wdk_sys::SCATTER_GATHER_ELEMENT,
    services::SCATTER_GATHER_ELEMENT {
        Address,
        Length,
        Reserved,
    }
);
same_layout!(
    wdk_sys::DMA_ADAPTER_INFO,
    services::DMA_ADAPTER_INFO {
        Version,
        __bindgen_anon_1.V1.DmaAddressWidth = Anonymous.V1.DmaAddressWidth,
        __bindgen_anon_1.V1.Flags = Anonymous.V1.Flags,
        __bindgen_anon_1.V1.MinimumTransferUnit = Anonymous.V1.MinimumTransferUnit,
    }
);
same_layout!(
    wdk_sys::DMA_TRANSFER_INFO,
    services::DMA_TRANSFER_INFO {
        Version,
        __bindgen_anon_1.V1.MapRegisterCount = Anonymous.V1.MapRegisterCount,
        __bindgen_anon_1.V1.ScatterGatherElementCount = Anonymous.V1.ScatterGatherElementCount,
        __bindgen_anon_1.V1.ScatterGatherListSize = Anonymous.V1.ScatterGatherListSize,
    }
);
