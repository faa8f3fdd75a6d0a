//! The names of `wdk_sys` for hosts that are not Windows.
//!
//! Structures have the fields that this crate uses, under the bindings' names, in no
//! particular layout. Routines answer as a kernel would that has one processor, no
//! devices and nobody to call back: IRQL and spin locks work, what needs a device
//! fails with its documented status or does nothing. That is enough for the types,
//! the documentation and the compile-fail tests; behaviour is tested in the rig.

#![expect(
    non_snake_case,
    reason = "the kernel's own names, as in the bindings that this stands for"
)]
#![expect(
    non_camel_case_types,
    reason = "the kernel's own names, as in the bindings that this stands for"
)]
#![expect(
    clippy::upper_case_acronyms,
    reason = "the kernel's own names, as in the bindings that this stands for"
)]
#![expect(
    clippy::too_many_arguments,
    reason = "the kernel's own signatures, as in the bindings that this stands for"
)]

mod events;

pub(crate) use events::*;

use core::ffi::c_void;
use std::cell::Cell;

use super::{CompletionRoutine, RequestPowerComplete};

pub(crate) type BOOLEAN = u8;
pub(crate) type CCHAR = i8;
/// Of a bug check.
pub(crate) type Parameter = u64;
pub(crate) type HANDLE = PVOID;
pub(crate) type IO_ALLOCATION_ACTION = i32;
type ControllerControl = Option<
    unsafe extern "C" fn(*mut DEVICE_OBJECT, *mut IRP, PVOID, PVOID) -> IO_ALLOCATION_ACTION,
>;
pub(crate) type KSPIN_LOCK = u64;
/// See the WDK.
pub type NTSTATUS = i32;
pub(crate) type PVOID = *mut c_void;
pub(crate) type PDRIVER_DISPATCH =
    Option<unsafe extern "C" fn(*mut DEVICE_OBJECT, *mut IRP) -> NTSTATUS>;
type ServiceRoutine = Option<unsafe extern "C" fn(*mut KINTERRUPT, PVOID) -> BOOLEAN>;
type MessageServiceRoutine = Option<unsafe extern "C" fn(*mut KINTERRUPT, PVOID, u32) -> BOOLEAN>;
type StartIoRoutine = Option<unsafe extern "C" fn(*mut DEVICE_OBJECT, *mut IRP)>;
type CancelSlot = Option<unsafe extern "C" fn(*mut DEVICE_OBJECT, *mut IRP)>;
type CsqInsert = Option<unsafe extern "C" fn(*mut IO_CSQ, *mut IRP, PVOID) -> NTSTATUS>;
type CsqRemove = Option<unsafe extern "C" fn(*mut IO_CSQ, *mut IRP)>;
type CsqPeek = Option<unsafe extern "C" fn(*mut IO_CSQ, *mut IRP, PVOID) -> *mut IRP>;
type CsqAcquire = Option<unsafe extern "C" fn(*mut IO_CSQ, *mut u8)>;
type CsqRelease = Option<unsafe extern "C" fn(*mut IO_CSQ, u8)>;
type DeferredRoutine = Option<unsafe extern "C" fn(*mut KDPC, PVOID, PVOID, PVOID)>;
type WorkItemRoutine = Option<unsafe extern "C" fn(*mut DEVICE_OBJECT, PVOID)>;
pub(crate) type DEVICE_POWER_STATE = i32;
pub(crate) type SYSTEM_POWER_STATE = i32;
pub(crate) type POWER_STATE_TYPE = i32;
pub(crate) type WORK_QUEUE_TYPE = i32;
type AdapterControl = Option<
    unsafe extern "C" fn(*mut DEVICE_OBJECT, *mut IRP, PVOID, PVOID) -> IO_ALLOCATION_ACTION,
>;
type ListControl =
    Option<unsafe extern "C" fn(*mut DEVICE_OBJECT, *mut IRP, *mut SCATTER_GATHER_LIST, PVOID)>;
type SynchronizeRoutine = Option<unsafe extern "C" fn(PVOID) -> BOOLEAN>;

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

