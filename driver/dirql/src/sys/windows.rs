//! `wdk_sys`, and what it leaves out on x64.

// One name a line: lists that many changes add to then merge by themselves.
#[rustfmt::skip]
pub(crate) use wdk_sys::{
    BOOLEAN,
    CCHAR,
    CM_PARTIAL_RESOURCE_DESCRIPTOR,
    CM_RESOURCE_LIST,
    DEVICE_DESCRIPTION,
    DEVICE_OBJECT,
    DMA_ADAPTER,
    GROUP_AFFINITY,
    GUID,
    IO_CONNECT_INTERRUPT_FULLY_SPECIFIED_PARAMETERS,
    IO_CONNECT_INTERRUPT_LINE_BASED_PARAMETERS,
    IO_CONNECT_INTERRUPT_MESSAGE_BASED_PARAMETERS,
    IO_CONNECT_INTERRUPT_PARAMETERS,
    IO_DISCONNECT_INTERRUPT_PARAMETERS,
    IO_INTERRUPT_MESSAGE_INFO,
    IO_INTERRUPT_MESSAGE_INFO_ENTRY,
    IO_REMOVE_LOCK,
    IO_STACK_LOCATION,
    IRP,
    KDPC,
    KSPIN_LOCK,
    KTIMER,
    LARGE_INTEGER,
    MDL,
    NTSTATUS,
    PDRIVER_DISPATCH,
    PROCESSOR_NUMBER,
    PVOID,
    SCATTER_GATHER_ELEMENT,
    SCATTER_GATHER_LIST,
    ntddk::{
        IoAttachDeviceToDeviceStack,
        IoConnectInterruptEx,
        IoCreateDevice,
        IoDeleteDevice,
        IoDetachDevice,
        IoDisconnectInterruptEx,
        IoForwardIrpSynchronously,
        IoGetDmaAdapter,
        IoInitializeRemoveLockEx,
        IoRegisterDeviceInterface,
        IoReleaseRemoveLockAndWaitEx,
        IoSetDeviceInterfaceState,
        IoSetStartIoAttributes,
        KeAcquireInterruptSpinLock,
        KeBugCheckEx,
        KeCancelTimer,
        KeDelayExecutionThread,
        KeFlushQueuedDpcs,
        KeGetProcessorNumberFromIndex,
        KeInitializeDpc,
        KeInitializeThreadedDpc,
        KeInitializeTimerEx,
        KeQueryActiveProcessorCountEx,
        KeReleaseInterruptSpinLock,
        KeRemoveQueueDpc,
        KeRevertToUserGroupAffinityThread,
        KeSetImportanceDpc,
        KeSetSystemGroupAffinityThread,
        KeSetTargetProcessorDpcEx,
        KeSetTimerEx,
        MmMapIoSpaceEx,
        MmUnmapIoSpace,
        RtlFreeUnicodeString,
    },
};

// Timers of every kind, queued spin locks.
#[rustfmt::skip]
pub(crate) use wdk_sys::{
    KLOCK_QUEUE_HANDLE,
    ntddk::{
        IoInitializeTimer,
        IoStartTimer,
        IoStopTimer,
        KeSetCoalescableTimer,
    },
};

// Power; events, work items.
#[rustfmt::skip]
pub(crate) use wdk_sys::{
    DEVICE_POWER_STATE,
    KEVENT,
    POWER_STATE,
    POWER_STATE_TYPE,
    SYSTEM_POWER_STATE,
    WORK_QUEUE_TYPE,
    _IO_WORKITEM as IO_WORKITEM,
    ntddk::{
        IoAllocateWorkItem,
        IoFreeWorkItem,
        IoQueueWorkItem,
        IoQueueWorkItemEx,
        KeClearEvent,
        KeInitializeEvent,
        KeReadStateEvent,
        KeResetEvent,
        KeSetEvent,
        KeWaitForSingleObject,
        PoRequestPowerIrp,
        PoSetPowerState,
    },
};

// Drivers without PnP and their controller objects.
#[rustfmt::skip]
pub(crate) use wdk_sys::{
    CONTROLLER_OBJECT,
    IO_ALLOCATION_ACTION,
    ntddk::{
        ExFreePool,
        HalGetBusDataByOffset,
        HalTranslateBusAddress,
        IoAllocateController,
        IoAssignResources,
        IoConnectInterrupt,
        IoCreateController,
        IoCreateSymbolicLink,
        IoDeleteController,
        IoDeleteSymbolicLink,
        IoDisconnectInterrupt,
        IoFreeController,
    },
};

/// `PCIConfiguration`.
pub(crate) const PCI_CONFIGURATION: wdk_sys::BUS_DATA_TYPE =
    wdk_sys::_BUS_DATA_TYPE::PCIConfiguration;
