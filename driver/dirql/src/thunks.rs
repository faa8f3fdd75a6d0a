//! The C routines that the kernel calls: recover the device, mint the token, call
//! safe code.

use core::ptr::null_mut;

use crate::{
    device::{Device, Header},
    device_interface::DeviceInterface,
    driver::{DirectIo, DpcForIsr, Driver},
    file::FileObject,
    irp::{Buffers, Dispatched, Irp},
    irql::{Dispatch, Passive, UpToDispatch},
    pnp,
    registry::ServiceKey,
    start_io::{self, Beginning, StartIo},
    status::{NtError, Result, status_of},
    sys,
};

pub(crate) type StartIoRoutine = unsafe extern "C" fn(*mut sys::DEVICE_OBJECT, *mut sys::IRP);
pub(crate) type DpcRoutine =
    unsafe extern "C" fn(*mut sys::KDPC, sys::PVOID, sys::PVOID, sys::PVOID);

pub(crate) type DispatchRoutine =
    unsafe extern "C" fn(*mut sys::DEVICE_OBJECT, *mut sys::IRP) -> sys::NTSTATUS;

pub(crate) const FILE_DEVICE_UNKNOWN: u32 = 0x22;
pub(crate) const FILE_DEVICE_SECURE_OPEN: u32 = 0x100;
pub(crate) const DO_BUFFERED_IO: u32 = 0x4;
const DO_DIRECT_IO: u32 = 0x10;
const DO_DEVICE_INITIALIZING: u32 = 0x80;
const DO_POWER_PAGABLE: u32 = 0x2000;
const TRUE: u8 = 1;
const FALSE: u8 = 0;

/// DriverEntry: tells the kernel the driver's routines.
///
/// # Safety
/// Called by the kernel, through [`crate::driver_entry!`], with its driver object.
pub unsafe fn initialize<E: Driver>(
    driver: *mut sys::DRIVER_OBJECT,
    registry_path: *const sys::UNICODE_STRING,
) -> sys::NTSTATUS {
    const {
        // IoCreateDevice aligns the extension as it aligns pool.
        assert!(
            align_of::<Device<E>>() <= 16,
            "the extension's alignment is too large"
        );
    }
    // SAFETY: (IRQL) DriverEntry is called at PASSIVE_LEVEL, facts 5 and 10.
    let mut irql = unsafe { Passive::assume() };
    // SAFETY: (Pointer) the kernel's string, which outlives the call, facts 10 and 11.
    let entered = unsafe { ServiceKey::of_driver_entry(registry_path) }
        .and_then(|service| E::driver_entry(&mut irql, &service));
    if let Err(error) = entered {
        return error.status();
    }
    // SAFETY: (Pointer) the kernel's driver object, which outlives the driver. (Aliasing)
    // the kernel reads it after DriverEntry has returned, facts 1 and 10.
    let driver = unsafe { &mut *driver };
    // SAFETY: (Pointer) the kernel makes a driver extension for every driver, fact 1.
    unsafe { (*driver.DriverExtension).AddDevice = Some(add_device::<E>) };
    driver.DriverUnload = Some(unload);
    driver.DriverStartIo = E::ROUTINES.start_io;
    let routines: [(u32, sys::PDRIVER_DISPATCH); 7] = [
        (sys::IRP_MJ_CREATE, Some(create::<E>)),
        (sys::IRP_MJ_CLEANUP, Some(cleanup::<E>)),
        (sys::IRP_MJ_CLOSE, Some(succeed)),
        (sys::IRP_MJ_DEVICE_CONTROL, Some(device_control::<E>)),
        (sys::IRP_MJ_PNP, Some(pnp::dispatch::<E>)),
        (sys::IRP_MJ_POWER, E::ROUTINES.power.or(Some(pass_down))),
        (sys::IRP_MJ_SYSTEM_CONTROL, Some(pass_down)),
    ];
    let direct_io = E::ROUTINES.direct_io.into_iter().flat_map(|[read, write]| {
        [
            (sys::IRP_MJ_READ, Some(read) as sys::PDRIVER_DISPATCH),
            (sys::IRP_MJ_WRITE, Some(write)),
        ]
    });
    for (major, routine) in routines.into_iter().chain(direct_io) {
        let slot = usize::try_from(major).ok();
        if let Some(slot) = slot.and_then(|major| driver.MajorFunction.get_mut(major)) {
            *slot = routine;
        }
    }
    0
}

