//! Device objects and the stacks that they form: IoCreateDevice, IoDeleteDevice,
//! IoAttachDeviceToDeviceStack, IoDetachDevice.
//!
//! # Soundness
//! 1. A [`Device`] is made from memory of `kernel_memory` only, which is never
//!    freed, and its object is initialised before anybody else sees it. A deleted
//!    one is filled with a pattern, is no longer in the ledger, and nothing
//!    follows its pointers.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;
use core::ptr::NonNull;

use wdk_sys::{
    BOOLEAN, CCHAR, CSHORT, DEVICE_OBJECT, DO_DEVICE_HAS_NAME, DO_DEVICE_INITIALIZING,
    DO_EXCLUSIVE, FILE_DEVICE_SECURE_OPEN, KDEVICE_QUEUE, NTSTATUS, PDEVICE_OBJECT, PDRIVER_OBJECT,
    PIRP, PUNICODE_STRING, PVOID, ULONG, USHORT,
};

use crate::machine::sync::IrqLock;
use crate::nt::driver::Driver;
use crate::nt::kernel_memory::{DELETED_BYTE, allocate, allocate_object, fields};
use crate::nt::routine::Routine;
use crate::nt::status::{
    STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER, STATUS_OBJECT_NAME_COLLISION,
    STATUS_SUCCESS,
};
use crate::nt::violation::{check, fatal};
use crate::nt::{
    address, device_queue, dpc, fault, io_timer, legacy, load, pnp, remove_lock, spin_lock,
    start_io, timer, unicode, work_item,
};

/// `IO_TYPE_DEVICE`.
const TYPE: CSHORT = 3;
/// Bytes of guard behind a device extension.
const GUARD: usize = 64;
/// What the guard is filled with.
const GUARD_BYTE: u8 = 0xfd;

/// A device object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Device(NonNull<DEVICE_OBJECT>);

// SAFETY: Fact 1: the memory stays; access is by value, as on Windows, where any
// processor may look at a device object.
unsafe impl Send for Device {}
// SAFETY: As above.
unsafe impl Sync for Device {}

fields!(Device {
    _ / set_kind: CSHORT = Type;
    _ / set_size: USHORT = Size;
    driver / set_driver: PDRIVER_OBJECT = DriverObject;
    next / set_next: PDEVICE_OBJECT = NextDevice;
    attached / set_attached: PDEVICE_OBJECT = AttachedDevice;
    current_irp / set_current_irp: PIRP = CurrentIrp;
    flags / set_flags: ULONG = Flags;
    characteristics / set_characteristics: ULONG = Characteristics;
    _ / set_extension: PVOID = DeviceExtension;
    _ / set_device_type: ULONG = DeviceType;
    stack_size / set_stack_size: CCHAR = StackSize;
    alignment / set_alignment: ULONG = AlignmentRequirement;
});

/// What the executive knows of a device object that exists.
#[derive(Clone)]
struct Record {
    driver: Driver,
    extension: Range<usize>,
    /// The device object that this one was attached to.
    lower: Option<Device>,
}

static DEVICES: IrqLock<BTreeMap<usize, Record>> = IrqLock::new(BTreeMap::new());

impl Device {
    /// The device object at this address, if there is one that was not deleted.
    pub(crate) fn find(pointer: PDEVICE_OBJECT) -> Option<Self> {
        let known = DEVICES.with(|devices| devices.contains_key(&address::of(pointer)));
        if known {
            NonNull::new(pointer).map(Self)
        } else {
            None
        }
    }

    /// As [`find`](Self::find); ends the run when there is none.
    pub(crate) fn expect(routine: Routine, pointer: PDEVICE_OBJECT) -> Self {
        Self::find(pointer).unwrap_or_else(|| {
            fatal(
                "NO-SUCH-DEVICE-OBJECT",
                routine.name(),
                format_args!(
                    "The address {pointer:p} is no device object, or one that was deleted."
                ),
            )
        })
    }

    /// A new device object with a zeroed extension, first in its driver's list.
    pub(crate) fn create(
        driver: Driver,
        extension_size: usize,
        device_type: ULONG,
        characteristics: ULONG,
        flags: ULONG,
    ) -> Self {
        let device = Self(allocate_object::<DEVICE_OBJECT>());
        let extension = allocate(extension_size + GUARD);
        let start = address::of(extension.as_ptr());
        // SAFETY: `allocate` just gave that many bytes, which nobody else knows.
        let guard = unsafe { extension.add(extension_size) };
        // SAFETY: As above.
        unsafe { guard.write_bytes(GUARD_BYTE, GUARD) };
        device.set_kind(TYPE);
        device.set_size(
            USHORT::try_from(size_of::<DEVICE_OBJECT>() + extension_size).unwrap_or(USHORT::MAX),
        );
        device.set_driver(driver.pointer());
        device.set_next(driver.first_device());
        device.set_flags(flags | DO_DEVICE_INITIALIZING);
        device.set_characteristics(characteristics);
        if extension_size != 0 {
            device.set_extension(extension.as_ptr().cast());
        }
        device.set_device_type(device_type);
        device.set_stack_size(1);
        device_queue::initialize(device.queue());
        driver.set_first_device(device.pointer());
        DEVICES.with(|devices| {
            devices.insert(
                address::of(device.pointer()),
                Record {
                    driver,
                    extension: start..start + extension_size,
                    lower: None,
                },
            )
        });
        device
    }