/// `PCIBus`.
pub(crate) const PCI_BUS: wdk_sys::INTERFACE_TYPE = wdk_sys::_INTERFACE_TYPE::PCIBus;
/// `KeepObject`.
pub(crate) const KEEP_OBJECT: IO_ALLOCATION_ACTION = wdk_sys::_IO_ALLOCATION_ACTION::KeepObject;
/// `DeallocateObject`.
pub(crate) const DEALLOCATE_OBJECT: IO_ALLOCATION_ACTION =
    wdk_sys::_IO_ALLOCATION_ACTION::DeallocateObject;

// The headers leave them out where NO_LEGACY_DRIVERS is defined, as the bindings do.
unsafe extern "C" {
    pub(crate) fn HalAssignSlotResources(
        registry_path: *mut wdk_sys::UNICODE_STRING,
        driver_class_name: *mut wdk_sys::UNICODE_STRING,
        driver_object: *mut wdk_sys::DRIVER_OBJECT,
        device_object: *mut DEVICE_OBJECT,
        bus_type: wdk_sys::INTERFACE_TYPE,
        bus_number: wdk_sys::ULONG,
        slot_number: wdk_sys::ULONG,
        allocated_resources: *mut *mut CM_RESOURCE_LIST,
    ) -> NTSTATUS;
    pub(crate) fn HalGetInterruptVector(
        interface_type: wdk_sys::INTERFACE_TYPE,
        bus_number: wdk_sys::ULONG,
        bus_interrupt_level: wdk_sys::ULONG,
        bus_interrupt_vector: wdk_sys::ULONG,
        irql: *mut wdk_sys::KIRQL,
        affinity: *mut wdk_sys::KAFFINITY,
    ) -> wdk_sys::ULONG;
}

// Pool, strings, the registry, device properties.
pub(crate) use wdk_sys::{
    HANDLE, KEY_READ, OBJ_CASE_INSENSITIVE, OBJ_KERNEL_HANDLE, OBJECT_ATTRIBUTES,
    ntddk::{
        ExFreePoolWithTag, IoGetDeviceProperty, RtlEqualUnicodeString, ZwClose, ZwOpenKey,
        ZwQueryValueKey,
    },
};

// Queues of IRPs, and cancellation.
pub(crate) use wdk_sys::{
    _IO_CSQ as IO_CSQ, FILE_OBJECT, IO_CSQ_IRP_CONTEXT, KDEVICE_QUEUE, KDEVICE_QUEUE_ENTRY,
    LIST_ENTRY, ntddk::IoCsqInitializeEx,
};

pub(crate) use wdk_sys::{
    _IO_CONNECT_INTERRUPT_MESSAGE_BASED_PARAMETERS__bindgen_ty_1 as MessageConnectionContext,
    _IO_DISCONNECT_INTERRUPT_PARAMETERS__bindgen_ty_1 as DisconnectContext,
    _KINTERRUPT as KINTERRUPT, IO_STATUS_BLOCK, IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_CREATE,
    IRP_MJ_DEVICE_CONTROL, IRP_MJ_PNP, IRP_MJ_POWER, IRP_MJ_READ, IRP_MJ_SYSTEM_CONTROL,
    IRP_MJ_WRITE, IRP_MN_CANCEL_REMOVE_DEVICE, IRP_MN_CANCEL_STOP_DEVICE,
    IRP_MN_QUERY_REMOVE_DEVICE, IRP_MN_QUERY_STOP_DEVICE, IRP_MN_REMOVE_DEVICE,
    IRP_MN_START_DEVICE, IRP_MN_STOP_DEVICE, IRP_MN_SURPRISE_REMOVAL, ULONG_PTR as Parameter,
};

/// `KernelMode`.
pub(crate) const KERNEL_MODE: wdk_sys::KPROCESSOR_MODE = 0;
/// `NotificationTimer`.
pub(crate) const NOTIFICATION_TIMER: wdk_sys::TIMER_TYPE = wdk_sys::_TIMER_TYPE::NotificationTimer;
/// `LowImportance`.
pub(crate) const LOW_IMPORTANCE: wdk_sys::KDPC_IMPORTANCE =
    wdk_sys::_KDPC_IMPORTANCE::LowImportance;
/// `MediumImportance`.
pub(crate) const MEDIUM_IMPORTANCE: wdk_sys::KDPC_IMPORTANCE =
    wdk_sys::_KDPC_IMPORTANCE::MediumImportance;
/// `MediumHighImportance`.
pub(crate) const MEDIUM_HIGH_IMPORTANCE: wdk_sys::KDPC_IMPORTANCE =
    wdk_sys::_KDPC_IMPORTANCE::MediumHighImportance;
/// `HighImportance`.
pub(crate) const HIGH_IMPORTANCE: wdk_sys::KDPC_IMPORTANCE =
    wdk_sys::_KDPC_IMPORTANCE::HighImportance;
