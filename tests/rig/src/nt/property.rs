//! IoGetDeviceProperty: what the PnP manager knows of a device.

use alloc::vec::Vec;

use wdk_sys::{DEVICE_REGISTRY_PROPERTY, NTSTATUS, PDEVICE_OBJECT, PULONG, PVOID, ULONG};

use crate::nt::node::{self, Node};
use crate::nt::routine::Routine;
use crate::nt::status::{
    STATUS_BUFFER_TOO_SMALL, STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_DEVICE_REQUEST,
    STATUS_INVALID_PARAMETER_2, STATUS_OBJECT_NAME_NOT_FOUND, STATUS_SUCCESS,
};
use crate::nt::{fault, unicode};

/// `PCIBus`, the value of `DevicePropertyLegacyBusType`.
const PCI_BUS: ULONG = 5;
/// The last property that the headers define.
const LAST_PROPERTY: i32 = 22;

/// A property's value, as bytes.
fn value(node: &Node, property: i32) -> Option<Vec<u8>> {
    let text = |text: &str| {
        unicode::to_utf16(text)
            .into_iter()
            .flat_map(u16::to_le_bytes)
            .collect::<Vec<u8>>()
    };
    match property {
        // DevicePropertyDeviceDescription
        0 => Some(text("QEMU educational device")),
        // DevicePropertyHardwareID, a list that ends with an empty string
        1 => Some(
            [
                text(r"PCI\VEN_1234&DEV_11E8&SUBSYS_11001AF4&REV_10"),
                text(r"PCI\VEN_1234&DEV_11E8&SUBSYS_11001AF4"),
                text(r"PCI\VEN_1234&DEV_11E8&CC_00FF00"),
                text(r"PCI\VEN_1234&DEV_11E8&CC_00FF"),
                text(""),
            ]
            .concat(),
        ),
        // DevicePropertyLocationInformation
        10 => Some(text(&node.location())),
        // DevicePropertyPhysicalDeviceObjectName
        11 => Some(text(&node.object_name())),
        // DevicePropertyLegacyBusType
        13 => Some(PCI_BUS.to_le_bytes().to_vec()),
        // DevicePropertyBusNumber
        14 => Some(node.bus_number().to_le_bytes().to_vec()),
        // DevicePropertyEnumeratorName
        15 => Some(text("PCI")),
        // DevicePropertyAddress
        16 => Some(node.bus_address().to_le_bytes().to_vec()),
        _ => None,
    }
}

/// IoGetDeviceProperty.
pub(crate) unsafe extern "C" fn io_get_device_property(
    pdo: PDEVICE_OBJECT,
    property: DEVICE_REGISTRY_PROPERTY::Type,
    length: ULONG,
    buffer: PVOID,
    result_length: PULONG,
) -> NTSTATUS {
    Routine::IoGetDeviceProperty.enter();
    let Some(node) = node::of_pdo(pdo) else {
        return STATUS_INVALID_DEVICE_REQUEST;
    };
    if fault::strikes(Routine::IoGetDeviceProperty) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    if !(0..=LAST_PROPERTY).contains(&property) {
        return STATUS_INVALID_PARAMETER_2;
    }
    let Some(value) = value(&node, property) else {
        return STATUS_OBJECT_NAME_NOT_FOUND;
    };
    let needed = ULONG::try_from(value.len()).unwrap_or(ULONG::MAX);
    // SAFETY: The driver passes a variable of its own for the length.
    unsafe { result_length.write(needed) };
    if length < needed {
        return STATUS_BUFFER_TOO_SMALL;
    }
    // SAFETY: The driver's buffer has `length` bytes, which is at least so many.
    unsafe { core::ptr::copy_nonoverlapping(value.as_ptr(), buffer.cast::<u8>(), value.len()) };
    STATUS_SUCCESS
}
