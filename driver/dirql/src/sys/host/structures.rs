//! The kernel's structures, constants and routine types, as far as this crate uses them, in
//! no particular layout.

use core::ffi::c_void;

use super::super::CompletionRoutine;

pub(crate) type BOOLEAN = u8;
pub(crate) type CCHAR = i8;
/// Of a bug check.
pub(crate) type Parameter = u64;
pub(crate) type HANDLE = PVOID;
pub(crate) type IO_ALLOCATION_ACTION = i32;
pub(super) type ControllerControl = Option<
    unsafe extern "C" fn(*mut DEVICE_OBJECT, *mut IRP, PVOID, PVOID) -> IO_ALLOCATION_ACTION,
>;
pub(crate) type KSPIN_LOCK = u64;
/// See the WDK.
pub type NTSTATUS = i32;
pub(crate) type PVOID = *mut c_void;
pub(crate) type PDRIVER_DISPATCH =
    Option<unsafe extern "C" fn(*mut DEVICE_OBJECT, *mut IRP) -> NTSTATUS>;
pub(super) type ServiceRoutine = Option<unsafe extern "C" fn(*mut KINTERRUPT, PVOID) -> BOOLEAN>;
pub(super) type MessageServiceRoutine =
    Option<unsafe extern "C" fn(*mut KINTERRUPT, PVOID, u32) -> BOOLEAN>;
pub(super) type StartIoRoutine = Option<unsafe extern "C" fn(*mut DEVICE_OBJECT, *mut IRP)>;
pub(super) type CancelSlot = Option<unsafe extern "C" fn(*mut DEVICE_OBJECT, *mut IRP)>;
pub(super) type CsqInsert = Option<unsafe extern "C" fn(*mut IO_CSQ, *mut IRP, PVOID) -> NTSTATUS>;
pub(super) type CsqRemove = Option<unsafe extern "C" fn(*mut IO_CSQ, *mut IRP)>;
pub(super) type CsqPeek = Option<unsafe extern "C" fn(*mut IO_CSQ, *mut IRP, PVOID) -> *mut IRP>;
pub(super) type CsqAcquire = Option<unsafe extern "C" fn(*mut IO_CSQ, *mut u8)>;
pub(super) type CsqRelease = Option<unsafe extern "C" fn(*mut IO_CSQ, u8)>;
pub(super) type DeferredRoutine = Option<unsafe extern "C" fn(*mut KDPC, PVOID, PVOID, PVOID)>;
pub(super) type WorkItemRoutine = Option<unsafe extern "C" fn(*mut DEVICE_OBJECT, PVOID)>;
pub(crate) type DEVICE_POWER_STATE = i32;
pub(crate) type SYSTEM_POWER_STATE = i32;
pub(crate) type POWER_STATE_TYPE = i32;
pub(crate) type WORK_QUEUE_TYPE = i32;
pub(super) type AdapterControl = Option<
    unsafe extern "C" fn(*mut DEVICE_OBJECT, *mut IRP, PVOID, PVOID) -> IO_ALLOCATION_ACTION,
>;
pub(super) type ListControl =
    Option<unsafe extern "C" fn(*mut DEVICE_OBJECT, *mut IRP, *mut SCATTER_GATHER_LIST, PVOID)>;
pub(super) type SynchronizeRoutine = Option<unsafe extern "C" fn(PVOID) -> BOOLEAN>;

