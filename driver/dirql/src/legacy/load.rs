//! DriverEntry and Unload of a driver without PnP. Wraps `IoCreateController`,
//! `IoCreateDevice`, `IoCreateSymbolicLink` and what undoes them.

use core::ptr::{NonNull, null_mut};

use super::{
    Attached, Controller, DeviceName, LegacyDevice, LegacyDriver,
    controller::MOST_DEVICES,
    hardware::{self, Claimed},
    thunks,
};
use crate::{
    device::Device,
    irql::Passive,
    pool::Tag,
    registry::ServiceKey,
    status::{NtError, Result, status_of},
    sys,
    thunks::{DO_BUFFERED_IO, FILE_DEVICE_SECURE_OPEN, FILE_DEVICE_UNKNOWN, succeed},
    unicode::UnicodeString,
};

/// Tag of the copy of the registry path.
const TAG: Tag = Tag::new(*b"DirQ");
const TRUE: u8 = 1;
const FALSE: u8 = 0;

/// DriverEntry.
///
/// # Safety
/// Called by the kernel, through [`crate::legacy_driver_entry!`], with its driver object.
pub unsafe fn initialize<E: LegacyDriver>(
    driver: *mut sys::DRIVER_OBJECT,
    registry_path: *const sys::UNICODE_STRING,
) -> sys::NTSTATUS {
    const {
        assert!(
            !E::DEVICES.is_empty() && E::DEVICES.len() <= MOST_DEVICES,
            "a controller has one to eight device objects"
        );
        // IoCreateDevice and IoCreateController align extensions as they align pool.
        assert!(
            align_of::<LegacyDevice<E>>() <= 16 && align_of::<Controller<E>>() <= 16,
            "an extension's alignment is too large"
        );
    }
    // SAFETY: (IRQL) DriverEntry is called at PASSIVE_LEVEL, fact 5.
    let mut irql = unsafe { Passive::assume() };
    // SAFETY: (Pointer) the kernel's string, which outlives the call, fact 5.
    let loaded = unsafe { ServiceKey::of_driver_entry(registry_path) }.and_then(|service| {
        let extension = E::driver_entry(&mut irql, &service)?;
        load::<E>(&mut irql, driver, &service, extension)
    });
    status_of(&loaded)
}

fn load<E: LegacyDriver>(
    irql: &mut Passive,
    driver: *mut sys::DRIVER_OBJECT,
    service: &ServiceKey<'_>,
    extension: E::Controller,
) -> Result<()> {
    set_routines::<E>(driver);
    let slot = hardware::find(irql, E::HARDWARE)?;
    let path = UnicodeString::copy_of(irql, TAG, service.path())?;
    let hardware = Claimed::claim(irql, driver, path, slot)?;
    let controller = create_controller::<E>(irql, hardware, extension)?;
    let result = fill(irql, driver, controller);
    if result.is_err() {
        // SAFETY: (Caller) DriverEntry fails, so no handle was opened and none will be, fact 41.
        unsafe { tear_down(irql, controller) };
    }
    result
}

/// Tells the kernel the driver's routines. There is no AddDevice, which is what makes it
/// a driver without PnP.
fn set_routines<E: LegacyDriver>(driver: *mut sys::DRIVER_OBJECT) {
    // SAFETY: (Pointer) the kernel's driver object, which outlives the driver. (Aliasing) the
    // kernel reads it after DriverEntry has returned, fact 5.
    let driver = unsafe { &mut *driver };
    driver.DriverUnload = Some(unload::<E>);
    driver.DriverStartIo = Some(thunks::start_io::<E>);
    let routines: [(u32, sys::PDRIVER_DISPATCH); 4] = [
        (sys::IRP_MJ_CREATE, Some(thunks::create::<E>)),
        (sys::IRP_MJ_CLEANUP, Some(thunks::cleanup::<E>)),
        (sys::IRP_MJ_CLOSE, Some(succeed)),
        (
            sys::IRP_MJ_DEVICE_CONTROL,
            Some(thunks::device_control::<E>),
        ),
    ];
    for (major, routine) in routines {
        let slot = usize::try_from(major).ok();
        if let Some(slot) = slot.and_then(|major| driver.MajorFunction.get_mut(major)) {
            *slot = routine;
        }
    }
}