/// AddDevice: a functional device object on top of the stack.
unsafe extern "C" fn add_device<E: Driver>(
    driver: *mut sys::DRIVER_OBJECT,
    physical: *mut sys::DEVICE_OBJECT,
) -> sys::NTSTATUS {
    // SAFETY: (IRQL) the PnP manager calls AddDevice at PASSIVE_LEVEL, facts 5 and 10.
    let mut irql = unsafe { Passive::assume() };
    status_of(&add_device_at_passive::<E>(&mut irql, driver, physical))
}

fn add_device_at_passive<E: Driver>(
    irql: &mut Passive,
    driver: *mut sys::DRIVER_OBJECT,
    physical: *mut sys::DEVICE_OBJECT,
) -> Result<()> {
    let mut object = null_mut();
    // SAFETY: (IRQL) the token says PASSIVE_LEVEL. (Pointer) the driver object is the
    // kernel's, the result lives across the call; the object has no name, facts 5, 10 and
    // 11.
    let status = unsafe {
        sys::IoCreateDevice(
            driver,
            const { sys::ulong_size::<Device<E>>() },
            null_mut(),
            FILE_DEVICE_UNKNOWN,
            FILE_DEVICE_SECURE_OPEN,
            0,
            &raw mut object,
        )
    };
    NtError::check(status)?;
    // SAFETY: (Pointer) IoCreateDevice has just made it, fact 10.
    let place = unsafe { (*object).DeviceExtension }.cast::<Device<E>>();
    // SAFETY: (Pointer) as large as asked for and aligned, see `initialize`. (Aliasing)
    // nobody knows the device object yet, fact 1.
    let written = unsafe { write_extension::<E>(irql, place, object, physical) };
    if let Err(error) = written {
        // SAFETY: (IRQL) the token says PASSIVE_LEVEL. (Caller) made above, attached to
        // nothing, and its extension holds nothing, facts 1, 5 and 10.
        unsafe { sys::IoDeleteDevice(object) };
        return Err(error);
    }
    // SAFETY: (Aliasing) nobody knows the device object yet. (Ready) written above, fact 1.
    unsafe { (*place.cast::<Header>()).tells(E::ROUTINES.completing) };
    let attached = attach::<E>(irql, object, place.cast());
    let attached = attached.and_then(|()| {
        if E::ROUTINES.power.is_none() {
            return Ok(());
        }
        // SAFETY: (Pointer) the extension was written above; no IRP comes before the end of
        // this routine, fact 1.
        let header = unsafe { &*place.cast::<Header>() };
        // SAFETY: (Caller) the device object of that header, which REMOVE deletes last, fact 3.
        unsafe { header.power().allocate(irql, object) }
    });
    // A class that cannot be registered fails AddDevice: user mode could not find
    // the device.
    let result = attached.and_then(|()| match &E::INTERFACE {
        Some(class) => DeviceInterface::register(irql, physical, class).map(Some),
        None => Ok(None),
    });
    match result {
        Ok(interface) => {
            if let Some(interface) = interface {
                // SAFETY: (Aliasing) the device still says that it is initialising, so no
                // IRP comes; nobody else is at the extension, fact 1.
                unsafe { (*place.cast::<Header>()).has_interface(interface) };
            }
            // SAFETY: (Aliasing) as above; this is what lets IRPs come, fact 1.
            unsafe { (*object).Flags &= !DO_DEVICE_INITIALIZING };
            Ok(())
        }
        Err(error) => {
            // SAFETY: (Caller) nothing was started, and no IRP has come, fact 1.
            unsafe { pnp::delete::<E>(irql, object) };
            Err(error)
        }
    }
}

