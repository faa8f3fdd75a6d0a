//! The self-test driver: a small, complete WDM driver for the edu device, which
//! calls the executive's exports as a driver does.
//!
//! # Soundness
//! Facts 1 and 2 of [`self_test`](super).

use core::ptr;

use wdk_sys::{
    BOOLEAN, CONNECT_LINE_BASED, CONNECT_MESSAGE_BASED, DO_DEVICE_INITIALIZING, DO_DIRECT_IO,
    DO_POWER_PAGABLE, DRIVER_OBJECT, FILE_DEVICE_SECURE_OPEN, FILE_DEVICE_UNKNOWN, GUID,
    IO_CONNECT_INTERRUPT_MESSAGE_BASED_PARAMETERS, IO_CONNECT_INTERRUPT_PARAMETERS,
    IO_DISCONNECT_INTERRUPT_PARAMETERS, IRP_MJ_CLEANUP, IRP_MJ_CLOSE, IRP_MJ_CREATE,
    IRP_MJ_DEVICE_CONTROL, IRP_MJ_PNP, IRP_MJ_POWER, IRP_MJ_WRITE, KDPC, LARGE_INTEGER, NTSTATUS,
    PDEVICE_OBJECT, PDRIVER_OBJECT, PIRP, PKINTERRUPT, PUNICODE_STRING, PVOID, ULONG,
};

use crate::nt::device;
use crate::nt::dpc::{ke_flush_queued_dpcs, ke_initialize_dpc};
use crate::nt::interface::{io_register_device_interface, io_set_device_interface_state};
use crate::nt::interrupt::connect::io_connect_interrupt_ex;
use crate::nt::interrupt::disconnect::io_disconnect_interrupt_ex;
use crate::nt::irp::call::iof_call_driver;
use crate::nt::irp::complete::iof_complete_request;
use crate::nt::irp::forward::io_forward_irp_synchronously;
use crate::nt::irp::{Irp, ledger};
use crate::nt::mmio::{mm_map_io_space_ex, mm_unmap_io_space};
use crate::nt::node;
use crate::nt::node::NodeRef;
use crate::nt::pnp::minor;
use crate::nt::power::{self, D0, D3};
use crate::nt::remove_lock::{
    io_acquire_remove_lock_ex, io_initialize_remove_lock_ex, io_release_remove_lock_and_wait_ex,
};
use crate::nt::rtl::rtl_free_unicode_string;
use crate::nt::rule::Rule;
use crate::nt::self_test::dma_faults;
use crate::nt::self_test::extension::{Extension, own};
use crate::nt::self_test::faults::{Hook, armed_rule, happen};
use crate::nt::self_test::{held, isr_faults, packets, power_driver, queue, traced};
use crate::nt::start_io::io_set_start_io_attributes;
use crate::nt::status::{STATUS_DELETE_PENDING, STATUS_SUCCESS, is_success};
use crate::nt::timer::{ke_cancel_timer, ke_initialize_timer_ex, ke_set_timer_ex};

/// Registers of the device.
pub(super) const STATUS: usize = 0x20;
pub(super) const INTERRUPT_STATUS: usize = 0x24;
pub(super) const INTERRUPT_RAISE: usize = 0x60;
pub(super) const INTERRUPT_ACKNOWLEDGE: usize = 0x64;

/// `STATUS`: interrupt when a factorial is ready.
pub(super) const STATUS_INTERRUPT: u32 = 0x80;

/// `PAGE_READWRITE | PAGE_NOCACHE`.
const PROTECTION: ULONG = 0x204;