pub(crate) const KERNEL_MODE: CCHAR = 0;
pub(crate) const NOTIFICATION_TIMER: i32 = 0;
pub(crate) const LOW_IMPORTANCE: i32 = 0;
pub(crate) const MEDIUM_IMPORTANCE: i32 = 1;
pub(crate) const HIGH_IMPORTANCE: i32 = 2;
pub(crate) const MEDIUM_HIGH_IMPORTANCE: i32 = 3;
pub(crate) const LEVEL_SENSITIVE: i32 = 0;
pub(crate) const LATCHED: i32 = 1;
pub(crate) const NON_PAGED_POOL_NX: i32 = 512;
pub(crate) const KEY_READ: u32 = 0x2_0019;
pub(crate) const KEY_VALUE_PARTIAL_INFORMATION_CLASS: i32 = 2;
pub(crate) const PCI_CONFIGURATION: i32 = 4;
pub(crate) const PCI_BUS: i32 = 5;
pub(crate) const KEEP_OBJECT: IO_ALLOCATION_ACTION = 1;
pub(crate) const DEALLOCATE_OBJECT: IO_ALLOCATION_ACTION = 2;
pub(crate) const OBJ_CASE_INSENSITIVE: u32 = 0x40;
pub(crate) const OBJ_KERNEL_HANDLE: u32 = 0x200;
pub(crate) const IRP_MJ_CREATE: u32 = 0;
pub(crate) const IRP_MJ_CLOSE: u32 = 2;
pub(crate) const IRP_MJ_READ: u32 = 3;
pub(crate) const IRP_MJ_WRITE: u32 = 4;
pub(crate) const IRP_MJ_DEVICE_CONTROL: u32 = 14;
pub(crate) const INTERFACE_TYPE_UNDEFINED: i32 = -1;
pub(crate) const DEALLOCATE_OBJECT_KEEP_REGISTERS: IO_ALLOCATION_ACTION = 3;
pub(crate) const IRP_MJ_CLEANUP: u32 = 18;
pub(crate) const IRP_MJ_POWER: u32 = 22;
pub(crate) const IRP_MJ_SYSTEM_CONTROL: u32 = 23;
pub(crate) const IRP_MJ_PNP: u32 = 27;
pub(crate) const IRP_MN_START_DEVICE: u32 = 0;
pub(crate) const IRP_MN_QUERY_REMOVE_DEVICE: u32 = 1;
pub(crate) const IRP_MN_REMOVE_DEVICE: u32 = 2;
pub(crate) const IRP_MN_CANCEL_REMOVE_DEVICE: u32 = 3;
pub(crate) const IRP_MN_STOP_DEVICE: u32 = 4;
pub(crate) const IRP_MN_QUERY_STOP_DEVICE: u32 = 5;
pub(crate) const IRP_MN_CANCEL_STOP_DEVICE: u32 = 6;
pub(crate) const IRP_MN_SURPRISE_REMOVAL: u32 = 23;

macro_rules! structures {
    ($($vis:vis struct $name:ident { $($field:ident: $kind:ty,)* })*) => {
        $(
            #[doc = "See the WDK."]
            #[derive(Clone, Copy)]
            #[repr(C)]
            $vis struct $name { $(pub(crate) $field: $kind,)* }
        )*
    };
}

/// Where a thread may run.
#[expect(dead_code, reason = "only a kernel with several processors reads it")]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct GROUP_AFFINITY {
    pub(crate) Mask: u64,
    pub(crate) Group: u16,
    pub(crate) Reserved: [u16; 3],
}

/// A processor.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PROCESSOR_NUMBER {
    pub(crate) Group: u16,
    pub(crate) Number: u8,
}

macro_rules! unions {
    ($($name:ident { $($field:ident: $kind:ty,)* })*) => {
        $(
            #[derive(Clone, Copy)]
            #[repr(C)]
            pub(crate) union $name { $(pub(crate) $field: $kind,)* }
        )*
    };
}