/// System time counts from the one year, the host's from the other.
const SECONDS_1601_TO_1970: i64 = 11_644_473_600;
const STATUS_SUCCESS: NTSTATUS = 0;
const STATUS_NOT_FOUND: NTSTATUS = 0xC000_0225_u32.cast_signed();
const STATUS_OBJECT_NAME_NOT_FOUND: NTSTATUS = 0xC000_0034_u32.cast_signed();
const STATUS_NO_SUCH_DEVICE: NTSTATUS = 0xC000_000E_u32.cast_signed();

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

std::thread_local! {
    /// Each host thread is a processor of its own.
    static IRQL: Cell<u8> = const { Cell::new(0) };
}

pub(crate) unsafe fn KeGetCurrentIrql() -> u8 {
    IRQL.get()
}

pub(crate) unsafe fn KfRaiseIrql(new: u8) -> u8 {
    let old = IRQL.replace(new);
    assert!(old <= new, "KeRaiseIrql to a lower IRQL");
    old
}

pub(crate) unsafe fn KeLowerIrql(new: u8) {
    let old = IRQL.replace(new);
    assert!(new <= old, "KeLowerIrql to a higher IRQL");
}

pub(crate) unsafe fn KeGetCurrentProcessorNumberEx(_: PVOID) -> u32 {
    0
}

pub(crate) unsafe fn KeQueryActiveProcessorCountEx(_: u16) -> u32 {
    1
}

pub(crate) unsafe fn KeGetProcessorNumberFromIndex(
    _: u32,
    number: *mut PROCESSOR_NUMBER,
) -> NTSTATUS {
    // SAFETY: the caller's variable, fact 10.
    unsafe { number.write(PROCESSOR_NUMBER::default()) };
    STATUS_SUCCESS
}

/// There is one processor, so every thread is there.
pub(crate) unsafe fn KeSetSystemGroupAffinityThread(
    _: *mut GROUP_AFFINITY,
    _: *mut GROUP_AFFINITY,
) {
}

pub(crate) unsafe fn KeRevertToUserGroupAffinityThread(_: *mut GROUP_AFFINITY) {}

pub(crate) unsafe fn KeAcquireSpinLockRaiseToDpc(lock: *mut KSPIN_LOCK) -> u8 {
    // SAFETY: DISPATCH_LEVEL is not below what an acquiring caller may be at, fact 10.
    let old = unsafe { KfRaiseIrql(2) };
    // SAFETY: the caller's lock, fact 10.
    unsafe { KeAcquireSpinLockAtDpcLevel(lock) };
    old
}

pub(crate) unsafe fn KeAcquireSpinLockAtDpcLevel(lock: *mut KSPIN_LOCK) {
    // SAFETY: the caller's lock; each host thread has its own, fact 5.
    let held = unsafe { lock.replace(1) };
    assert_eq!(held, 0, "the spin lock would never be free");
}

pub(crate) unsafe fn KeReleaseSpinLock(lock: *mut KSPIN_LOCK, irql: u8) {
    // SAFETY: the caller's lock, fact 10.
    unsafe { KeReleaseSpinLockFromDpcLevel(lock) };
    // SAFETY: the caller's level before it acquired, fact 10.
    unsafe { KeLowerIrql(irql) };
}

pub(crate) unsafe fn KeReleaseSpinLockFromDpcLevel(lock: *mut KSPIN_LOCK) {
    // SAFETY: the caller's lock, fact 10.
    let held = unsafe { lock.replace(0) };
    assert_eq!(held, 1, "the spin lock was not held");
}

pub(crate) unsafe fn KeAcquireSpinLockForDpc(lock: *mut KSPIN_LOCK) -> u8 {
    // SAFETY: the caller's lock; a threaded DPC is at DISPATCH_LEVEL or below, fact 10.
    unsafe { KeAcquireSpinLockRaiseToDpc(lock) }
}

pub(crate) unsafe fn KeReleaseSpinLockForDpc(lock: *mut KSPIN_LOCK, irql: u8) {
    // SAFETY: the caller's lock and level, fact 10.
    unsafe { KeReleaseSpinLock(lock, irql) };
}