/// DriverEntry.
pub(super) unsafe extern "C" fn driver_entry(
    driver: PDRIVER_OBJECT,
    _path: PUNICODE_STRING,
) -> NTSTATUS {
    // SAFETY: Fact 1; DriverEntry is alone with its driver object.
    let object: &mut DRIVER_OBJECT = unsafe { &mut *driver };
    for major in [IRP_MJ_CREATE, IRP_MJ_CLOSE] {
        object.MajorFunction[major as usize] = Some(dispatch_open_and_close);
    }
    object.MajorFunction[IRP_MJ_CLEANUP as usize] = Some(queue::dispatch_cleanup);
    object.MajorFunction[IRP_MJ_DEVICE_CONTROL as usize] = Some(packets::dispatch_control);
    object.MajorFunction[IRP_MJ_WRITE as usize] = Some(dispatch_write);
    object.MajorFunction[IRP_MJ_PNP as usize] = Some(dispatch_pnp);
    object.MajorFunction[IRP_MJ_POWER as usize] = Some(power_driver::dispatch_power);
    object.DriverUnload = Some(unload);
    if happen(Hook::StartIoSlot, ptr::null_mut(), ptr::null_mut()).is_none() {
        object.DriverStartIo = Some(packets::start_io);
    }
    // SAFETY: Fact 1: the I/O manager made the extension with the object.
    unsafe { (*object.DriverExtension).AddDevice = Some(add_device) };
    traced::begin();
    STATUS_SUCCESS
}

/// Unload.
unsafe extern "C" fn unload(_driver: PDRIVER_OBJECT) {
    if happen(Hook::Untrace, ptr::null_mut(), ptr::null_mut()).is_none() {
        traced::end();
    }
    let _status = happen(Hook::Unload, ptr::null_mut(), ptr::null_mut());
}

/// AddDevice.
unsafe extern "C" fn add_device(driver: PDRIVER_OBJECT, pdo: PDEVICE_OBJECT) -> NTSTATUS {
    let mut device: PDEVICE_OBJECT = ptr::null_mut();
    let characteristics = if happen(Hook::Create, pdo, ptr::null_mut()).is_some() {
        0
    } else {
        FILE_DEVICE_SECURE_OPEN
    };
    // SAFETY: Fact 1.
    let status = unsafe {
        device::io_create_device(
            driver,
            u32::try_from(size_of::<Extension>()).unwrap_or(u32::MAX),
            ptr::null_mut(),
            FILE_DEVICE_UNKNOWN,
            characteristics,
            0,
            &raw mut device,
        )
    };
    if !is_success(status) {
        return status;
    }
    own(device).set_pdo(pdo);
    initialize_objects(device, pdo);
    queue::initialize(device);
    // SAFETY: Fact 1.
    unsafe { io_set_start_io_attributes(device, 1, 0) };
    // SAFETY: Fact 1.
    let lower = unsafe { device::io_attach_device_to_device_stack(device, pdo) };
    own(device).set_lower(lower);
    // As the device below has it; power IRPs come at PASSIVE_LEVEL then.
    // SAFETY: Fact 1; nobody else knows the device object yet.
    unsafe { (*device).Flags |= DO_DIRECT_IO | DO_POWER_PAGABLE };
    if happen(Hook::Initialized, device, ptr::null_mut()).is_none() {
        // SAFETY: Fact 1; nobody else knows the device object yet.
        unsafe { (*device).Flags &= !DO_DEVICE_INITIALIZING };
    }
    STATUS_SUCCESS
}

/// The kernel objects in the extension.
fn initialize_objects(device: PDEVICE_OBJECT, pdo: PDEVICE_OBJECT) {
    /// The interface class of this driver.
    static CLASS: GUID = GUID {
        Data1: 0x2b8c_7c11,
        Data2: 0x5d0e,
        Data3: 0x4f4a,
        Data4: [0x9d, 0x11, 0x3c, 0x7e, 0x21, 0x90, 0x5a, 0x6f],
    };
    // SAFETY: Facts 1 and 2.
    unsafe { io_initialize_remove_lock_ex(own(device).at_remove_lock(), 1, 0, 0, 0) };
    // SAFETY: Facts 1 and 2.
    unsafe { ke_initialize_timer_ex(own(device).at_timer(), 0) };
    // SAFETY: Facts 1 and 2.
    unsafe {
        ke_initialize_dpc(
            own(device).at_timer_dpc(),
            Some(timer_routine),
            device.cast(),
        );
    };
    // SAFETY: Facts 1 and 2.
    unsafe {
        ke_initialize_dpc(
            own(device).at_dpc(),
            Some(packets::packet_done),
            device.cast(),
        );
    };
    // SAFETY: Facts 1 and 2.
    let _status = unsafe {
        io_register_device_interface(
            pdo,
            &raw const CLASS,
            ptr::null_mut(),
            own(device).at_link(),
        )
    };
}