structures! {
    pub struct UNICODE_STRING { Length: u16, MaximumLength: u16, Buffer: *mut u16, }
    pub(crate) struct CONTROLLER_OBJECT { ControllerExtension: PVOID, }
    pub(crate) struct OBJECT_ATTRIBUTES {
        Length: u32, RootDirectory: HANDLE, ObjectName: *mut UNICODE_STRING, Attributes: u32,
        SecurityDescriptor: PVOID, SecurityQualityOfService: PVOID,
    }
    pub(crate) struct DRIVER_EXTENSION {
        AddDevice: Option<unsafe extern "C" fn(*mut DRIVER_OBJECT, *mut DEVICE_OBJECT) -> NTSTATUS>,
    }
    pub struct DRIVER_OBJECT {
        DeviceObject: *mut DEVICE_OBJECT,
        DriverExtension: *mut DRIVER_EXTENSION,
        DriverStartIo: StartIoRoutine,
        DriverUnload: Option<unsafe extern "C" fn(*mut DRIVER_OBJECT)>,
        MajorFunction: [PDRIVER_DISPATCH; 28],
    }
    pub(crate) struct DEVICE_OBJECT {
        Flags: u32, DeviceExtension: PVOID, Dpc: KDPC, CurrentIrp: *mut IRP,
        DeviceQueue: KDEVICE_QUEUE,
    }
    pub(crate) struct KDEVICE_QUEUE { reserved: usize, }
    pub(crate) struct KDEVICE_QUEUE_ENTRY { reserved: [usize; 3], }
    pub(crate) struct LIST_ENTRY { Flink: *mut LIST_ENTRY, Blink: *mut LIST_ENTRY, }
    pub(crate) struct IO_CSQ { reserved: [usize; 8], }
    pub(crate) struct IO_CSQ_IRP_CONTEXT { reserved: [usize; 3], }
    pub(crate) struct FILE_OBJECT { FileName: UNICODE_STRING, }
    pub(crate) struct GUID { Data1: u32, Data2: u16, Data3: u16, Data4: [u8; 8], }
    pub(crate) struct KINTERRUPT { reserved: usize, }
    pub(crate) struct KDPC { reserved: usize, }
    pub(crate) struct KTIMER { reserved: usize, }
    pub(crate) struct KLOCK_QUEUE_HANDLE { lock: *mut KSPIN_LOCK, old_irql: u8, }
    pub(crate) struct IO_REMOVE_LOCK { reserved: usize, }
    pub(crate) struct IO_STATUS_BLOCK { __bindgen_anon_1: StatusOrPointer, Information: u64, }
    pub(crate) struct Overlay {
        __bindgen_anon_1: OverlayContext, __bindgen_anon_2: OverlayQueue,
    }
    pub(crate) struct OverlayWords { DriverContext: [PVOID; 4], }
    pub(crate) struct OverlayQueue { ListEntry: LIST_ENTRY, __bindgen_anon_1: OverlayLocation, }
    pub(crate) struct IRP {
        MdlAddress: *mut MDL, AssociatedIrp: AssociatedIrp, IoStatus: IO_STATUS_BLOCK, CurrentLocation: CCHAR,
        Cancel: BOOLEAN, CancelIrql: u8, CancelRoutine: CancelSlot, Tail: Tail,
    }
    pub(crate) struct DeviceIoControl {
        OutputBufferLength: u32, InputBufferLength: u32, IoControlCode: u32,
    }
    pub(crate) struct Read { Length: u32, ByteOffset: LARGE_INTEGER, }
    pub(crate) struct StartDevice { AllocatedResourcesTranslated: *mut CM_RESOURCE_LIST, }
    pub(crate) struct IO_STACK_LOCATION {
        MajorFunction: u8, MinorFunction: u8, Control: u8, Parameters: Parameters,
        DeviceObject: *mut DEVICE_OBJECT, FileObject: *mut FILE_OBJECT,
        CompletionRoutine: CompletionRoutine, Context: PVOID,
    }
    pub(crate) struct IO_WORKITEM { reserved: usize, }
    pub(crate) struct Power { Type: POWER_STATE_TYPE, State: POWER_STATE, }
    pub(crate) struct MDL {
        MdlFlags: i16, MappedSystemVa: PVOID, StartVa: PVOID, ByteCount: u32, ByteOffset: u32,
    }
    pub(crate) struct DEVICE_DESCRIPTION {
        Version: u32, Master: BOOLEAN, ScatterGather: BOOLEAN, InterfaceType: i32,
        MaximumLength: u32, DmaAddressWidth: u32, BusNumber: u32,
    }
    pub(crate) struct DMA_ADAPTER { DmaOperations: *mut DMA_OPERATIONS, }
    pub(crate) struct DMA_OPERATIONS {
        PutDmaAdapter: Option<unsafe extern "C" fn(*mut DMA_ADAPTER)>,
        AllocateCommonBuffer: Option<
            unsafe extern "C" fn(*mut DMA_ADAPTER, u32, *mut LARGE_INTEGER, BOOLEAN) -> PVOID,
        >,
        FreeCommonBuffer:
            Option<unsafe extern "C" fn(*mut DMA_ADAPTER, u32, LARGE_INTEGER, PVOID, BOOLEAN)>,
        AllocateAdapterChannel: Option<
            unsafe extern "C" fn(
                *mut DMA_ADAPTER, *mut DEVICE_OBJECT, u32, AdapterControl, PVOID,
            ) -> NTSTATUS,
        >,
        FlushAdapterBuffers: Option<
            unsafe extern "C" fn(*mut DMA_ADAPTER, *mut MDL, PVOID, PVOID, u32, BOOLEAN) -> BOOLEAN,
        >,
        FreeMapRegisters: Option<unsafe extern "C" fn(*mut DMA_ADAPTER, PVOID, u32)>,
        MapTransfer: Option<
            unsafe extern "C" fn(
                *mut DMA_ADAPTER, *mut MDL, PVOID, PVOID, *mut u32, BOOLEAN,
            ) -> LARGE_INTEGER,
        >,
        GetScatterGatherList: Option<
            unsafe extern "C" fn(
                *mut DMA_ADAPTER, *mut DEVICE_OBJECT, *mut MDL, PVOID, u32, ListControl, PVOID,
                BOOLEAN,
            ) -> NTSTATUS,
        >,
        PutScatterGatherList:
            Option<unsafe extern "C" fn(*mut DMA_ADAPTER, *mut SCATTER_GATHER_LIST, BOOLEAN)>,
    }
    pub(crate) struct SCATTER_GATHER_ELEMENT { Address: LARGE_INTEGER, Length: u32, }
    pub(crate) struct SCATTER_GATHER_LIST {
        NumberOfElements: u32, Elements: [SCATTER_GATHER_ELEMENT; 1],
    }
    pub(crate) struct MemoryDescriptor { Start: LARGE_INTEGER, Length: u32, }
    pub(crate) struct InterruptDescriptor { Level: u32, Vector: u32, Affinity: u64, }
    pub(crate) struct CM_PARTIAL_RESOURCE_DESCRIPTOR {
        Type: u8, ShareDisposition: u8, Flags: u16, u: DescriptorUnion,
    }
    pub(crate) struct CM_PARTIAL_RESOURCE_LIST {
        Count: u32, PartialDescriptors: [CM_PARTIAL_RESOURCE_DESCRIPTOR; 1],
    }
    pub(crate) struct CM_FULL_RESOURCE_DESCRIPTOR { PartialResourceList: CM_PARTIAL_RESOURCE_LIST, }
    pub(crate) struct CM_RESOURCE_LIST { Count: u32, List: [CM_FULL_RESOURCE_DESCRIPTOR; 1], }
    pub(crate) struct IO_INTERRUPT_MESSAGE_INFO_ENTRY {
        InterruptObject: *mut KINTERRUPT, Vector: u32,
    }
    pub(crate) struct IO_INTERRUPT_MESSAGE_INFO {
        UnifiedIrql: u8, MessageCount: u32, MessageInfo: [IO_INTERRUPT_MESSAGE_INFO_ENTRY; 1],
    }
    pub(crate) struct IO_CONNECT_INTERRUPT_FULLY_SPECIFIED_PARAMETERS {
        PhysicalDeviceObject: *mut DEVICE_OBJECT, InterruptObject: *mut *mut KINTERRUPT,
        ServiceRoutine: ServiceRoutine, ServiceContext: PVOID, SpinLock: *mut KSPIN_LOCK,
        SynchronizeIrql: u8, FloatingSave: BOOLEAN, ShareVector: BOOLEAN, Vector: u32, Irql: u8,
        InterruptMode: i32, ProcessorEnableMask: u64, Group: u16,
    }
    pub(crate) struct IO_CONNECT_INTERRUPT_LINE_BASED_PARAMETERS {
        PhysicalDeviceObject: *mut DEVICE_OBJECT, InterruptObject: *mut *mut KINTERRUPT,
        ServiceRoutine: ServiceRoutine, ServiceContext: PVOID, SpinLock: *mut KSPIN_LOCK,
        SynchronizeIrql: u8, FloatingSave: BOOLEAN,
    }
    pub(crate) struct IO_CONNECT_INTERRUPT_MESSAGE_BASED_PARAMETERS {
        PhysicalDeviceObject: *mut DEVICE_OBJECT, ConnectionContext: MessageConnectionContext,
        MessageServiceRoutine: MessageServiceRoutine, ServiceContext: PVOID,
        SpinLock: *mut KSPIN_LOCK, SynchronizeIrql: u8, FloatingSave: BOOLEAN,
        FallBackServiceRoutine: ServiceRoutine,
    }
    pub(crate) struct IO_CONNECT_INTERRUPT_PARAMETERS {
        Version: u32, __bindgen_anon_1: ConnectUnion,
    }
    pub(crate) struct IO_DISCONNECT_INTERRUPT_PARAMETERS {
        Version: u32, ConnectionContext: DisconnectContext,
    }
}

