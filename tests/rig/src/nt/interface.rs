//! Device interfaces: IoRegisterDeviceInterface, IoSetDeviceInterfaceState.
//!
//! An interface is what user mode finds and opens: the command channel's opens go
//! through it, so a device whose interface is not enabled cannot be opened.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use wdk_sys::{BOOLEAN, GUID, NTSTATUS, PDEVICE_OBJECT, PUNICODE_STRING, UNICODE_STRING};

use crate::machine::sync::IrqLock;
use crate::nt::device::Device;
use crate::nt::node::{self, Node};
use crate::nt::routine::Routine;
use crate::nt::status::{
    STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_DEVICE_REQUEST, STATUS_OBJECT_NAME_EXISTS,
    STATUS_OBJECT_NAME_NOT_FOUND, STATUS_SUCCESS,
};
use crate::nt::violation::check;
use crate::nt::{address, fault, pool, unicode};

/// Tag of the strings that the driver frees with RtlFreeUnicodeString.
const TAG: u32 = u32::from_le_bytes(*b"IoDi");

/// A registered interface.
struct Interface {
    pdo: Device,
    is_enabled: bool,
}

/// Interfaces by their symbolic link.
static INTERFACES: IrqLock<BTreeMap<String, Interface>> = IrqLock::new(BTreeMap::new());

/// A GUID in its usual form.
fn guid_text(guid: &GUID) -> String {
    let [a, b, rest @ ..] = guid.Data4;
    let tail = rest
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    format!(
        "{{{:08x}-{:04x}-{:04x}-{a:02x}{b:02x}-{tail}}}",
        guid.Data1, guid.Data2, guid.Data3
    )
}

/// IoRegisterDeviceInterface.
pub(crate) unsafe extern "C" fn io_register_device_interface(
    pdo: PDEVICE_OBJECT,
    class: *const GUID,
    reference: PUNICODE_STRING,
    link: PUNICODE_STRING,
) -> NTSTATUS {
    let routine = Routine::IoRegisterDeviceInterface;
    routine.enter();
    let Some(node) = node::of_pdo(pdo) else {
        return STATUS_INVALID_DEVICE_REQUEST;
    };
    if fault::strikes(routine) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    // SAFETY: The driver passes its class's GUID.
    let class = guid_text(&unsafe { class.read() });
    // SAFETY: The driver passes null or a counted string.
    let reference = unsafe { unicode::to_string(reference) };
    let mut name = format!(r"\??\{}#{class}", node.instance_path().replace('\\', "#"));
    if !reference.is_empty() {
        name = format!(r"{name}\{reference}");
    }
    let Some(string) = allocate_string(&name) else {
        return STATUS_INSUFFICIENT_RESOURCES;
    };
    // SAFETY: The driver passes a variable of its own for the link.
    unsafe { link.write(string) };
    INTERFACES.with(|interfaces| {
        if interfaces.contains_key(&name) {
            return STATUS_OBJECT_NAME_EXISTS;
        }
        interfaces.insert(
            name,
            Interface {
                pdo: node.pdo(),
                is_enabled: false,
            },
        );
        STATUS_SUCCESS
    })
}

/// A counted string in pool, for the driver to free.
fn allocate_string(text: &str) -> Option<UNICODE_STRING> {
    let units = unicode::to_utf16(text);
    let memory = pool::allocate(pool::Kind::Paged, units.len() * 2, TAG)?;
    // SAFETY: The pool block has exactly that many bytes, and is new.
    let copy =
        unsafe { core::slice::from_raw_parts_mut(address::to_pointer::<u16>(memory), units.len()) };
    copy.copy_from_slice(&units);
    Some(unicode::counted(copy))
}

/// IoSetDeviceInterfaceState.
pub(crate) unsafe extern "C" fn io_set_device_interface_state(
    link: PUNICODE_STRING,
    enable: BOOLEAN,
) -> NTSTATUS {
    let routine = Routine::IoSetDeviceInterfaceState;
    routine.enter();
    // SAFETY: The driver passes the link that it was given at registration.
    let name = unsafe { unicode::to_string(link) };
    let enable = enable != 0;
    if enable && fault::strikes(routine) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    let was_enabled = INTERFACES.with(|interfaces| {
        let interface = interfaces.get_mut(&name)?;
        Some(core::mem::replace(&mut interface.is_enabled, enable))
    });
    let Some(was_enabled) = was_enabled else {
        return STATUS_OBJECT_NAME_NOT_FOUND;
    };
    check!(
        Pnp13,
        routine,
        enable || was_enabled,
        "The device interface {name} is disabled while it is not enabled."
    );
    if enable && was_enabled {
        STATUS_OBJECT_NAME_EXISTS
    } else {
        STATUS_SUCCESS
    }
}

/// Whether a device can be opened through an interface.
pub(crate) fn is_enabled(node: &Node) -> bool {
    INTERFACES.with(|interfaces| {
        interfaces
            .values()
            .any(|interface| interface.pdo == node.pdo() && interface.is_enabled)
    })
}

/// Checks that no interface of a device that is gone is still enabled.
pub(crate) fn assert_disabled(node: &Node) {
    check!(
        Pnp13,
        "REMOVE_DEVICE",
        !is_enabled(node),
        "The device was removed with its device interface enabled."
    );
}
