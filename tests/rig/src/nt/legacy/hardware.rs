//! Hardware for drivers without PnP: HalGetBusDataByOffset, HalAssignSlotResources,
//! IoAssignResources, HalTranslateBusAddress, HalGetInterruptVector, IoConnectInterrupt,
//! IoDisconnectInterrupt.
//!
//! A claim is entered for the driver object. It is given up by asking IoAssignResources
//! for nothing, and then nothing of the hardware may be in use any more.

use alloc::collections::BTreeMap;

use wdk_sys::{
    BOOLEAN, BUS_DATA_TYPE, CM_RESOURCE_LIST, INTERFACE_TYPE, KAFFINITY, KINTERRUPT_MODE, KIRQL,
    NTSTATUS, PCM_RESOURCE_LIST, PDEVICE_OBJECT, PDRIVER_OBJECT, PHYSICAL_ADDRESS,
    PIO_RESOURCE_REQUIREMENTS_LIST, PUNICODE_STRING, PVOID, ULONG,
};

use crate::machine::pci::PciFunction;
use crate::machine::sync::IrqLock;
use crate::nt::driver::Driver;
use crate::nt::interrupt;
use crate::nt::node::{self, NodeRef};
use crate::nt::resources::{Form, ResourceList};
use crate::nt::routine::Routine;
use crate::nt::status::{
    STATUS_CONFLICTING_ADDRESSES, STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_PARAMETER,
    STATUS_NO_SUCH_DEVICE, STATUS_SUCCESS,
};
use crate::nt::violation::check;
use crate::nt::{address, load, mmio, pool};

/// `PCIConfiguration`.
const PCI_CONFIGURATION: BUS_DATA_TYPE = 4;
/// `PCIBus`.
const PCI_BUS: INTERFACE_TYPE = 5;
/// `LevelSensitive`.
const LEVEL_SENSITIVE: KINTERRUPT_MODE = 0;
/// Tag of the lists that drivers free.
const TAG: ULONG = u32::from_le_bytes(*b"PciR");
/// Bytes of configuration space.
const CONFIGURATION: ULONG = 0x100;
/// What an empty slot answers.
const NO_VENDOR: ULONG = 0xffff;

/// Who has claimed what: driver objects by the device's number.
static CLAIMS: IrqLock<BTreeMap<u32, usize>> = IrqLock::new(BTreeMap::new());

/// The hardware in a slot.
fn in_slot(bus: ULONG, slot: ULONG) -> Option<NodeRef> {
    let (device, function) = (slot & 0x1f, slot >> 5 & 7);
    node::all().into_iter().find(|node| {
        node.state().is_unassigned()
            && node.bus_number() == bus
            && node.bus_address() == device << 16 | function
    })
}

/// Whether a driver without PnP has claimed this hardware.
pub(crate) fn is_claimed(index: u32) -> bool {
    CLAIMS.with(|claims| claims.contains_key(&index))
}

/// The hardware that a driver has claimed.
pub(super) fn claimed_by(driver: Driver) -> Option<NodeRef> {
    let owner = address::of(driver.pointer());
    let index = CLAIMS.with(|claims| {
        let claim = claims.iter().find(|(_, driver)| **driver == owner);
        claim.map(|(index, _)| *index)
    });
    index.and_then(node::by_index)
}

/// HalGetBusDataByOffset.
pub(crate) unsafe extern "C" fn hal_get_bus_data_by_offset(
    kind: BUS_DATA_TYPE,
    bus: ULONG,
    slot: ULONG,
    buffer: PVOID,
    offset: ULONG,
    length: ULONG,
) -> ULONG {
    Routine::HalGetBusDataByOffset.enter();
    // The rig's machine has one bus; its devices are on it.
    let (Ok(0), PCI_CONFIGURATION) = (u8::try_from(bus), kind) else {
        return 0;
    };
    let function = PciFunction {
        bus: 0,
        device: slot.to_le_bytes()[0] & 0x1f,
        function: (slot >> 5).to_le_bytes()[0] & 7,
        bridge: None,
    };
    let exists = function.read32(0) & NO_VENDOR != NO_VENDOR;
    let end = if exists { CONFIGURATION } else { 2 };
    let read = length.min(end.saturating_sub(offset));
    for index in 0..read {
        let [at, ..] = (offset + index).to_le_bytes();
        let word = function.read32(at).to_le_bytes();
        let byte = word[usize::from(at & 3)];
        let place = usize::try_from(index).unwrap_or(0);
        // SAFETY: The driver's buffer has `length` bytes.
        let place = unsafe { buffer.cast::<u8>().add(place) };
        // SAFETY: As above.
        unsafe { place.write(byte) };
    }
    read
}