    /// The object.
    pub(crate) const fn pointer(self) -> PDEVICE_OBJECT {
        self.0.as_ptr()
    }

    /// The queue of the packets that wait for StartIo.
    pub(crate) fn queue(self) -> *mut KDEVICE_QUEUE {
        // SAFETY: (Pointer) fact 1.
        unsafe { &raw mut (*self.pointer()).DeviceQueue }
    }

    /// Where that queue is: its identity.
    pub(crate) fn queue_address(self) -> usize {
        address::of(self.queue())
    }

    /// The device object at the top of the stack that this one is in.
    pub(crate) fn top_of_stack(self) -> Self {
        let mut top = self;
        while let Some(above) = Self::find(top.attached()) {
            top = above;
        }
        top
    }

    fn record(self) -> Option<Record> {
        DEVICES.with(|devices| devices.get(&address::of(self.pointer())).cloned())
    }

    /// Takes the object off the one below, which may exist no more: the driver of that one
    /// deletes it before the drivers above are done with REMOVE_DEVICE.
    pub(crate) fn leave_stack(self) {
        if let Some(lower) = self.record().and_then(|record| record.lower)
            && Self::find(lower.pointer()).is_some()
        {
            lower.set_attached(core::ptr::null_mut());
        }
        self.set_lower(None);
    }

    /// The object that this one is attached to.
    pub(crate) fn lower(self) -> Option<Self> {
        self.record().and_then(|record| record.lower)
    }

    fn set_lower(self, lower: Option<Self>) {
        DEVICES.with(|devices| {
            if let Some(record) = devices.get_mut(&address::of(self.pointer())) {
                record.lower = lower;
            }
        });
    }

    /// Deletes the object: nothing in it or in its extension is in use any more.
    fn delete(self, routine: Routine, record: &Record) {
        let start = address::of(self.pointer());
        let object = start..start + size_of::<DEVICE_OBJECT>();
        for memory in [&object, &record.extension] {
            dpc::assert_none_within(routine.name(), memory);
            timer::assert_none_within(routine.name(), memory);
            work_item::assert_none_within(routine.name(), memory);
            spin_lock::forget_within(memory);
            remove_lock::assert_none_held_within(routine.name(), memory);
        }
        legacy::names::forget(self);
        io_timer::forget(routine.name(), self);
        start_io::forget(routine, self);
        assert_guard(routine, record);
        self.unlink(record);
        DEVICES.with(|devices| devices.remove(&start));
        // Its work items' routines may run to their end: the object stays for them.
        work_item::spoil_when_idle(start, &record.extension);
        work_item::spoil_when_idle(start, &object);
    }

    /// Takes the object out of its driver's list.
    fn unlink(self, record: &Record) {
        let first = record.driver.first_device();
        if first == self.pointer() {
            record.driver.set_first_device(self.next());
            return;
        }
        let mut before = Self::find(first);
        while let Some(device) = before {
            if device.next() == self.pointer() {
                device.set_next(self.next());
                return;
            }
            before = Self::find(device.next());
        }
    }
}

/// Fills memory of a deleted object, which the driver has given up: an object or an
/// extension of this module's.
pub(crate) fn spoil(range: &Range<usize>) {
    // SAFETY: Fact 1: the range is an object or an extension of this module's,
    // never freed, and the driver has given it up.
    unsafe {
        core::ptr::write_bytes(
            address::to_pointer::<u8>(range.start),
            DELETED_BYTE,
            range.len(),
        );
    };
}

/// Checks that nothing was written behind a device extension.
fn assert_guard(routine: Routine, record: &Record) {
    // SAFETY: `create` allocated the guard behind the extension, for good, and
    // nobody but a driver in error writes it.
    let guard = unsafe {
        core::slice::from_raw_parts(address::to_pointer::<u8>(record.extension.end), GUARD)
    };
    check!(
        Pool03,
        routine,
        guard.iter().all(|byte| *byte == GUARD_BYTE),
        "Something was written behind the device extension at {:#x}, {} bytes.",
        record.extension.start,
        record.extension.len()
    );
}

/// The device objects of a driver, in the order of their creation.
pub(crate) fn of_driver(driver: Driver) -> Vec<Device> {
    let mut devices = Vec::new();
    let mut next = Device::find(driver.first_device());
    while let Some(device) = next {
        devices.insert(0, device);
        next = Device::find(device.next());
    }
    devices
}