unions! {
    LARGE_INTEGER { QuadPart: i64, }
    StatusOrPointer { Status: NTSTATUS, }
    AssociatedIrp { SystemBuffer: PVOID, }
    Tail { Overlay: Overlay, }
    OverlayContext {
        DeviceQueueEntry: KDEVICE_QUEUE_ENTRY, __bindgen_anon_1: OverlayWords,
    }
    OverlayLocation { CurrentStackLocation: *mut IO_STACK_LOCATION, }
    Parameters { DeviceIoControl: DeviceIoControl, Read: Read, StartDevice: StartDevice, Power: Power, }
    POWER_STATE { SystemState: SYSTEM_POWER_STATE, DeviceState: DEVICE_POWER_STATE, }
    DescriptorUnion { Memory: MemoryDescriptor, Interrupt: InterruptDescriptor, }
    MessageConnectionContext { Generic: *mut PVOID, }
    DisconnectContext { Generic: PVOID, }
    ConnectUnion {
        FullySpecified: IO_CONNECT_INTERRUPT_FULLY_SPECIFIED_PARAMETERS,
        LineBased: IO_CONNECT_INTERRUPT_LINE_BASED_PARAMETERS,
        MessageBased: IO_CONNECT_INTERRUPT_MESSAGE_BASED_PARAMETERS,
    }
}

