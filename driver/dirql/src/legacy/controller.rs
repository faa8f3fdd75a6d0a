//! The controller object: its extension, and whose turn it is.

use core::{marker::PhantomData, ops::Deref, pin::Pin, ptr::null_mut};

use super::{LegacyDevice, LegacyDriver, hardware::Claimed};
use crate::{
    device::{Device, Header},
    irql::{self, Dispatch, Passive},
    object_table::{ObjectTable, Registered},
    status::Result,
    stop_code::{Reason, stop},
    sync::atomic::{AtomicPtr, Ordering},
    sys,
};

/// Device objects that one controller may have.
pub(super) const MOST_DEVICES: usize = 8;

/// A controller object, seen as its extension. It dereferences to
/// [`LegacyDriver::Controller`].
///
/// A WDM driver has none:
///
/// ```compile_fail,E0277
/// # use dirql::{driver::Driver, legacy::Controller};
/// fn of_a_wdm_driver<E: Driver>(controller: &Controller<E>) {}
/// ```
#[derive(Debug)]
pub struct Controller<E: LegacyDriver> {
    object: *mut sys::CONTROLLER_OBJECT,
    /// Those that exist; NULL behind them. Written in DriverEntry.
    devices: [AtomicPtr<sys::DEVICE_OBJECT>; MOST_DEVICES],
    objects: ObjectTable,
    /// NOTE: before the hardware, so that what it maps is unmapped while that is claimed.
    extension: E::Controller,
    pub(super) hardware: Claimed,
}

// SAFETY: (Pointer) the object is the kernel's and fixed, fact 40; everything else is `Sync`.
unsafe impl<E: LegacyDriver> Sync for Controller<E> {}

impl<E: LegacyDriver> Deref for Controller<E> {
    type Target = E::Controller;

    fn deref(&self) -> &E::Controller {
        &self.extension
    }
}

impl<E: LegacyDriver> Controller<E> {
    /// What DriverEntry writes into the controller extension.
    pub(super) const fn new(
        object: *mut sys::CONTROLLER_OBJECT,
        hardware: Claimed,
        extension: E::Controller,
    ) -> Self {
        Self {
            object,
            devices: [const { AtomicPtr::new(null_mut()) }; MOST_DEVICES],
            objects: ObjectTable::new(),
            extension,
            hardware,
        }
    }

    /// The controller extension, pinned: it stays where it is until Unload drops it, fact 40.
    /// What the kernel keeps the address of is used through a projection of this.
    ///
    /// # IRQL
    /// Any.
    pub fn pinned(&self) -> Pin<&E::Controller> {
        // SAFETY: (Pointer) never moved and dropped in place, fact 40.
        unsafe { Pin::new_unchecked(&self.extension) }
    }

    /// One of its device objects, in the order of [`LegacyDriver::DEVICES`].
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub fn device(&self, number: usize) -> Option<&LegacyDevice<E>> {
        let object = self.devices.get(number)?.load(Ordering::Acquire);
        if object.is_null() {
            return None;
        }
        // SAFETY: (Pointer) DriverEntry has written its extension before it entered it here;
        // it is deleted in Unload only, when nobody has a reference to the controller,
        // facts 40 and 41.
        Some(unsafe { Device::of(object) })
    }

    pub(super) const fn object(&self) -> *mut sys::CONTROLLER_OBJECT {
        self.object
    }

    pub(super) const fn objects(&self) -> &ObjectTable {
        &self.objects
    }

    /// Enters a device object whose extension is written.
    pub(super) fn enter(&self, number: usize, object: *mut sys::DEVICE_OBJECT) {
        if let Some(place) = self.devices.get(number) {
            place.store(object, Ordering::Release);
        }
    }

    /// Takes the device objects out again, the last first.
    pub(super) fn take_devices(&self) -> impl Iterator<Item = *mut sys::DEVICE_OBJECT> {
        let taken = |place: &AtomicPtr<_>| place.swap(null_mut(), Ordering::AcqRel);
        let objects = self.devices.iter().rev().map(taken);
        objects.filter(|object: &*mut _| !object.is_null())
    }

