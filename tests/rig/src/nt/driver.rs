//! Driver objects.
//!
//! # Soundness
//! 1. A [`Driver`] is made from memory of `kernel_memory` only, which is never
//!    freed, and its object is initialised before anybody else sees it.

use core::ptr::NonNull;

use wdk_sys::{
    CSHORT, DRIVER_EXTENSION, DRIVER_OBJECT, NTSTATUS, PDEVICE_OBJECT, PDRIVER_ADD_DEVICE,
    PDRIVER_DISPATCH, PDRIVER_EXTENSION, PDRIVER_OBJECT, PDRIVER_STARTIO, PDRIVER_UNLOAD, PIRP,
    PVOID, ULONG,
};

use crate::nt::irp::{self, Irp};
use crate::nt::kernel_memory::{allocate_object, fields};
use crate::nt::status::STATUS_INVALID_DEVICE_REQUEST;

/// `IO_TYPE_DRIVER`.
const TYPE: CSHORT = 4;

/// A driver object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Driver(NonNull<DRIVER_OBJECT>);

// SAFETY: Fact 1: the memory stays; access is by value, as on Windows, where any
// processor may look at a driver object.
unsafe impl Send for Driver {}
// SAFETY: As above.
unsafe impl Sync for Driver {}

fields!(Driver {
    _ / set_kind: CSHORT = Type;
    _ / set_size: CSHORT = Size;
    first_device / set_first_device: PDEVICE_OBJECT = DeviceObject;
    _ / set_start: PVOID = DriverStart;
    _ / set_image_size: ULONG = DriverSize;
    extension / set_extension: PDRIVER_EXTENSION = DriverExtension;
    start_io: PDRIVER_STARTIO = DriverStartIo;
    unload: PDRIVER_UNLOAD = DriverUnload;
    major_functions / set_major_functions: [PDRIVER_DISPATCH; 28] = MajorFunction;
});

impl Driver {
    /// A new driver object whose dispatch routines refuse everything.
    pub(crate) fn create() -> Self {
        let driver = Self(allocate_object::<DRIVER_OBJECT>());
        let extension = allocate_object::<DRIVER_EXTENSION>();
        // SAFETY: `allocate_object` just gave the memory, which nobody else knows.
        unsafe { (*extension.as_ptr()).DriverObject = driver.pointer() };
        driver.set_kind(TYPE);
        driver.set_size(CSHORT::try_from(size_of::<DRIVER_OBJECT>()).unwrap_or(CSHORT::MAX));
        driver.set_extension(extension.as_ptr());
        driver.set_major_functions([Some(invalid_device_request); 28]);
        driver
    }

    /// The object.
    pub(crate) const fn pointer(self) -> PDRIVER_OBJECT {
        self.0.as_ptr()
    }

    /// The dispatch routine for a major function code.
    pub(crate) fn dispatch_routine(self, major: u8) -> PDRIVER_DISPATCH {
        self.major_functions()
            .get(usize::from(major))
            .copied()
            .flatten()
    }

    /// The AddDevice routine.
    pub(crate) fn add_device(self) -> PDRIVER_ADD_DEVICE {
        // SAFETY: (Pointer) the extension was made with the object and, like it,
        // is never freed. The driver writes it in DriverEntry, which has returned.
        unsafe { (*self.extension()).AddDevice }
    }
}

/// What the I/O manager puts into every dispatch slot before DriverEntry.
unsafe extern "C" fn invalid_device_request(_device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let irp: Irp = irp::ledger::live("IopInvalidDeviceRequest", irp);
    irp::complete::complete_with(&irp, STATUS_INVALID_DEVICE_REQUEST, 0);
    STATUS_INVALID_DEVICE_REQUEST
}