/// HalAssignSlotResources.
pub(crate) unsafe extern "C" fn hal_assign_slot_resources(
    _registry_path: PUNICODE_STRING,
    _class: PUNICODE_STRING,
    driver: PDRIVER_OBJECT,
    _device: PDEVICE_OBJECT,
    bus_type: INTERFACE_TYPE,
    bus: ULONG,
    slot: ULONG,
    list: *mut PCM_RESOURCE_LIST,
) -> NTSTATUS {
    Routine::HalAssignSlotResources.enter();
    let (Some(owner), PCI_BUS) = (load::driver_object(driver), bus_type) else {
        return STATUS_INVALID_PARAMETER;
    };
    let Some(node) = in_slot(bus, slot) else {
        return STATUS_NO_SUCH_DEVICE;
    };
    let owner = address::of(owner.pointer());
    let is_free = CLAIMS.with(|claims| *claims.entry(node.index()).or_insert(owner) == owner);
    if !is_free {
        return STATUS_CONFLICTING_ADDRESSES;
    }
    let resources = ResourceList::of(&node, Form::Raw, None);
    let Some(place) = pool::allocate(pool::Kind::Paged, size_of::<ResourceList>(), TAG) else {
        return STATUS_INSUFFICIENT_RESOURCES;
    };
    let place: *mut ResourceList = address::to_pointer(place);
    // SAFETY: The block is new and has this size.
    unsafe { place.write(resources) };
    node.function().set_memory_space(true);
    node.function().set_bus_master(true);
    // SAFETY: The driver passes a variable of its own for the result.
    unsafe { list.write(place.cast::<CM_RESOURCE_LIST>()) };
    STATUS_SUCCESS
}

/// IoAssignResources, for giving up what was claimed.
pub(crate) unsafe extern "C" fn io_assign_resources(
    _registry_path: PUNICODE_STRING,
    _class: PUNICODE_STRING,
    driver: PDRIVER_OBJECT,
    _device: PDEVICE_OBJECT,
    requested: PIO_RESOURCE_REQUIREMENTS_LIST,
    _list: *mut PCM_RESOURCE_LIST,
) -> NTSTATUS {
    Routine::IoAssignResources.enter();
    let (Some(owner), true) = (load::driver_object(driver), requested.is_null()) else {
        return STATUS_INVALID_PARAMETER;
    };
    while let Some(node) = claimed_by(owner) {
        CLAIMS.with(|claims| claims.remove(&node.index()));
        interrupt::assert_none_left("IoAssignResources", &node);
        let (base, length) = node.memory();
        mmio::assert_none_left("IoAssignResources", base, length as u64);
        node.function().set_bus_master(false);
        node.function().set_memory_space(false);
    }
    STATUS_SUCCESS
}

/// HalTranslateBusAddress: on this machine a bus address is what the processors see.
pub(crate) unsafe extern "C" fn hal_translate_bus_address(
    bus_type: INTERFACE_TYPE,
    bus: ULONG,
    address: PHYSICAL_ADDRESS,
    space: *mut ULONG,
    translated: *mut PHYSICAL_ADDRESS,
) -> BOOLEAN {
    Routine::HalTranslateBusAddress.enter();
    if bus_type != PCI_BUS || bus != 0 {
        return 0;
    }
    // SAFETY: The driver passes a variable of its own for the space.
    let is_memory = unsafe { space.read() } == 0;
    if is_memory {
        // SAFETY: The driver passes a variable of its own for the result.
        unsafe { translated.write(address) };
    }
    BOOLEAN::from(is_memory)
}

/// The claimed hardware whose line this is.
fn with_line(line: ULONG) -> Option<NodeRef> {
    node::all()
        .into_iter()
        .find(|node| is_claimed(node.index()) && node.interrupt().line == Some(line))
}

/// HalGetInterruptVector.
pub(crate) unsafe extern "C" fn hal_get_interrupt_vector(
    bus_type: INTERFACE_TYPE,
    bus: ULONG,
    bus_level: ULONG,
    bus_vector: ULONG,
    irql: *mut KIRQL,
    affinity: *mut KAFFINITY,
) -> ULONG {
    Routine::HalGetInterruptVector.enter();
    let node = with_line(bus_level)
        .filter(|node| bus_type == PCI_BUS && node.bus_number() == bus && bus_vector == bus_level);
    let Some(node) = node else { return 0 };
    // SAFETY: The driver passes variables of its own for the results.
    unsafe { irql.write(node.interrupt().irql()) };
    // SAFETY: As above.
    unsafe { affinity.write(node.interrupt().affinity()) };
    ULONG::from(node.interrupt().vector)
}

/// The claimed hardware whose interrupt has this vector.
pub(crate) fn with_vector(vector: ULONG) -> Option<NodeRef> {
    node::all()
        .into_iter()
        .find(|node| is_claimed(node.index()) && ULONG::from(node.interrupt().vector) == vector)
}

/// Checks a connection against what HalGetInterruptVector said.
pub(crate) fn assert_follows_hal(
    node: &NodeRef,
    irql: (KIRQL, KIRQL),
    mode: KINTERRUPT_MODE,
    is_shared: bool,
    affinity: KAFFINITY,
) {
    let interrupt = node.interrupt();
    check!(
        Int12,
        Routine::IoConnectInterrupt,
        irql.0 == interrupt.irql()
            && irql.1 >= irql.0
            && mode == LEVEL_SENSITIVE
            && is_shared
            && affinity == interrupt.affinity(),
        "The connection says IRQL {}, SynchronizeIrql {}, mode {mode}, shared {is_shared}, processors {affinity:#x}; HalGetInterruptVector said IRQL {}, processors {:#x}, for a line that is level-sensitive and shared.",
        irql.0,
        irql.1,
        interrupt.irql(),
        interrupt.affinity()
    );
}

/// Checks, when the driver is gone, that it gave up its claims.
pub(super) fn assert_nothing_left() {
    let left = CLAIMS.with(|claims| claims.keys().next().copied());
    check!(
        Pnp16,
        "unload",
        left.is_none(),
        "The driver has not given up the hardware {:#x}.",
        left.unwrap_or_default()
    );
}