/// IRP_MJ_CREATE, IRP_MJ_CLOSE.
unsafe extern "C" fn dispatch_open_and_close(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let is_create = u32::from(handle(irp).major()) == IRP_MJ_CREATE;
    let status = if is_create && own(device).is_remove_pending() {
        STATUS_DELETE_PENDING
    } else {
        STATUS_SUCCESS
    };
    complete(irp, status)
}

/// IRP_MJ_WRITE: there is nothing to write to.
unsafe extern "C" fn dispatch_write(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    happen(Hook::Write, device, irp).unwrap_or_else(|| complete(irp, STATUS_SUCCESS))
}

/// The timer's DPC: nothing to watch.
unsafe extern "C" fn timer_routine(_dpc: *mut KDPC, _device: PVOID, _a: PVOID, _b: PVOID) {}

/// The ISR for a line.
unsafe extern "C" fn service(_interrupt: PKINTERRUPT, device: PVOID) -> BOOLEAN {
    if let Some(status) = happen(Hook::Isr, device.cast(), ptr::null_mut()) {
        return BOOLEAN::from(is_success(status));
    }
    let causes = read_register(device.cast(), INTERRUPT_STATUS);
    if causes == 0 {
        return 0;
    }
    write_register(device.cast(), INTERRUPT_ACKNOWLEDGE, causes);
    1
}

/// The ISR for a message.
unsafe extern "C" fn service_message(
    interrupt: PKINTERRUPT,
    device: PVOID,
    message: ULONG,
) -> BOOLEAN {
    // The self tests' device has one message.
    if message > 0 {
        let status = happen(Hook::Message, device.cast(), ptr::null_mut());
        return BOOLEAN::from(status.is_some_and(is_success));
    }
    // SAFETY: Fact 1.
    unsafe { service(interrupt, device) }
}

/// IRP_MJ_PNP.
unsafe extern "C" fn dispatch_pnp(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    let packet = handle(irp);
    match packet.location(packet.current()).minor() {
        minor::START_DEVICE => {
            if let Some(status) = happen(Hook::Start, device, irp) {
                return status;
            }
            // SAFETY: Facts 1 and 2.
            unsafe { io_forward_irp_synchronously(own(device).lower(), irp) };
            let status = packet.status();
            complete(
                irp,
                if is_success(status) {
                    start(device)
                } else {
                    status
                },
            )
        }
        minor::QUERY_STOP_DEVICE => {
            let status = happen(Hook::QueryStop, device, irp).unwrap_or(STATUS_SUCCESS);
            packet.set_status(status);
            forward(device, irp)
        }
        minor::STOP_DEVICE => {
            release_hardware(device);
            if let Some(status) = happen(Hook::Stop, device, irp) {
                return status;
            }
            packet.set_status(STATUS_SUCCESS);
            forward(device, irp)
        }
        minor::CANCEL_STOP_DEVICE | minor::CANCEL_REMOVE_DEVICE => {
            if packet.minor() == minor::CANCEL_REMOVE_DEVICE
                && !own(device).is_remove_pending()
                && let Some(status) = happen(Hook::Spurious, device, irp)
            {
                return status;
            }
            // SAFETY: Facts 1 and 2.
            unsafe { io_forward_irp_synchronously(own(device).lower(), irp) };
            own(device).set_is_remove_pending(false);
            complete(irp, STATUS_SUCCESS)
        }
        minor::QUERY_REMOVE_DEVICE => {
            own(device).set_is_remove_pending(true);
            packet.set_status(STATUS_SUCCESS);
            forward(device, irp)
        }
        minor::SURPRISE_REMOVAL => {
            own(device).set_is_gone(true);
            release_hardware(device);
            disable_interface(device);
            let _status = happen(Hook::Surprise, device, irp);
            packet.set_status(STATUS_SUCCESS);
            forward(device, irp)
        }
        minor::REMOVE_DEVICE => remove(device, irp),
        _ => {
            let _status = happen(Hook::Unknown, device, irp);
            forward(device, irp)
        }
    }
}