/// Creates the controller object and writes its extension.
fn create_controller<E: LegacyDriver>(
    _irql: &mut Passive,
    hardware: Claimed,
    extension: E::Controller,
) -> Result<NonNull<Controller<E>>> {
    // SAFETY: (IRQL) the token says PASSIVE_LEVEL, fact 5.
    let object = unsafe { sys::IoCreateController(const { sys::ulong_size::<Controller<E>>() }) };
    if object.is_null() {
        return Err(NtError::STATUS_INSUFFICIENT_RESOURCES);
    }
    // SAFETY: (Pointer) IoCreateController has just made it, fact 40.
    let place = unsafe { (*object).ControllerExtension }.cast::<Controller<E>>();
    // SAFETY: (Pointer) as large as asked for and aligned, see `initialize`. (Aliasing) nobody
    // knows the controller object yet, fact 40.
    unsafe { place.write(Controller::new(object, hardware, extension)) };
    // SAFETY: (Pointer) the address of what was just written, fact 40.
    Ok(unsafe { NonNull::new_unchecked(place) })
}

/// Creates the device objects and starts the hardware.
fn fill<E: LegacyDriver>(
    irql: &mut Passive,
    driver: *mut sys::DRIVER_OBJECT,
    place: NonNull<Controller<E>>,
) -> Result<()> {
    // SAFETY: (Pointer) written by `create_controller`; shared references only are made of it,
    // fact 40.
    let controller = unsafe { place.as_ref() };
    for (number, name) in E::DEVICES.iter().enumerate() {
        let extension = E::create_device(irql, number)?;
        let object = create_device(irql, driver, place, *name, extension)?;
        controller.enter(number, object);
        create_link(irql, *name)?;
    }
    if let Some(first) = controller.first_header() {
        // SAFETY: (Pointer) alive, and only DriverEntry is at it. Is IoInitializeDpcRequest,
        // fact 1.
        let dpc = unsafe { &raw mut (*first.object()).Dpc };
        let routine = Some(thunks::dpc_for_isr::<E> as crate::thunks::DpcRoutine);
        // SAFETY: (Pointer) the device object's own DPC; its context is the controller, which
        // outlives it, facts 3 and 40.
        unsafe { sys::KeInitializeDpc(dpc, routine, place.as_ptr().cast()) };
    }
    E::start(controller, irql, &controller.hardware.resources())
}

/// Creates a named device object and writes its extension.
fn create_device<E: LegacyDriver>(
    irql: &mut Passive,
    driver: *mut sys::DRIVER_OBJECT,
    controller: NonNull<Controller<E>>,
    name: DeviceName,
    extension: E,
) -> Result<*mut sys::DEVICE_OBJECT> {
    let mut device_name = name.device.as_kernel();
    let mut object = null_mut();
    // SAFETY: (IRQL) the token says PASSIVE_LEVEL, fact 5. (Pointer) the driver object is the
    // kernel's; name and result live across the call, and the name is only read, facts 11
    // and 15.
    let status = unsafe {
        sys::IoCreateDevice(
            driver,
            const { sys::ulong_size::<LegacyDevice<E>>() },
            &raw mut device_name,
            FILE_DEVICE_UNKNOWN,
            FILE_DEVICE_SECURE_OPEN,
            0,
            &raw mut object,
        )
    };
    NtError::check(status)?;
    // SAFETY: (Pointer) IoCreateDevice has just made it, fact 1.
    let place = unsafe { (*object).DeviceExtension }.cast::<LegacyDevice<E>>();
    let attached = Attached::new(controller, name, extension);
    // SAFETY: (Pointer) as large as asked for and aligned, see `initialize`. (Aliasing) no
    // handle can be opened before DriverEntry returns, fact 1.
    unsafe { Device::write(place, object, null_mut(), attached) };
    // SAFETY: (Pointer) written just now; shared references only are made of it, fact 1.
    let device = unsafe { &*place };
    // SAFETY: (Caller) once, and the extension never moves, fact 1.
    unsafe { device.header().remove_lock().initialize(irql) };
    // SAFETY: (Pointer) alive. As for other devices: a StartIo routine that ends its packet at
    // once is not re-entered, and packets stay cancelable when they are dequeued, fact 1.
    unsafe { sys::IoSetStartIoAttributes(object, TRUE, FALSE) };
    // SAFETY: (Aliasing) as above. The I/O manager clears DO_DEVICE_INITIALIZING when
    // DriverEntry has returned, fact 1.
    unsafe { (*object).Flags |= DO_BUFFERED_IO };
    Ok(object)
}

