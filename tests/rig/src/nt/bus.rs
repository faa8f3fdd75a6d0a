//! The PCI bus driver beneath the driver under test: a driver object of the rig's
//! own with real dispatch routines, reached through IofCallDriver.
//!
//! It does what the PCI driver does for a device at PnP, and it is where rules
//! about what reaches the bus driver are checked. START_DEVICE is completed
//! later, from a DPC, as a bus driver is free to do; with `bus=late`, all it can is
//! completed late ([`late`]).

mod late;

use wdk_sys::{
    FILE_DEVICE_CONTROLLER, IRP_MJ_PNP, IRP_MJ_POWER, IRP_MJ_SYSTEM_CONTROL, KDPC, NTSTATUS,
    PDEVICE_OBJECT, PDRIVER_DISPATCH, PIRP, PVOID,
};

use crate::nt::callout::Callback;
use crate::nt::device::Device;
use crate::nt::driver::Driver;
use crate::nt::irp::complete::complete_with;
use crate::nt::irp::{Function, Irp, ledger};
use crate::nt::kernel_memory::allocate_object;
use crate::nt::options::{self, PowerIrql};
use crate::nt::pnp::minor;
use crate::nt::status::{
    STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_DEVICE_REQUEST, STATUS_NOT_SUPPORTED,
    STATUS_PENDING, STATUS_SUCCESS, is_success,
};
use crate::nt::violation::check;
use crate::nt::{address, dpc, fault, load, pnp, power, questions};

/// The bus driver's name in the log.
const NAME: &str = "pci.sys";

/// Makes the bus driver.
pub(crate) fn create_driver() -> Driver {
    let driver = Driver::create();
    let mut functions = driver.major_functions();
    let slots: [(u32, PDRIVER_DISPATCH); 3] = [
        (IRP_MJ_PNP, Some(dispatch_pnp)),
        (IRP_MJ_POWER, Some(power::bus::dispatch)),
        (IRP_MJ_SYSTEM_CONTROL, Some(dispatch_other)),
    ];
    for (major, routine) in slots {
        functions[major as usize] = routine;
    }
    driver.set_major_functions(functions);
    load::add_driver_object(driver);
    if options::get().is_bus_late {
        late::start();
    }
    driver
}

/// Makes the PDO of a device.
pub(crate) fn create_pdo(driver: Driver) -> Device {
    let flags = match options::get().power_irql {
        PowerIrql::Passive => wdk_sys::DO_POWER_PAGABLE,
        PowerIrql::Dispatch => 0,
    };
    let pdo = Device::create(driver, 0, FILE_DEVICE_CONTROLLER, 0, flags);
    pdo.set_flags(pdo.flags() & !wdk_sys::DO_DEVICE_INITIALIZING);
    pdo
}

/// IRP_MJ_PNP at the PDO.
unsafe extern "C" fn dispatch_pnp(_device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let irp = ledger::live(NAME, irp);
    let code = irp.location(irp.current()).minor();
    assert_rules(&irp, code);
    let status = match code {
        minor::START_DEVICE if fault::strikes(NAME) => STATUS_INSUFFICIENT_RESOURCES,
        minor::START_DEVICE
        | minor::QUERY_STOP_DEVICE
        | minor::STOP_DEVICE
        | minor::CANCEL_STOP_DEVICE
        | minor::QUERY_REMOVE_DEVICE
        | minor::REMOVE_DEVICE
        | minor::CANCEL_REMOVE_DEVICE
        | minor::SURPRISE_REMOVAL => STATUS_SUCCESS,
        _ => questions::answer(&irp, code),
    };
    match code {
        minor::REMOVE_DEVICE => complete_now(&irp, status),
        _ if options::get().is_bus_late => late::pend(&irp, status),
        minor::START_DEVICE if is_success(status) => complete_in_dpc(&irp),
        _ => complete_now(&irp, status),
    }
}

/// IRP_MJ_SYSTEM_CONTROL at the PDO: nothing to do.
unsafe extern "C" fn dispatch_other(_device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    complete_now(&ledger::live(NAME, irp), STATUS_INVALID_DEVICE_REQUEST)
}

/// Checks the status with which a PnP IRP came down.
fn assert_rules(irp: &Irp, code: u8) {
    let status = irp.status();
    let function = Function(27, code);
    check!(
        Pnp07,
        Callback::Dispatch,
        is_success(status) || status == STATUS_NOT_SUPPORTED,
        "{function} was forwarded with status {status:#010x}: a PnP IRP that failed is not forwarded."
    );
    match code {
        minor::QUERY_STOP_DEVICE
        | minor::STOP_DEVICE
        | minor::QUERY_REMOVE_DEVICE
        | minor::REMOVE_DEVICE
        | minor::SURPRISE_REMOVAL => check!(
            Pnp04,
            Callback::Dispatch,
            status == STATUS_SUCCESS,
            "{function} was forwarded with status {status:#010x}, not STATUS_SUCCESS."
        ),
        minor::START_DEVICE | minor::CANCEL_STOP_DEVICE | minor::CANCEL_REMOVE_DEVICE => {}
        _ => check!(
            Pnp06,
            Callback::Dispatch,
            status == STATUS_NOT_SUPPORTED,
            "{function} was forwarded with status {status:#010x} in place of the one that it came with."
        ),
    }
}

/// Completes an IRP in its dispatch routine.
fn complete_now(irp: &Irp, status: NTSTATUS) -> NTSTATUS {
    complete(irp, status);
    status
}

/// Completes an IRP, its information as it came.
fn complete(irp: &Irp, status: NTSTATUS) {
    let information = irp.information();
    if irp.major() == pnp::major() {
        pnp::below_is_done();
    }
    complete_with(irp, status, information);
}

/// Pends an IRP and has a DPC complete it with success.
fn complete_in_dpc(irp: &Irp) -> NTSTATUS {
    irp.location(irp.current()).mark_pending();
    let object = allocate_object::<KDPC>().as_ptr();
    // SAFETY: `allocate_object` just gave the memory, for good.
    unsafe { dpc::ke_initialize_dpc(object, Some(complete_start), core::ptr::null_mut()) };
    let inserted = dpc::insert(
        NAME,
        object,
        irp.pointer().cast(),
        core::ptr::null_mut(),
        dpc::Source::Executive,
    );
    assert!(inserted, "a new DPC was queued already");
    STATUS_PENDING
}

/// The DPC routine: completes the IRP that START_DEVICE came with.
unsafe extern "C" fn complete_start(
    _dpc: *mut KDPC,
    _context: PVOID,
    irp: PVOID,
    _argument2: PVOID,
) {
    let irp = ledger::live(NAME, address::to_pointer(address::of(irp)));
    complete(&irp, STATUS_SUCCESS);
}
