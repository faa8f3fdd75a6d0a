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
mod structures;

pub(crate) use events::*;
pub(crate) use structures::*;
pub use structures::{DRIVER_OBJECT, NTSTATUS, UNICODE_STRING};

use std::cell::Cell;

use super::RequestPowerComplete;

/// System time counts from the one year, the host's from the other.
const SECONDS_1601_TO_1970: i64 = 11_644_473_600;
const STATUS_SUCCESS: NTSTATUS = 0;
const STATUS_NOT_FOUND: NTSTATUS = 0xC000_0225_u32.cast_signed();
const STATUS_OBJECT_NAME_NOT_FOUND: NTSTATUS = 0xC000_0034_u32.cast_signed();
const STATUS_NO_SUCH_DEVICE: NTSTATUS = 0xC000_000E_u32.cast_signed();

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

/// Counts nanoseconds, from the first call on.
pub(crate) unsafe fn KeQueryPerformanceCounter(frequency: *mut LARGE_INTEGER) -> LARGE_INTEGER {
    static FIRST: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    let rate = LARGE_INTEGER {
        QuadPart: 1_000_000_000,
    };
    // SAFETY: the caller's variable, fact 10.
    unsafe { frequency.write(rate) };
    let elapsed = FIRST.get_or_init(std::time::Instant::now).elapsed();
    LARGE_INTEGER {
        QuadPart: i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX),
    }
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