pub(crate) unsafe fn KeAcquireInStackQueuedSpinLock(
    lock: *mut KSPIN_LOCK,
    handle: *mut KLOCK_QUEUE_HANDLE,
) {
    // SAFETY: the caller's lock, fact 10.
    let old_irql = unsafe { KeAcquireSpinLockRaiseToDpc(lock) };
    // SAFETY: the caller's handle, fact 10.
    unsafe { handle.write(KLOCK_QUEUE_HANDLE { lock, old_irql }) };
}

pub(crate) unsafe fn KeAcquireInStackQueuedSpinLockAtDpcLevel(
    lock: *mut KSPIN_LOCK,
    handle: *mut KLOCK_QUEUE_HANDLE,
) {
    // SAFETY: the caller's lock, fact 10.
    unsafe { KeAcquireSpinLockAtDpcLevel(lock) };
    // SAFETY: the caller's handle, fact 10.
    unsafe { handle.write(KLOCK_QUEUE_HANDLE { lock, old_irql: 2 }) };
}

pub(crate) unsafe fn KeAcquireInStackQueuedSpinLockForDpc(
    lock: *mut KSPIN_LOCK,
    handle: *mut KLOCK_QUEUE_HANDLE,
) {
    // SAFETY: the caller's lock and handle, fact 10.
    unsafe { KeAcquireInStackQueuedSpinLock(lock, handle) };
}

pub(crate) unsafe fn KeReleaseInStackQueuedSpinLock(handle: *mut KLOCK_QUEUE_HANDLE) {
    // SAFETY: the caller's handle, which its acquisition filled in, fact 10.
    let handle = unsafe { handle.read() };
    // SAFETY: the lock and the level of that acquisition, fact 10.
    unsafe { KeReleaseSpinLock(handle.lock, handle.old_irql) };
}

pub(crate) unsafe fn KeReleaseInStackQueuedSpinLockFromDpcLevel(handle: *mut KLOCK_QUEUE_HANDLE) {
    // SAFETY: the caller's handle, which its acquisition filled in, fact 10.
    let handle = unsafe { handle.read() };
    // SAFETY: the lock of that acquisition, fact 10.
    unsafe { KeReleaseSpinLockFromDpcLevel(handle.lock) };
}

pub(crate) unsafe fn KeReleaseInStackQueuedSpinLockForDpc(handle: *mut KLOCK_QUEUE_HANDLE) {
    // SAFETY: the caller's handle, fact 10.
    unsafe { KeReleaseInStackQueuedSpinLock(handle) };
}

pub(crate) unsafe fn KeQuerySystemTimePrecise(time: *mut LARGE_INTEGER) {
    let since_1970 = std::time::UNIX_EPOCH
        .elapsed()
        .map_or(0, |elapsed| elapsed.as_nanos() / 100);
    let now = SECONDS_1601_TO_1970
        .saturating_mul(10_000_000)
        .saturating_add(i64::try_from(since_1970).unwrap_or(i64::MAX));
    // SAFETY: the caller's variable, fact 10.
    unsafe { time.write(LARGE_INTEGER { QuadPart: now }) };
}

#[cfg_attr(
    not(test),
    expect(clippy::panic, reason = "what a bug check is to a host program")
)]
pub(crate) unsafe fn KeBugCheckEx(code: u32, p1: u64, p2: u64, p3: u64, p4: u64) -> ! {
    panic!("bug check {code:#x} ({p1:#x}, {p2:#x}, {p3:#x}, {p4:#x})")
}

pub(crate) unsafe fn KeDelayExecutionThread(
    _: CCHAR,
    _: BOOLEAN,
    _: *mut LARGE_INTEGER,
) -> NTSTATUS {
    STATUS_SUCCESS
}

pub(crate) unsafe fn KeSynchronizeExecution(
    _: *mut KINTERRUPT,
    _: SynchronizeRoutine,
    _: PVOID,
) -> BOOLEAN {
    unreachable!("no interrupt can be connected here")
}

pub(crate) unsafe fn IoConnectInterruptEx(_: *mut IO_CONNECT_INTERRUPT_PARAMETERS) -> NTSTATUS {
    STATUS_NOT_FOUND
}

