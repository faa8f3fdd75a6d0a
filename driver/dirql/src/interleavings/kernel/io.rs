//! Devices and the way of an IRP: down to a bus that succeeds everything, and to its end, once.

use std::{
    boxed::Box,
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    vec,
    vec::Vec,
};

use loom::sync::Mutex;

use super::{current, level};
use crate::interleavings::tracked::Tracked;
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
    /// IRPs that were made, and whether each is still one: its memory goes when it is completed.
    lives: RefCell<BTreeMap<usize, Rc<Tracked<bool>>>>,
}

impl Io {
    pub(super) fn new() -> Self {
        Self {
            devices: RefCell::new(Vec::new()),
            completed: Mutex::new(BTreeSet::new()),
            lives: RefCell::new(BTreeMap::new()),
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

    /// An IRP was made.
    pub(in crate::interleavings) fn made(&self, irp: *mut IRP) {
        let life = Rc::new(Tracked::new(true));
        self.io.lives.borrow_mut().insert(irp.addr(), life);
    }

    fn life(&self, irp: *mut IRP) -> Rc<Tracked<bool>> {
        let lives = self.io.lives.borrow();
        Rc::clone(lives.get(&irp.addr()).expect("an IRP of the flow"))
    }

    /// Whoever looks at an IRP says so.
    #[track_caller]
    pub(super) fn look_at(&self, irp: *mut IRP) {
        let is_alive = self.life(irp).read(|is_alive| *is_alive);
        assert!(is_alive, "an IRP was used after it was completed");
    }

    /// Whether an IRP was completed.
    pub(in crate::interleavings) fn is_completed(&self, irp: *mut IRP) -> bool {
        let completed = self.io.completed.lock().expect("nothing panics with it");
        completed.contains(&irp.addr())
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
    let was_alive = kernel.life(irp).change(core::mem::take);
    assert!(was_alive, "an IRP was completed twice");
    let mut completed = kernel.io.completed.lock().expect("nothing panics with it");
    completed.insert(irp.addr());
}