/// Takes the hardware into use.
pub(super) fn start(device: PDEVICE_OBJECT) -> NTSTATUS {
    let Some(node) = node_of(device) else {
        return STATUS_SUCCESS;
    };
    let (base, length) = node.memory();
    let physical = LARGE_INTEGER {
        QuadPart: base.cast_signed(),
    };
    let registers = mm_map_io_space_ex(physical, length as u64, PROTECTION);
    own(device).set_registers(registers.cast());
    write_register(device, INTERRUPT_ACKNOWLEDGE, u32::MAX);
    if let Some(status) = happen(Hook::Connect, device, ptr::null_mut()) {
        return status;
    }
    let status = connect(device);
    if !is_success(status) {
        return status;
    }
    let due = LARGE_INTEGER { QuadPart: -10_000 };
    // SAFETY: Facts 1 and 2.
    unsafe { ke_set_timer_ex(own(device).at_timer(), due, 10, own(device).at_timer_dpc()) };
    if !own(device).is_enabled() {
        // SAFETY: Facts 1 and 2.
        let _status = unsafe { io_set_device_interface_state(own(device).at_link(), 1) };
        own(device).set_is_enabled(true);
    }
    power_driver::report(device, D0);
    if armed_rule() == Some(Rule::Irp12) {
        // An IRP that nobody waits for, so that what becomes of it shows at the end.
        power_driver::request(device, power::minor::QUERY_POWER, D3, ptr::null_mut());
    }
    let _status = happen(Hook::Connected, device, ptr::null_mut());
    if happen(Hook::Dma, device, ptr::null_mut()).is_none() {
        dma_faults::use_adapter(device);
    }
    isr_faults::provoke(device);
    held::replay(device);
    STATUS_SUCCESS
}

/// Connects the interrupt, as a message or as a line.
pub(super) fn connect(device: PDEVICE_OBJECT) -> NTSTATUS {
    let mut parameters = IO_CONNECT_INTERRUPT_PARAMETERS {
        Version: CONNECT_MESSAGE_BASED,
        ..Default::default()
    };
    parameters.__bindgen_anon_1.MessageBased = IO_CONNECT_INTERRUPT_MESSAGE_BASED_PARAMETERS {
        PhysicalDeviceObject: own(device).pdo(),
        MessageServiceRoutine: Some(service_message),
        ServiceContext: device.cast(),
        FallBackServiceRoutine: Some(service),
        ..Default::default()
    };
    parameters
        .__bindgen_anon_1
        .MessageBased
        .ConnectionContext
        .InterruptMessageTable = own(device).at_table();
    // SAFETY: Facts 1 and 2.
    let status = unsafe { io_connect_interrupt_ex(&raw mut parameters) };
    own(device).set_version(parameters.Version);
    if parameters.Version == CONNECT_LINE_BASED {
        own(device).set_interrupt(own(device).table().cast());
    } else if is_success(status) {
        // SAFETY: The connect call made the table, with one entry at least.
        let interrupt = unsafe { (*own(device).table()).MessageInfo }[0].InterruptObject;
        own(device).set_interrupt(interrupt);
    }
    status
}

/// Disconnects the interrupt.
pub(super) fn disconnect(device: PDEVICE_OBJECT) {
    let mut parameters = IO_DISCONNECT_INTERRUPT_PARAMETERS {
        Version: own(device).version(),
        ..Default::default()
    };
    parameters.ConnectionContext.Generic = own(device).table().cast();
    // SAFETY: Facts 1 and 2.
    unsafe { io_disconnect_interrupt_ex(&raw mut parameters) };
}