/// How many device objects a driver has.
pub(crate) fn count_of(driver: Driver) -> usize {
    DEVICES.with(|devices| {
        devices
            .values()
            .filter(|record| record.driver == driver)
            .count()
    })
}

/// IoCreateDevice.
pub(crate) unsafe extern "C" fn io_create_device(
    driver: PDRIVER_OBJECT,
    extension_size: ULONG,
    name: PUNICODE_STRING,
    device_type: ULONG,
    characteristics: ULONG,
    exclusive: BOOLEAN,
    device: *mut PDEVICE_OBJECT,
) -> NTSTATUS {
    Routine::IoCreateDevice.enter();
    let Some(owner) = load::driver_object(driver) else {
        return STATUS_INVALID_PARAMETER;
    };
    let Ok(extension_size) = usize::try_from(extension_size) else {
        return STATUS_INVALID_PARAMETER;
    };
    if fault::strikes(Routine::IoCreateDevice) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    let mut flags = 0;
    if exclusive != 0 {
        flags |= DO_EXCLUSIVE;
    }
    if !name.is_null() {
        flags |= DO_DEVICE_HAS_NAME;
    }
    // SAFETY: The driver passes null or a counted string.
    let name = unsafe { unicode::to_string(name) };
    if !name.is_empty() && legacy::names::is_taken(&name) {
        return STATUS_OBJECT_NAME_COLLISION;
    }
    let created = Device::create(owner, extension_size, device_type, characteristics, flags);
    if !name.is_empty() {
        legacy::names::add(created, &name);
    }
    // SAFETY: The driver passes a variable of its own for the result.
    unsafe { device.write(created.pointer()) };
    STATUS_SUCCESS
}

/// IoDeleteDevice.
pub(crate) unsafe extern "C" fn io_delete_device(device: PDEVICE_OBJECT) {
    let routine = Routine::IoDeleteDevice;
    routine.enter();
    let found = Device::find(device);
    check!(
        Pnp12,
        routine,
        found.is_some(),
        "The address {device:p} is no device object, or one that was deleted."
    );
    let Some(found) = found else { return };
    check!(
        Pnp11,
        routine,
        !pnp::is_surprise_removing(),
        "The device object {device:p} is deleted by SURPRISE_REMOVAL."
    );
    let Some(record) = found.record() else { return };
    check!(
        Pnp12,
        routine,
        record.lower.is_none(),
        "The device object {device:p} is deleted while it is attached to the one below."
    );
    found.delete(routine, &record);
}

/// IoAttachDeviceToDeviceStack.
pub(crate) unsafe extern "C" fn io_attach_device_to_device_stack(
    source: PDEVICE_OBJECT,
    target: PDEVICE_OBJECT,
) -> PDEVICE_OBJECT {
    let routine = Routine::IoAttachDeviceToDeviceStack;
    routine.enter();
    let source = Device::expect(routine, source);
    if fault::strikes_with_null(routine) {
        return core::ptr::null_mut();
    }
    let lower = Device::expect(routine, target).top_of_stack();
    source.set_stack_size(lower.stack_size() + 1);
    source.set_alignment(lower.alignment());
    source.set_lower(Some(lower));
    lower.set_attached(source.pointer());
    lower.pointer()
}

/// IoDetachDevice. Its argument is the device object *below*.
pub(crate) unsafe extern "C" fn io_detach_device(target: PDEVICE_OBJECT) {
    let routine = Routine::IoDetachDevice;
    routine.enter();
    let lower = Device::expect(routine, target);
    check!(
        Pnp11,
        routine,
        !pnp::is_surprise_removing(),
        "The stack above {target:p} is detached by SURPRISE_REMOVAL."
    );
    let upper = Device::find(lower.attached());
    check!(
        Pnp12,
        routine,
        upper.is_some(),
        "Nothing is attached to {target:p}, so nothing can be detached."
    );
    lower.set_attached(core::ptr::null_mut());
    if let Some(upper) = upper {
        upper.set_lower(None);
    }
}

/// Checks what AddDevice left on top of a PDO.
pub(crate) fn assert_added(pdo: Device) {
    let function = pdo.top_of_stack();
    check!(
        Pnp01,
        "AddDevice",
        function != pdo && function.flags() & DO_DEVICE_INITIALIZING == 0,
        "AddDevice succeeded without a device object attached that is ready (DO_DEVICE_INITIALIZING cleared)."
    );
    check!(
        Sec01,
        "AddDevice",
        function.flags() & DO_DEVICE_HAS_NAME == 0
            && function.characteristics() & FILE_DEVICE_SECURE_OPEN != 0,
        "The function device object has a name, or was created without FILE_DEVICE_SECURE_OPEN."
    );
}