/// Makes a device object known to user mode.
fn create_link(_irql: &mut Passive, name: DeviceName) -> Result<()> {
    let (mut link, mut device) = (name.link.as_kernel(), name.device.as_kernel());
    // SAFETY: (IRQL) the token says PASSIVE_LEVEL, fact 5. (Pointer) both live across the
    // call and are only read, facts 11 and 15.
    let status = unsafe { sys::IoCreateSymbolicLink(&raw mut link, &raw mut device) };
    NtError::check(status).map(|_| ())
}

/// Unload: the I/O manager calls it when no handle is open, fact 41.
unsafe extern "C" fn unload<E: LegacyDriver>(driver: *mut sys::DRIVER_OBJECT) {
    // SAFETY: (IRQL) Unload is called at PASSIVE_LEVEL, fact 5.
    let mut irql = unsafe { Passive::assume() };
    // SAFETY: (Pointer) the driver's own object, fact 41.
    let first = unsafe { (*driver).DeviceObject };
    // SAFETY: (Pointer) a loaded driver has the device objects that DriverEntry created, and
    // only Unload deletes them, fact 41.
    let device = unsafe { Device::<Attached<E>>::of(first) };
    let controller = NonNull::from(device.controller());
    // SAFETY: (Caller) Unload: no handle is open and none can be opened, fact 41.
    unsafe { tear_down(&mut irql, controller) };
}

/// Undoes what DriverEntry did.
///
/// # Safety
/// `create_controller` made the controller; no IRP is at a device and none will come, and
/// no reference to the controller or its devices is used afterwards.
unsafe fn tear_down<E: LegacyDriver>(irql: &mut Passive, place: NonNull<Controller<E>>) {
    // SAFETY: (Pointer) the contract, fact 40.
    let controller = unsafe { place.as_ref() };
    E::stop(controller, irql);
    // SAFETY: (Pointer) the controller extension is alive until it is dropped below, fact 40.
    unsafe { controller.objects().quiesce_all(irql) };
    for object in controller.take_devices() {
        // SAFETY: (Caller) the contract; the interrupt is gone, so nothing queues the DPC of
        // a device object any more, fact 3.
        unsafe { delete_device::<E>(irql, object) };
    }
    let object = controller.object();
    // SAFETY: (Aliasing) the devices, which alone could refer to it, are gone, facts 3 and 40.
    unsafe { place.as_ptr().drop_in_place() };
    // SAFETY: (IRQL) the token says PASSIVE_LEVEL. (Caller) nobody has it or waits for it: the
    // turns of all packets ended before the last handle was closed, facts 41 and 42.
    unsafe { sys::IoDeleteController(object) };
}

/// # Safety
/// As [`tear_down`], for one device, which the controller has forgotten.
unsafe fn delete_device<E: LegacyDriver>(irql: &mut Passive, object: *mut sys::DEVICE_OBJECT) {
    // SAFETY: (Pointer) the contract, fact 1.
    let device = unsafe { Device::<Attached<E>>::of(object) };
    let mut link = device.name.link.as_kernel();
    // SAFETY: (IRQL) the token says PASSIVE_LEVEL, fact 5. (Pointer) lives across the call. That it
    // is not there, when DriverEntry failed before it made it, is no failure.
    let _deleted = unsafe { sys::IoDeleteSymbolicLink(&raw mut link) };
    let header = device.header();
    if header.remove_lock().acquire(null_mut()).is_ok() {
        // What refers to the device holds its remove lock, fact 41.
        header.remove_lock().release_and_wait(irql, null_mut());
    }
    // SAFETY: (Pointer) the extension is alive until it is dropped below, fact 1.
    unsafe { header.objects().quiesce_all(irql) };
    // SAFETY: (IRQL) the token says PASSIVE_LEVEL. Nothing queues a DPC of this device any
    // more, fact 3.
    unsafe { sys::KeFlushQueuedDpcs() };
    let place = core::ptr::from_ref(device).cast_mut();
    // SAFETY: (Aliasing) no IRP, ISR, DPC or timer routine is left that could hold a
    // reference, facts 3 and 41, and the contract rules out others.
    unsafe { place.drop_in_place() };
    // SAFETY: (IRQL) as above. (Caller) attached to nothing, and nobody refers to it, fact 41.
    unsafe { sys::IoDeleteDevice(object) };
}