pub(crate) unsafe fn IoCreateDevice(
    _: *mut DRIVER_OBJECT,
    _: u32,
    _: *mut UNICODE_STRING,
    _: u32,
    _: u32,
    _: BOOLEAN,
    _: *mut *mut DEVICE_OBJECT,
) -> NTSTATUS {
    STATUS_NO_SUCH_DEVICE
}

pub(crate) unsafe fn IoRegisterDeviceInterface(
    _: *mut DEVICE_OBJECT,
    _: *const GUID,
    _: *mut UNICODE_STRING,
    _: *mut UNICODE_STRING,
) -> NTSTATUS {
    STATUS_NO_SUCH_DEVICE
}

pub(crate) unsafe fn IoSetDeviceInterfaceState(_: *mut UNICODE_STRING, _: BOOLEAN) -> NTSTATUS {
    STATUS_NOT_FOUND
}

pub(crate) unsafe fn IoGetDmaAdapter(
    _: *mut DEVICE_OBJECT,
    _: *mut DEVICE_DESCRIPTION,
    _: *mut u32,
) -> *mut DMA_ADAPTER {
    core::ptr::null_mut()
}

pub(crate) unsafe fn MmMapIoSpaceEx(_: LARGE_INTEGER, _: u64, _: u32) -> PVOID {
    core::ptr::null_mut()
}

/// In front of a block, as the kernel's pool has a header.
const POOL_HEADER: usize = 16;

fn pool_layout(size: usize) -> Option<std::alloc::Layout> {
    std::alloc::Layout::from_size_align(size.checked_add(POOL_HEADER)?, POOL_HEADER).ok()
}

pub(crate) unsafe fn ExAllocatePoolWithTag(_: i32, size: u64, tag: u32) -> PVOID {
    assert!(size != 0 && tag != 0, "pool has a size and a tag");
    let Some((size, layout)) = usize::try_from(size)
        .ok()
        .and_then(|size| Some((size, pool_layout(size)?)))
    else {
        return core::ptr::null_mut();
    };
    // SAFETY: the layout holds the header at least, fact 10.
    let block: PVOID = unsafe { std::alloc::alloc(layout) }.cast();
    if block.is_null() {
        return core::ptr::null_mut();
    }
    // SAFETY: the header is in front of what the caller is given, fact 10.
    unsafe { block.cast::<(usize, u32)>().write((size, tag)) };
    // SAFETY: as above, fact 10.
    unsafe { block.byte_add(POOL_HEADER) }
}

pub(crate) unsafe fn ExFreePoolWithTag(block: PVOID, tag: u32) {
    assert!(IRQL.get() <= 2, "pool is freed at DISPATCH_LEVEL at most");
    // SAFETY: the header is in front of what the caller was given, fact 10.
    let header = unsafe { block.byte_sub(POOL_HEADER) };
    // SAFETY: as above, fact 10.
    let (size, allocated_with) = unsafe { header.cast::<(usize, u32)>().read() };
    assert_eq!(tag, allocated_with, "pool is freed with its tag");
    if let Some(layout) = pool_layout(size) {
        // SAFETY: allocated above with this layout, fact 10.
        unsafe { std::alloc::dealloc(header.cast(), layout) };
    }
}

pub(crate) unsafe fn RtlEqualUnicodeString(
    this: *const UNICODE_STRING,
    other: *const UNICODE_STRING,
    ignore_case: BOOLEAN,
) -> BOOLEAN {
    let text = |string: *const UNICODE_STRING| {
        // SAFETY: the caller's string, fact 10.
        let string = unsafe { &*string };
        // SAFETY: its buffer has its length, fact 10.
        let units = unsafe {
            core::slice::from_raw_parts(string.Buffer.cast_const(), usize::from(string.Length) / 2)
        };
        let text = std::string::String::from_utf16_lossy(units);
        if ignore_case == 0 {
            text
        } else {
            text.to_uppercase()
        }
    };
    (text(this) == text(other)).into()
}

/// There is no bus on a host.
pub(crate) unsafe fn HalGetBusDataByOffset(
    _: i32,
    _: u32,
    _: u32,
    _: PVOID,
    _: u32,
    _: u32,
) -> u32 {
    0
}

