//! A filter driver above the driver under test: `filter=on`.
//!
//! It changes nothing. By turns it skips its stack location, or copies it and has a
//! completion routine called, as filters of all kinds do; so the driver beneath is
//! neither at the top of its stack nor the one whose completion is the last. Its device
//! object has the flags of the one below, and one stack location more.

use core::sync::atomic::{AtomicUsize, Ordering};

use wdk_sys::{
    DO_BUFFERED_IO, DO_DEVICE_INITIALIZING, DO_DIRECT_IO, DO_POWER_PAGABLE, FILE_DEVICE_UNKNOWN,
    IO_STACK_LOCATION, NTSTATUS, PDEVICE_OBJECT, PIRP, PVOID,
};

use crate::nt::device::{Device, io_attach_device_to_device_stack, io_delete_device};
use crate::nt::driver::Driver;
use crate::nt::irp::location::{SL_INVOKE_ON_CANCEL, SL_INVOKE_ON_ERROR, SL_INVOKE_ON_SUCCESS};
use crate::nt::irp::{Irp, call, ledger};
use crate::nt::load;
use crate::nt::pnp::{self, minor};
use crate::nt::routine::Routine;
use crate::nt::status::STATUS_SUCCESS;
use crate::nt::violation::fatal;

/// The filter driver's name in the log.
const NAME: &str = "filter.sys";
/// Flags that a filter's device object has from the one below it.
const INHERITED: u32 = DO_BUFFERED_IO | DO_DIRECT_IO | DO_POWER_PAGABLE;

/// The driver object, once a device has a filter.
static DRIVER: spin::Once<Driver> = spin::Once::new();
/// IRPs that it has passed on.
static TURN: AtomicUsize = AtomicUsize::new(0);

/// The filter's AddDevice routine, after that of the driver below. PASSIVE_LEVEL.
pub(crate) fn attach(pdo: Device) {
    let driver = *DRIVER.call_once(|| {
        let driver = Driver::create();
        driver.set_major_functions([Some(dispatch); 28]);
        load::add_driver_object(driver);
        driver
    });
    let device = Device::create(driver, 0, FILE_DEVICE_UNKNOWN, 0, 0);
    // SAFETY: Both are device objects that exist, and this routine is at PASSIVE_LEVEL.
    let below = unsafe { io_attach_device_to_device_stack(device.pointer(), pdo.pointer()) };
    let flags = Device::find(below).map_or(0, |below| below.flags());
    device.set_flags((device.flags() | flags & INHERITED) & !DO_DEVICE_INITIALIZING);
}

/// Every IRP.
unsafe extern "C" fn dispatch(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let irp = ledger::live(NAME, irp);
    let Some((device, below)) =
        Device::find(device).and_then(|device| Some((device, device.lower()?)))
    else {
        fatal(
            "NO-SUCH-DEVICE-OBJECT",
            NAME,
            format_args!("An IRP came to a filter that is in no stack."),
        )
    };
    let is_removal = irp.major() == pnp::major() && irp.minor() == minor::REMOVE_DEVICE;
    if is_removal || TURN.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
        irp.set_current(irp.current() + 1);
    } else {
        copy_current_to_next(&irp);
    }
    let status = call::forward(Routine::IofCallDriver, below, &irp);
    if is_removal {
        device.leave_stack();
        // SAFETY: The device object exists, and is in no stack any more.
        unsafe { io_delete_device(device.pointer()) };
    }
    status
}

/// IoCopyCurrentIrpStackLocationToNext and IoSetCompletionRoutine.
fn copy_current_to_next(irp: &Irp) {
    let current = irp.location(irp.current());
    let next = irp.location(irp.current() - 1);
    next.write(IO_STACK_LOCATION {
        Control: SL_INVOKE_ON_SUCCESS | SL_INVOKE_ON_ERROR | SL_INVOKE_ON_CANCEL,
        CompletionRoutine: Some(completed),
        Context: core::ptr::null_mut(),
        ..current.read()
    });
}

/// The completion routine: the IRP goes on up, as pended as it came.
unsafe extern "C" fn completed(_device: PDEVICE_OBJECT, irp: PIRP, _context: PVOID) -> NTSTATUS {
    let irp = ledger::live(NAME, irp);
    if irp.pending_returned() != 0 {
        irp.location(irp.current()).mark_pending();
    }
    STATUS_SUCCESS
}