/// `LevelSensitive`.
pub(crate) const LEVEL_SENSITIVE: wdk_sys::KINTERRUPT_MODE =
    wdk_sys::_KINTERRUPT_MODE::LevelSensitive;
/// `Latched`.
pub(crate) const LATCHED: wdk_sys::KINTERRUPT_MODE = wdk_sys::_KINTERRUPT_MODE::Latched;

/// `NotificationEvent`.
pub(crate) const NOTIFICATION_EVENT: wdk_sys::EVENT_TYPE = wdk_sys::_EVENT_TYPE::NotificationEvent;
/// `SynchronizationEvent`.
pub(crate) const SYNCHRONIZATION_EVENT: wdk_sys::EVENT_TYPE =
    wdk_sys::_EVENT_TYPE::SynchronizationEvent;
/// `Executive`.
pub(crate) const EXECUTIVE: wdk_sys::KWAIT_REASON = wdk_sys::_KWAIT_REASON::Executive;

/// An event that was never initialised.
pub(crate) const fn zeroed_event() -> KEVENT {
    // SAFETY: as in `zeroed_timer`, fact 12.
    unsafe { core::mem::zeroed() }
}
/// `InterfaceTypeUndefined`: the system looks the bus up.
pub(crate) const INTERFACE_TYPE_UNDEFINED: wdk_sys::INTERFACE_TYPE =
    wdk_sys::_INTERFACE_TYPE::InterfaceTypeUndefined;
/// `DeallocateObjectKeepRegisters`.
pub(crate) const DEALLOCATE_OBJECT_KEEP_REGISTERS: IO_ALLOCATION_ACTION =
    wdk_sys::_IO_ALLOCATION_ACTION::DeallocateObjectKeepRegisters;

/// A timer that was never initialised.
pub(crate) const fn zeroed_timer() -> KTIMER {
    // SAFETY: a KTIMER is integers, pointers and unions of those; zero is valid for all,
    // fact 12.
    unsafe { core::mem::zeroed() }
}

/// A DPC that was never initialised.
pub(crate) const fn zeroed_dpc() -> KDPC {
    // SAFETY: as in `zeroed_timer`, fact 12.
    unsafe { core::mem::zeroed() }
}

/// A cancel-safe queue that was never initialised.
pub(crate) const fn zeroed_csq() -> IO_CSQ {
    // SAFETY: integers, pointers and optional functions; zero is valid for all, fact 12.
    unsafe { core::mem::zeroed() }
}

/// A context of a cancel-safe queue that was never used.
pub(crate) const fn zeroed_csq_context() -> IO_CSQ_IRP_CONTEXT {
    // SAFETY: as in `zeroed_csq`, fact 12.
    unsafe { core::mem::zeroed() }
}

/// The two fields of a status block.
pub(crate) const fn io_status(status: NTSTATUS, information: usize) -> IO_STATUS_BLOCK {
    IO_STATUS_BLOCK {
        __bindgen_anon_1: wdk_sys::_IO_STATUS_BLOCK__bindgen_ty_1 { Status: status },
        Information: information as u64,
    }
}

/// `NonPagedPoolNx`.
pub(crate) const NON_PAGED_POOL_NX: wdk_sys::POOL_TYPE = wdk_sys::_POOL_TYPE::NonPagedPoolNx;
/// `KeyValuePartialInformation`.
pub(crate) const KEY_VALUE_PARTIAL_INFORMATION_CLASS: wdk_sys::KEY_VALUE_INFORMATION_CLASS =
    wdk_sys::_KEY_VALUE_INFORMATION_CLASS::KeyValuePartialInformation;

// The bindings leave it out because it is deprecated; the routine that replaces it is
// not there before Windows 10, version 2004.
unsafe extern "C" {
    pub(crate) fn ExAllocatePoolWithTag(
        pool_type: wdk_sys::POOL_TYPE,
        number_of_bytes: wdk_sys::SIZE_T,
        tag: wdk_sys::ULONG,
    ) -> PVOID;
}

/// Declares routines that are called where time counts, and checks them against the
/// bindings.
///
/// The bindings are not told that these come from another image, so a call of one goes
/// through a jump that the linker makes. `#[link]` says so, and the call is direct, as
/// in C.
macro_rules! called_directly {
    ($($name:ident: fn($($kind:ty),* $(,)?) $(-> $result:ty)?;)*) => {
        #[link(name = "ntoskrnl")]
        unsafe extern "C" {
            $(pub(crate) fn $name($(_: $kind),*) $(-> $result)?;)*
        }

        $(const _: [unsafe extern "C" fn($($kind),*) $(-> $result)?; 2] =
            [$name, wdk_sys::ntddk::$name];)*
    };
}