/// There is no registry on a host.
pub(crate) unsafe fn ZwOpenKey(_: *mut HANDLE, _: u32, _: *mut OBJECT_ATTRIBUTES) -> NTSTATUS {
    STATUS_OBJECT_NAME_NOT_FOUND
}

/// Routines that are given a device, an IRP, a timer or a mapping. There is none on a
/// host, so nothing can call them.
macro_rules! needs_a_device {
    ($($name:ident($($kind:ty),*) $(-> $result:ty)?;)*) => {
        $(pub(crate) unsafe fn $name($(_: $kind),*) $(-> $result)? {
            unreachable!(concat!(stringify!($name), " needs a device"))
        })*
    };
}

needs_a_device! {
    IoAllocateWorkItem(*mut DEVICE_OBJECT) -> *mut IO_WORKITEM;
    IoFreeWorkItem(*mut IO_WORKITEM);
    IoQueueWorkItem(*mut IO_WORKITEM, WorkItemRoutine, WORK_QUEUE_TYPE, PVOID);
    PoRequestPowerIrp(*mut DEVICE_OBJECT, u8, POWER_STATE, RequestPowerComplete, PVOID, *mut *mut IRP) -> NTSTATUS;
    PoSetPowerState(*mut DEVICE_OBJECT, POWER_STATE_TYPE, POWER_STATE) -> POWER_STATE;
    IoAcquireCancelSpinLock(*mut u8);
    IoQueueWorkItemEx(
        *mut IO_WORKITEM,
        Option<unsafe extern "C" fn(PVOID, PVOID, *mut IO_WORKITEM)>,
        i32,
        PVOID
    );
    IoAcquireRemoveLockEx(*mut IO_REMOVE_LOCK, PVOID, *const CCHAR, u32, u32) -> NTSTATUS;
    IoAttachDeviceToDeviceStack(*mut DEVICE_OBJECT, *mut DEVICE_OBJECT) -> *mut DEVICE_OBJECT;
    IoCsqInitializeEx(
        *mut IO_CSQ, CsqInsert, CsqRemove, CsqPeek, CsqAcquire, CsqRelease, CsqRemove
    ) -> NTSTATUS;
    IoCsqInsertIrpEx(*mut IO_CSQ, *mut IRP, *mut IO_CSQ_IRP_CONTEXT, PVOID) -> NTSTATUS;
    IoCsqRemoveIrp(*mut IO_CSQ, *mut IO_CSQ_IRP_CONTEXT) -> *mut IRP;
    IoCsqRemoveNextIrp(*mut IO_CSQ, PVOID) -> *mut IRP;
    IoDeleteDevice(*mut DEVICE_OBJECT);
    IoDetachDevice(*mut DEVICE_OBJECT);
    IoDisconnectInterruptEx(*mut IO_DISCONNECT_INTERRUPT_PARAMETERS);
    IoGetDeviceProperty(*mut DEVICE_OBJECT, i32, u32, PVOID, *mut u32) -> NTSTATUS;
    IoForwardIrpSynchronously(*mut DEVICE_OBJECT, *mut IRP) -> BOOLEAN;
    IoInitializeRemoveLockEx(*mut IO_REMOVE_LOCK, u32, u32, u32, u32);
    IoInitializeTimer(
        *mut DEVICE_OBJECT, Option<unsafe extern "C" fn(*mut DEVICE_OBJECT, PVOID)>, PVOID
    ) -> NTSTATUS;
    IoReportInterruptActive(*mut IO_DISCONNECT_INTERRUPT_PARAMETERS);
    IoReportInterruptInactive(*mut IO_DISCONNECT_INTERRUPT_PARAMETERS);
    IoReleaseCancelSpinLock(u8);
    IoReleaseRemoveLockAndWaitEx(*mut IO_REMOVE_LOCK, PVOID, u32);
    IoReleaseRemoveLockEx(*mut IO_REMOVE_LOCK, PVOID, u32);
    IoSetStartIoAttributes(*mut DEVICE_OBJECT, BOOLEAN, BOOLEAN);
    IoStartNextPacketByKey(*mut DEVICE_OBJECT, BOOLEAN, u32);
    IoStartNextPacket(*mut DEVICE_OBJECT, BOOLEAN);
    IoStartTimer(*mut DEVICE_OBJECT);
    IoStopTimer(*mut DEVICE_OBJECT);
    IoStartPacket(*mut DEVICE_OBJECT, *mut IRP, *mut u32, CancelSlot);
    IofCallDriver(*mut DEVICE_OBJECT, *mut IRP) -> NTSTATUS;
    IofCompleteRequest(*mut IRP, CCHAR);
    KeAcquireInterruptSpinLock(*mut KINTERRUPT) -> u8;
    KeReleaseInterruptSpinLock(*mut KINTERRUPT, u8);
    KeCancelTimer(*mut KTIMER) -> BOOLEAN;
    KeFlushQueuedDpcs();
    KeInitializeDpc(*mut KDPC, DeferredRoutine, PVOID);
    KeInitializeThreadedDpc(*mut KDPC, DeferredRoutine, PVOID);
    KeInitializeTimerEx(*mut KTIMER, i32);
    KeInsertQueueDpc(*mut KDPC, PVOID, PVOID) -> BOOLEAN;
    KeRemoveQueueDpc(*mut KDPC) -> BOOLEAN;
    KeSetCoalescableTimer(*mut KTIMER, LARGE_INTEGER, u32, u32, *mut KDPC) -> BOOLEAN;
    KeSetImportanceDpc(*mut KDPC, i32);
    KeSetTargetProcessorDpcEx(*mut KDPC, *mut PROCESSOR_NUMBER) -> NTSTATUS;
    KeRemoveEntryDeviceQueue(*mut KDEVICE_QUEUE, *mut KDEVICE_QUEUE_ENTRY) -> BOOLEAN;
    KeSetTimerEx(*mut KTIMER, LARGE_INTEGER, i32, *mut KDPC) -> BOOLEAN;
    MmMapLockedPagesSpecifyCache(*mut MDL, CCHAR, i32, PVOID, u32, u32) -> PVOID;
    MmUnmapIoSpace(PVOID, u64);
    RtlFreeUnicodeString(*mut UNICODE_STRING);
    ExFreePool(PVOID);
    HalAssignSlotResources(
        *mut UNICODE_STRING, *mut UNICODE_STRING, *mut DRIVER_OBJECT, *mut DEVICE_OBJECT, i32, u32,
        u32, *mut *mut CM_RESOURCE_LIST
    ) -> NTSTATUS;
    HalGetInterruptVector(i32, u32, u32, u32, *mut u8, *mut u64) -> u32;
    HalTranslateBusAddress(i32, u32, LARGE_INTEGER, *mut u32, *mut LARGE_INTEGER) -> BOOLEAN;
    IoAllocateController(*mut CONTROLLER_OBJECT, *mut DEVICE_OBJECT, ControllerControl, PVOID);
    IoAssignResources(
        *mut UNICODE_STRING, *mut UNICODE_STRING, *mut DRIVER_OBJECT, *mut DEVICE_OBJECT, PVOID,
        *mut *mut CM_RESOURCE_LIST
    ) -> NTSTATUS;
    IoConnectInterrupt(
        *mut *mut KINTERRUPT, ServiceRoutine, PVOID, *mut KSPIN_LOCK, u32, u8, u8, i32, BOOLEAN,
        u64, BOOLEAN
    ) -> NTSTATUS;
    IoCreateController(u32) -> *mut CONTROLLER_OBJECT;
    IoCreateSymbolicLink(*mut UNICODE_STRING, *mut UNICODE_STRING) -> NTSTATUS;
    IoDeleteController(*mut CONTROLLER_OBJECT);
    IoDeleteSymbolicLink(*mut UNICODE_STRING) -> NTSTATUS;
    IoDisconnectInterrupt(*mut KINTERRUPT);
    IoFreeController(*mut CONTROLLER_OBJECT);
    ZwClose(HANDLE) -> NTSTATUS;
    ZwQueryValueKey(HANDLE, *mut UNICODE_STRING, i32, PVOID, u32, *mut u32) -> NTSTATUS;
}