/// Has the driver make the extension of a new device, and writes it into its place. In a
/// frame of its own: the extension is on the stack here, and a frame of a page or more needs
/// a routine that the kernel does not have.
///
/// # Safety
/// As [`Device::write`].
#[inline(never)]
unsafe fn write_extension<E: Driver>(
    irql: &mut Passive,
    place: *mut Device<E>,
    object: *mut sys::DEVICE_OBJECT,
    physical: *mut sys::DEVICE_OBJECT,
) -> Result<()> {
    /// And another one, for what the driver needs to make it.
    #[inline(never)]
    fn make<E: Driver>(irql: &mut Passive) -> Result<E> {
        E::add_device(irql)
    }
    match make::<E>(irql) {
        Ok(extension) => {
            // SAFETY: (Caller) the contract, fact 1.
            unsafe { Device::write(place, object, physical, extension) };
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Makes the device object ready and attaches it to the stack.
fn attach<E: Driver>(
    irql: &mut Passive,
    object: *mut sys::DEVICE_OBJECT,
    header: *mut Header,
) -> Result<()> {
    // SAFETY: (Aliasing) the device object is attached to nothing yet, so nobody else is at
    // its extension, fact 1.
    let header = unsafe { &mut *header };
    // SAFETY: (Caller) once, and the extension never moves, fact 1.
    unsafe { header.remove_lock().initialize(irql) };
    // SAFETY: (Pointer) alive. Is IoInitializeDpcRequest, fact 1.
    let kdpc = unsafe { &raw mut (*object).Dpc };
    let dpc = E::ROUTINES.dpc_for_isr;
    if dpc.is_some() {
        // SAFETY: (Pointer) the device object's own DPC; its context is the device object,
        // which outlives it, fact 3.
        unsafe { sys::KeInitializeDpc(kdpc, dpc, object.cast()) };
    }
    if let Some(routine) = E::ROUTINES.io_timer {
        // SAFETY: (Pointer) the header's own device object, of a device with extension `E`,
        // fact 1.
        unsafe { header.io_timer().initialize(irql, object, routine) }?;
    }
    // SAFETY: (Pointer) alive. A StartIo routine that ends its packet at once starts the
    // next from inside, so it must not be re-entered; packets stay cancellable when they
    // are dequeued, and `start_io` deals with that, facts 1 and 10.
    unsafe { sys::IoSetStartIoAttributes(object, TRUE, FALSE) };
    // SAFETY: (IRQL) the token says PASSIVE_LEVEL. (Pointer) the PDO that AddDevice was
    // given, facts 5 and 10.
    let lower = unsafe { sys::IoAttachDeviceToDeviceStack(object, header.physical()) };
    if lower.is_null() {
        return Err(NtError::STATUS_NO_SUCH_DEVICE);
    }
    header.attached_to(lower);
    // SAFETY: (Pointer) the stack keeps the lower object while this one is attached, fact
    // 10.
    let pageable = unsafe { (*lower).Flags } & DO_POWER_PAGABLE;
    let buffering = if E::ROUTINES.direct_io.is_some() {
        DO_DIRECT_IO
    } else {
        DO_BUFFERED_IO
    };
    // SAFETY: (Aliasing) the device still says that it is initialising, fact 10.
    unsafe { (*object).Flags |= buffering | pageable };
    Ok(())
}

/// DriverUnload: REMOVE has undone everything by now.
unsafe extern "C" fn unload(_driver: *mut sys::DRIVER_OBJECT) {}

/// An IRP at a device of this crate, whose remove lock holds for it.
pub(crate) struct Arrived<'a, E> {
    device: &'a Device<E>,
    irp: Irp,
    irql: UpToDispatch,
}

impl<E> Arrived<'_, E> {
    /// Takes the remove lock for an IRP that came to a dispatch routine. `Err` holds
    /// what to return: the device is going, and the IRP was completed.
    ///
    /// # Safety
    /// The I/O manager has just passed this IRP to a dispatch routine of this device,
    /// whose extension is `E`.
    pub(crate) unsafe fn new(
        object: *mut sys::DEVICE_OBJECT,
        irp: *mut sys::IRP,
    ) -> core::result::Result<Self, sys::NTSTATUS> {
        // SAFETY: (Pointer) the I/O manager keeps the device object across the call, facts
        // 10 and 11.
        let device = unsafe { Device::<E>::of(object) };
        // SAFETY: (IRQL) dispatch routines are called at DISPATCH_LEVEL or below, facts 5
        // and 10.
        let irql = unsafe { UpToDispatch::assume() };
        if let Err(error) = device.header().remove_lock().acquire(irp) {
            // SAFETY: (Caller) the IRP is ours, and we have not got its remove lock, fact
            // 4.
            return Err(unsafe { refuse(irp, error) });
        }
        Ok(Self {
            device,
            // SAFETY: (Caller) the dispatch routine owns the IRP, and the lock is held,
            // fact 4.
            irp: unsafe { Irp::from_raw(irp) },
            irql,
        })
    }
}

/// Completes an IRP whose device does not hold a remove lock for it.
///
/// # Safety
/// The caller owns the IRP and gives it up.
#[inline(never)]
pub(crate) unsafe fn refuse(irp: *mut sys::IRP, error: NtError) -> sys::NTSTATUS {
    // SAFETY: (Aliasing) the caller owns the IRP, fact 4.
    unsafe { (*irp).IoStatus = sys::io_status(error.status(), 0) };
    // SAFETY: (IRQL) dispatch routines are at DISPATCH_LEVEL or below. (Caller) the one
    // completion: the IRP is given up, facts 4, 5 and 10.
    unsafe { sys::IofCompleteRequest(irp, sys::NO_INCREMENT) };
    error.status()
}

/// IRP_MJ_CREATE.
unsafe extern "C" fn create<E: Driver>(
    object: *mut sys::DEVICE_OBJECT,
    irp: *mut sys::IRP,
) -> sys::NTSTATUS {
    // SAFETY: (Caller) the I/O manager; only `initialize::<E>` hands this out, fact 10.
    let arrived = unsafe { Arrived::<E>::new(object, irp) };
    dispatch(irp, arrived, |device, irql, irp| {
        match device.header().state().admit_create() {
            Ok(()) => E::create(device, irql, irp),
            Err(error) => irp.complete(irql, Err(error)),
        }
    })
}

/// IRP_MJ_DEVICE_CONTROL.
unsafe extern "C" fn device_control<E: Driver>(
    object: *mut sys::DEVICE_OBJECT,
    irp: *mut sys::IRP,
) -> sys::NTSTATUS {
    // SAFETY: as in `create`, fact 10.
    let arrived = unsafe { Arrived::<E>::new(object, irp) };
    dispatch_admitted(irp, arrived, E::device_control)
}

/// IRP_MJ_READ.
pub(crate) unsafe extern "C" fn read<E: DirectIo>(
    object: *mut sys::DEVICE_OBJECT,
    irp: *mut sys::IRP,
) -> sys::NTSTATUS {
    // SAFETY: as in `create`, fact 10.
    let arrived = unsafe { Arrived::<E>::new(object, irp) };
    dispatch_admitted(irp, arrived, E::read)
}

/// IRP_MJ_WRITE.
pub(crate) unsafe extern "C" fn write<E: DirectIo>(
    object: *mut sys::DEVICE_OBJECT,
    irp: *mut sys::IRP,
) -> sys::NTSTATUS {
    // SAFETY: as in `create`, fact 10.
    let arrived = unsafe { Arrived::<E>::new(object, irp) };
    dispatch_admitted(irp, arrived, E::write)
}

/// IRP_MJ_CLEANUP: the requests of a file that wait are wanted no more. A device that has
/// gone succeeds too; REMOVE comes after the last handle is closed.
unsafe extern "C" fn cleanup<E: Driver>(
    object: *mut sys::DEVICE_OBJECT,
    irp: *mut sys::IRP,
) -> sys::NTSTATUS {
    // SAFETY: as in `create`, fact 10.
    let arrived = unsafe { Arrived::<E>::new(object, irp) };
    dispatch(irp, arrived, |device, irql, irp| {
        if let Some(file) = irp.file() {
            device.clean_up(irql, file);
        }
        irp.complete(irql, Ok(0))
    })
}

impl<E: Driver> Device<E> {
    /// Ends the requests of a file, wherever they are.
    fn clean_up(&self, irql: &mut UpToDispatch, file: FileObject) {
        let header = self.header();
        header.irp_holders().clean_up(irql, file);
        let waiting = header.packets().waiting();
        waiting.clean_up(header, irql, file);
        if let Some(packet) = waiting.started_of(irql, file) {
            self.give_up_packet(irql, packet);
        }
        E::cleanup(self, irql, file);
    }
}

/// IRP_MJ_CLOSE: this crate keeps nothing for a file.
pub(crate) unsafe extern "C" fn succeed(
    object: *mut sys::DEVICE_OBJECT,
    irp: *mut sys::IRP,
) -> sys::NTSTATUS {
    // SAFETY: as in `create`; whatever the extension is, it begins with a header, facts 1
    // and 10.
    let arrived = unsafe { Arrived::<()>::new(object, irp) };
    dispatch(irp, arrived, |_, irql, irp| irp.complete(irql, Ok(0)))
}

/// As [`dispatch`], for requests that the device takes only while it is started or held.
fn dispatch_admitted<E>(
    irp: *mut sys::IRP,
    arrived: core::result::Result<Arrived<'_, E>, sys::NTSTATUS>,
    routine: impl FnOnce(&Device<E>, &mut UpToDispatch, Irp) -> Dispatched,
) -> sys::NTSTATUS {
    dispatch(irp, arrived, |device, irql, irp| {
        match device.header().state().admit_request() {
            Ok(()) => routine(device, irql, irp),
            Err(error) => irp.complete(irql, Err(error)),
        }
    })
}

/// Runs a dispatch routine of the driver's on an IRP that has arrived.
pub(crate) fn dispatch<E>(
    irp: *mut sys::IRP,
    arrived: core::result::Result<Arrived<'_, E>, sys::NTSTATUS>,
    routine: impl FnOnce(&Device<E>, &mut UpToDispatch, Irp) -> Dispatched,
) -> sys::NTSTATUS {
    match arrived {
        Ok(mut arrived) => routine(arrived.device, &mut arrived.irql, arrived.irp).status_of(irp),
        Err(status) => status,
    }
}

/// IRP_MJ_SYSTEM_CONTROL, and IRP_MJ_POWER of a driver without power: not handled here, so
/// the driver below gets them as they came.
unsafe extern "C" fn pass_down(
    object: *mut sys::DEVICE_OBJECT,
    irp: *mut sys::IRP,
) -> sys::NTSTATUS {
    // SAFETY: as in `succeed`, facts 1 and 10.
    let arrived = unsafe { Arrived::<()>::new(object, irp) };
    match arrived {
        Ok(arrived) => pnp::forward(arrived.device.header(), arrived.irp),
        Err(status) => status,
    }
}

/// StartIo.
pub(crate) unsafe extern "C" fn start_io<E: StartIo>(
    object: *mut sys::DEVICE_OBJECT,
    irp: *mut sys::IRP,
) {
    // SAFETY: (Caller) the I/O manager, from IoStartPacket or IoStartNextPacket. The IRP
    // holds the remove lock, so the device is alive, fact 4.
    let device = unsafe { Device::<E>::of(object) };
    // SAFETY: (IRQL) StartIo is called at DISPATCH_LEVEL, facts 5 and 10.
    let mut irql = unsafe { Dispatch::assume() };
    let cancel_routine = E::ROUTINES
        .take_back
        .map(|_| start_io::cancel_started::<E> as sys::CancelRoutine);
    // SAFETY: (Caller) as above: `start_packet` gave the IRP to the queue, facts 4, 5 and
    // 10.
    let beginning = unsafe { start_io::begin(device.header(), &mut irql, irp, cancel_routine) };
    match beginning {
        Beginning::Gone => {}
        Beginning::Packet(packet) => device.offer(&mut irql, packet),
        Beginning::Cancelled(packet) => packet.fail(&mut irql, NtError::STATUS_CANCELLED),
    }
}

/// DpcForIsr.
pub(crate) unsafe extern "C" fn dpc_for_isr<E: DpcForIsr>(
    _dpc: *mut sys::KDPC,
    context: sys::PVOID,
    _irp: sys::PVOID,
    _argument: sys::PVOID,
) {
    // SAFETY: (Caller) the kernel's DPC dispatcher. (Pointer) `attach` gave the device
    // object as context; REMOVE flushes DPCs before it deletes the object, fact 3.
    let device = unsafe { Device::<E>::of(context.cast()) };
    // SAFETY: (IRQL) DPCs run at DISPATCH_LEVEL, facts 5 and 10.
    let mut irql = unsafe { Dispatch::assume() };
    E::dpc_for_isr(device, &mut irql);
}