impl Default for IO_CONNECT_INTERRUPT_PARAMETERS {
    fn default() -> Self {
        // SAFETY: integers, pointers and optional functions; zero is valid for all, fact
        // 12.
        unsafe { core::mem::zeroed() }
    }
}

impl core::fmt::Debug for KDPC {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(formatter, "KDPC({})", self.reserved)
    }
}

/// An IRP for a test that links some.
#[cfg(test)]
pub(crate) fn zeroed_irp() -> IRP {
    // SAFETY: integers, pointers and optional functions; zero is valid for all, fact 12.
    unsafe { core::mem::zeroed() }
}

pub(crate) const fn zeroed_csq() -> IO_CSQ {
    IO_CSQ { reserved: [0; 8] }
}

pub(crate) const fn zeroed_csq_context() -> IO_CSQ_IRP_CONTEXT {
    IO_CSQ_IRP_CONTEXT { reserved: [0; 3] }
}

impl Default for DEVICE_DESCRIPTION {
    fn default() -> Self {
        // SAFETY: integers; zero is valid for all, fact 12.
        unsafe { core::mem::zeroed() }
    }
}

pub(crate) const fn zeroed_timer() -> KTIMER {
    KTIMER { reserved: 0 }
}

pub(crate) const fn zeroed_dpc() -> KDPC {
    KDPC { reserved: 0 }
}

pub(crate) const fn io_status(status: NTSTATUS, information: usize) -> IO_STATUS_BLOCK {
    IO_STATUS_BLOCK {
        __bindgen_anon_1: StatusOrPointer { Status: status },
        Information: information as u64,
    }
}
