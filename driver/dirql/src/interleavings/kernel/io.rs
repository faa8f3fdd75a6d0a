//! Devices and the way of an IRP: down to a bus that succeeds everything, and to its end, once.

use std::{boxed::Box, cell::RefCell, collections::BTreeSet, vec, vec::Vec};

use loom::sync::Mutex;

use super::{current, level};
use crate::sys::{
    BOOLEAN, CCHAR, DEVICE_OBJECT, DRIVER_OBJECT, IRP, NTSTATUS, UNICODE_STRING, set_status,
};

/// Memory for an extension, aligned as pool is.
#[derive(Clone, Copy)]
#[repr(align(16))]
struct Unit {
    _bytes: [u8; 16],
}

/// What a kernel's I/O manager keeps. Memory stays until the run is over, so that whoever uses it
/// too late is told so by the checker and not by the processor.
pub(super) struct Io {
    devices: RefCell<Vec<(Box<DEVICE_OBJECT>, Vec<Unit>)>>,
    completed: Mutex<BTreeSet<usize>>,
}

impl Io {
    pub(super) fn new() -> Self {
        Self {
            devices: RefCell::new(Vec::new()),
            completed: Mutex::new(BTreeSet::new()),
        }
    }

    /// A device object with an extension of that many bytes.
    fn create(&self, size: usize) -> *mut DEVICE_OBJECT {
        let mut extension = vec![Unit { _bytes: [0; 16] }; size.div_ceil(16)];
        let mut object = Box::new(zeroed_device());
        object.DeviceExtension = extension.as_mut_ptr().cast();
        let address = &raw mut *object;
        self.devices.borrow_mut().push((object, extension));
        address
    }
}

const fn zeroed_device() -> DEVICE_OBJECT {
    // SAFETY: integers and pointers; zero is valid for all, fact 12.
    unsafe { core::mem::zeroed() }
}

impl super::Kernel {
    /// The bus driver's object for a device.
    pub(in crate::interleavings) fn physical(&self) -> *mut DEVICE_OBJECT {
        self.io.create(0)
    }

    /// The device object that was made last.
    pub(in crate::interleavings) fn latest_device(&self) -> *mut DEVICE_OBJECT {
        let mut devices = self.io.devices.borrow_mut();
        let (object, _) = devices.last_mut().expect("AddDevice makes one");
        &raw mut **object
    }

    /// An IRP is sent, which may lie where another one did.
    pub(in crate::interleavings) fn send(&self, irp: *mut IRP) {
        let mut completed = self.io.completed.lock().expect("nothing panics with it");
        completed.remove(&irp.addr());
    }
}

pub(crate) unsafe fn IoCreateDevice(
    _: *mut DRIVER_OBJECT,
    size: u32,
    _: *mut UNICODE_STRING,
    _: u32,
    _: u32,
    _: BOOLEAN,
    device: *mut *mut DEVICE_OBJECT,
) -> NTSTATUS {
    let size = usize::try_from(size).expect("a size");
    let created = current().io.create(size);
    // SAFETY: the caller's variable, fact 10.
    unsafe { device.write(created) };
    0
}

pub(crate) unsafe fn IoDeleteDevice(_: *mut DEVICE_OBJECT) {}

pub(crate) unsafe fn IoAttachDeviceToDeviceStack(
    _: *mut DEVICE_OBJECT,
    below: *mut DEVICE_OBJECT,
) -> *mut DEVICE_OBJECT {
    below
}

pub(crate) unsafe fn IoDetachDevice(_: *mut DEVICE_OBJECT) {}

pub(crate) unsafe fn IoSetStartIoAttributes(_: *mut DEVICE_OBJECT, _: BOOLEAN, _: BOOLEAN) {}

/// The bus succeeds what it is sent.
pub(crate) unsafe fn IofCallDriver(_: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    complete(irp);
    0
}

pub(crate) unsafe fn IoForwardIrpSynchronously(_: *mut DEVICE_OBJECT, irp: *mut IRP) -> BOOLEAN {
    // SAFETY: the caller's IRP, which it has again when this returns, fact 4.
    unsafe { set_status(irp, 0) };
    1
}

pub(crate) unsafe fn IofCompleteRequest(irp: *mut IRP, _: CCHAR) {
    assert!(level::get() <= level::DISPATCH_LEVEL);
    complete(irp);
}

/// The end of an IRP, which each has once.
fn complete(irp: *mut IRP) {
    let kernel = current();
    let mut completed = kernel.io.completed.lock().expect("nothing panics with it");
    assert!(completed.insert(irp.addr()), "an IRP was completed twice");
}
