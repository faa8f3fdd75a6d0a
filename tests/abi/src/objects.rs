//! Drivers, devices, files, and what is waited for.

use windows_sys::{Wdk::Foundation as wdk, Wdk::System::SystemServices as services};

same_layout!(
    wdk_sys::DRIVER_OBJECT,
    wdk::DRIVER_OBJECT {
        Type,
        Size,
        DeviceObject,
        Flags,
        DriverStart,
        DriverSize,
        DriverSection,
        DriverExtension,
        DriverName,
        HardwareDatabase,
        FastIoDispatch,
        DriverInit,
        DriverStartIo,
        DriverUnload,
        MajorFunction,
    }
);
same_layout!(
    wdk_sys::DRIVER_EXTENSION,
    wdk::DRIVER_EXTENSION {
        DriverObject,
        AddDevice,
        Count,
        ServiceKeyName,
    }
);
same_layout!(
    wdk_sys::DEVICE_OBJECT,
    wdk::DEVICE_OBJECT {
        Type,
        Size,
        ReferenceCount,
        DriverObject,
        NextDevice,
        AttachedDevice,
        CurrentIrp,
        Timer,
        Flags,
        Characteristics,
        Vpb,
        DeviceExtension,
        DeviceType,
        StackSize,
        Queue,
        AlignmentRequirement,
        DeviceQueue,
        Dpc,
        ActiveThreadCount,
        SecurityDescriptor,
        DeviceLock,
        SectorSize,
        Spare1,
        DeviceObjectExtension,
        Reserved,
    }
);
same_layout!(
    wdk_sys::FILE_OBJECT,
    wdk::FILE_OBJECT {
        Type,
        Size,
        DeviceObject,
        Vpb,
        FsContext,
        FsContext2,
        FinalStatus,
        RelatedFileObject,
        ReadAccess,
        WriteAccess,
        Flags,
        FileName,
        CurrentByteOffset,
    }
);
same_layout!(
    wdk_sys::KDEVICE_QUEUE,
    wdk::KDEVICE_QUEUE {
        Type,
        Size,
        DeviceListHead,
        Lock
    }
);
same_layout!(
    wdk_sys::KDEVICE_QUEUE_ENTRY,
    services::KDEVICE_QUEUE_ENTRY {
        DeviceListEntry,
        SortKey,
        Inserted,
    }
);
same_layout!(
    wdk_sys::KDPC,
    wdk::KDPC {
        DpcListEntry,
        DeferredRoutine,
        DeferredContext,
        SystemArgument1,
        SystemArgument2,
        DpcData,
    }
);
same_layout!(
    wdk_sys::DISPATCHER_HEADER,
    wdk::DISPATCHER_HEADER {
        SignalState,
        WaitListHead
    }
);
same_layout!(wdk_sys::KEVENT, wdk::KEVENT { Header });
// The metadata is of the 32-bit structure, without the processor before `Period`.
same_layout!(
    wdk_sys::KTIMER,
    services::KTIMER {
        Header,
        DueTime,
        TimerListEntry,
        Dpc
    }
);
same_layout!(wdk_sys::IO_REMOVE_LOCK, services::IO_REMOVE_LOCK { Common });
same_layout!(
    wdk_sys::IO_REMOVE_LOCK_COMMON_BLOCK,
    services::IO_REMOVE_LOCK_COMMON_BLOCK {
        Removed,
        IoCount,
        RemoveEvent,
    }
);
same_layout!(
    wdk_sys::CONTROLLER_OBJECT,
    services::CONTROLLER_OBJECT {
        Type,
        Size,
        ControllerExtension,
        DeviceWaitQueue,
        Spare1,
        Spare2,
    }
);
same_layout!(
    wdk_sys::OBJECT_ATTRIBUTES,
    wdk::OBJECT_ATTRIBUTES {
        Length,
        RootDirectory,
        ObjectName,
        Attributes,
        SecurityDescriptor,
        SecurityQualityOfService,
    }
);