    /// The header of the device whose DPC the ISR requests.
    pub(crate) fn first_header(&self) -> Option<&Header> {
        self.device(0).map(Device::header)
    }

    /// Enters an object of the controller extension that the kernel is about to keep the
    /// address of.
    pub(crate) fn register(&self, irql: &mut Passive, object: Registered<'_>) -> Result<()> {
        let start = core::ptr::from_ref(self).addr();
        self.objects
            .register(irql, start, size_of::<Self>(), object)
    }
}

/// The controller, while ControllerControl runs: it is this device's turn, fact 42.
#[must_use = "a controller is kept or deallocated"]
#[derive(Debug)]
pub struct AllocatedController<'a> {
    object: *mut sys::CONTROLLER_OBJECT,
    call: PhantomData<&'a mut ()>,
}

/// The controller, after ControllerControl kept it: still this device's turn, fact 42.
#[must_use = "a controller that is kept is freed in the end"]
#[derive(Debug)]
pub struct KeptController(*mut sys::CONTROLLER_OBJECT);

// SAFETY: (Aliasing) a turn belongs to a device object, not to a thread; there is one, fact 42.
unsafe impl Send for KeptController {}

/// What ControllerControl says to the kernel; only the methods of [`AllocatedController`]
/// make one.
#[must_use = "ControllerControl returns this"]
#[derive(Debug)]
pub struct Allocation {
    object: *mut sys::CONTROLLER_OBJECT,
    action: sys::IO_ALLOCATION_ACTION,
}

impl AllocatedController<'_> {
    /// # Safety
    /// ControllerControl has been called for this controller and has not returned.
    pub(super) const unsafe fn new(object: *mut sys::CONTROLLER_OBJECT) -> Self {
        Self {
            object,
            call: PhantomData,
        }
    }

    /// Gives the controller to the next in line when ControllerControl has returned. Is
    /// `DeallocateObject`.
    ///
    /// # IRQL
    /// DISPATCH_LEVEL, where ControllerControl runs. See "IoAllocateController" in the
    /// documentation.
    pub fn deallocate(self) -> Allocation {
        Allocation {
            object: self.object,
            action: sys::DEALLOCATE_OBJECT,
        }
    }

    /// Keeps the controller: `publish` puts it where a DPC finds it, which may free it before
    /// ControllerControl has returned. Is `KeepObject`.
    ///
    /// # IRQL
    /// DISPATCH_LEVEL, where ControllerControl runs. See "IoAllocateController" in the
    /// documentation.
    pub fn keep(self, publish: impl FnOnce(KeptController)) -> Allocation {
        publish(KeptController(self.object));
        Allocation {
            object: self.object,
            action: sys::KEEP_OBJECT,
        }
    }
}

impl KeptController {
    /// Gives the controller to the next in line, whose ControllerControl routine runs before
    /// this returns. Wraps `IoFreeController`.
    ///
    /// # IRQL
    /// DISPATCH_LEVEL. See "IoFreeController" in the documentation.
    pub fn free(self, _irql: &mut Dispatch) {
        let object = core::mem::ManuallyDrop::new(self).0;
        // SAFETY: (IRQL) the token says DISPATCH_LEVEL. (Caller) the one free of this turn,
        // fact 42: it was consumed. (Pointer) the controller object outlives whatever can
        // hold its turn, fact 40.
        unsafe { sys::IoFreeController(object) };
    }
}

impl Drop for KeptController {
    fn drop(&mut self) {
        if irql::current() > irql::DISPATCH_LEVEL {
            stop(Reason::DroppedTooHigh, self.0.addr());
        }
        // SAFETY: (IRQL) looked at just now, fact 5.
        let mut irql = unsafe { irql::UpToDispatch::assume() };
        let turn = Self(self.0);
        irql::at_dispatch(&mut irql, |irql| turn.free(irql));
    }
}

impl Allocation {
    /// What the ControllerControl routine of this controller returns. Routines of two
    /// controllers could exchange theirs.
    pub(super) fn action_of(
        &self,
        controller: *mut sys::CONTROLLER_OBJECT,
    ) -> sys::IO_ALLOCATION_ACTION {
        if controller != self.object {
            stop(Reason::ForeignController, controller.addr());
        }
        self.action
    }
}