called_directly! {
    IoAcquireCancelSpinLock: fn(*mut u8);
    IoAcquireRemoveLockEx: fn(*mut IO_REMOVE_LOCK, PVOID, wdk_sys::PCSTR, u32, u32) -> NTSTATUS;
    IoCsqInsertIrpEx: fn(*mut IO_CSQ, *mut IRP, *mut IO_CSQ_IRP_CONTEXT, PVOID) -> NTSTATUS;
    IoCsqRemoveIrp: fn(*mut IO_CSQ, *mut IO_CSQ_IRP_CONTEXT) -> *mut IRP;
    IoCsqRemoveNextIrp: fn(*mut IO_CSQ, PVOID) -> *mut IRP;
    IoReleaseCancelSpinLock: fn(u8);
    IoReleaseRemoveLockEx: fn(*mut IO_REMOVE_LOCK, PVOID, u32);
    IoStartNextPacket: fn(*mut DEVICE_OBJECT, BOOLEAN);
    IoStartNextPacketByKey: fn(*mut DEVICE_OBJECT, BOOLEAN, u32);
    IoStartPacket: fn(*mut DEVICE_OBJECT, *mut IRP, *mut u32, wdk_sys::PDRIVER_CANCEL);
    IofCallDriver: fn(*mut DEVICE_OBJECT, *mut IRP) -> NTSTATUS;
    IofCompleteRequest: fn(*mut IRP, CCHAR);
    KeAcquireInStackQueuedSpinLock: fn(*mut KSPIN_LOCK, *mut KLOCK_QUEUE_HANDLE);
    KeAcquireInStackQueuedSpinLockAtDpcLevel: fn(*mut KSPIN_LOCK, *mut KLOCK_QUEUE_HANDLE);
    KeAcquireInStackQueuedSpinLockForDpc: fn(*mut KSPIN_LOCK, *mut KLOCK_QUEUE_HANDLE);
    KeAcquireSpinLockForDpc: fn(*mut KSPIN_LOCK) -> u8;
    KeReleaseInStackQueuedSpinLock: fn(*mut KLOCK_QUEUE_HANDLE);
    KeReleaseInStackQueuedSpinLockForDpc: fn(*mut KLOCK_QUEUE_HANDLE);
    KeReleaseInStackQueuedSpinLockFromDpcLevel: fn(*mut KLOCK_QUEUE_HANDLE);
    KeReleaseSpinLockForDpc: fn(*mut KSPIN_LOCK, u8);
    KeAcquireSpinLockAtDpcLevel: fn(*mut KSPIN_LOCK);
    KeAcquireSpinLockRaiseToDpc: fn(*mut KSPIN_LOCK) -> u8;
    KeInsertQueueDpc: fn(*mut KDPC, PVOID, PVOID) -> BOOLEAN;
    KeQueryPerformanceCounter: fn(*mut LARGE_INTEGER) -> LARGE_INTEGER;
    KeReleaseSpinLock: fn(*mut KSPIN_LOCK, u8);
    KeReleaseSpinLockFromDpcLevel: fn(*mut KSPIN_LOCK);
    KeRemoveEntryDeviceQueue: fn(*mut KDEVICE_QUEUE, *mut KDEVICE_QUEUE_ENTRY) -> BOOLEAN;
    KeSynchronizeExecution: fn(*mut KINTERRUPT, wdk_sys::PKSYNCHRONIZE_ROUTINE, PVOID) -> BOOLEAN;
}

// Its priority is a ULONG in the WDK, for flags are added to it, and an enumeration in
// mingw-w64's headers.
unsafe extern "C" {
    pub(crate) fn MmMapLockedPagesSpecifyCache(
        mdl: *mut MDL,
        mode: CCHAR,
        cache: i32,
        base: PVOID,
        bug_check_on_failure: u32,
        priority: u32,
    ) -> PVOID;
}

// Inline functions in some versions of the WDK's headers, exports in all versions
// of the kernel for x64. Called directly, as above.
#[link(name = "ntoskrnl")]
unsafe extern "C" {
    pub(crate) fn KeGetCurrentIrql() -> u8;
    pub(crate) fn KfRaiseIrql(new: u8) -> u8;
    pub(crate) fn KeLowerIrql(new: u8);
    pub(crate) fn KeQuerySystemTimePrecise(time: *mut LARGE_INTEGER);
    pub(crate) fn KeGetCurrentProcessorNumberEx(number: *mut core::ffi::c_void) -> u32;
}

// Windows 8 and later; the headers of the stand-in are older. The parameters are those of a
// disconnect: version and connection context.
unsafe extern "C" {
    pub(crate) fn IoReportInterruptActive(parameters: *mut IO_DISCONNECT_INTERRUPT_PARAMETERS);
    pub(crate) fn IoReportInterruptInactive(parameters: *mut IO_DISCONNECT_INTERRUPT_PARAMETERS);
}