/// Gives the hardware back, if it is in use.
fn release_hardware(device: PDEVICE_OBJECT) {
    let registers = own(device).registers();
    let (Some(node), false) = (node_of(device), registers.is_null()) else {
        return;
    };
    // SAFETY: Facts 1 and 2.
    unsafe { ke_cancel_timer(own(device).at_timer()) };
    if happen(Hook::Disconnect, device, ptr::null_mut()).is_none() {
        disconnect(device);
    }
    ke_flush_queued_dpcs();
    mm_unmap_io_space(registers.cast(), node.memory().1 as u64);
    own(device).set_registers(ptr::null_mut());
}

/// Takes the device away from user mode.
fn disable_interface(device: PDEVICE_OBJECT) {
    if own(device).is_enabled() {
        // SAFETY: Facts 1 and 2.
        let _status = unsafe { io_set_device_interface_state(own(device).at_link(), 0) };
        own(device).set_is_enabled(false);
    }
}

/// REMOVE_DEVICE.
fn remove(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    // SAFETY: Facts 1 and 2.
    let _status = unsafe {
        io_acquire_remove_lock_ex(own(device).at_remove_lock(), irp.cast(), ptr::null(), 0, 0)
    };
    release_hardware(device);
    disable_interface(device);
    handle(irp).set_status(STATUS_SUCCESS);
    let status = forward(device, irp);
    // SAFETY: Facts 1 and 2.
    unsafe { io_release_remove_lock_and_wait_ex(own(device).at_remove_lock(), irp.cast(), 0) };
    // SAFETY: Facts 1 and 2.
    unsafe { rtl_free_unicode_string(own(device).at_link()) };
    if happen(Hook::Remove, device, irp).is_none() {
        // SAFETY: Facts 1 and 2.
        unsafe { device::io_detach_device(own(device).lower()) };
        // SAFETY: Fact 1; the extension is not touched after this.
        unsafe { device::io_delete_device(device) };
    }
    status
}

/// The device node below a device object of this driver's.
fn node_of(device: PDEVICE_OBJECT) -> Option<NodeRef> {
    node::of_pdo(own(device).pdo())
}

/// The executive's handle on an IRP that this driver was given.
pub(super) fn handle(irp: PIRP) -> Irp {
    ledger::live("the self-test driver", irp)
}

/// IoMarkIrpPending.
pub(super) fn mark_pending(packet: &Irp) {
    packet.location(packet.current()).mark_pending();
}

/// IoSkipCurrentIrpStackLocation and IofCallDriver.
pub(super) fn forward(device: PDEVICE_OBJECT, irp: PIRP) -> NTSTATUS {
    skip(irp);
    // SAFETY: Facts 1 and 2.
    unsafe { iof_call_driver(own(device).lower(), irp) }
}

/// IoSkipCurrentIrpStackLocation.
pub(super) fn skip(irp: PIRP) {
    let packet = handle(irp);
    packet.set_current(packet.current() + 1);
}

/// Completes an IRP with a status and no information.
pub(super) fn complete(irp: PIRP, status: NTSTATUS) -> NTSTATUS {
    let packet = handle(irp);
    packet.set_status(status);
    packet.set_information(0);
    // SAFETY: Fact 1.
    unsafe { iof_complete_request(irp, 0) };
    status
}

/// Reads a register.
pub(super) fn read_register(device: PDEVICE_OBJECT, offset: usize) -> u32 {
    let registers = own(device).registers();
    // SAFETY: The offset is one of the constants above, inside the mapped range.
    let register = unsafe { registers.byte_add(offset) };
    // SAFETY: Mapped while the device is started; aligned as the constants are.
    unsafe { register.read_volatile() }
}

/// Writes a register.
pub(super) fn write_register(device: PDEVICE_OBJECT, offset: usize, value: u32) {
    let registers = own(device).registers();
    // SAFETY: As for reading.
    let register = unsafe { registers.byte_add(offset) };
    // SAFETY: As for reading.
    unsafe { register.write_volatile(value) };
}
