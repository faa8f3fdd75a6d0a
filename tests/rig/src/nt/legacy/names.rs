//! Names of device objects and the symbolic links to them: IoCreateSymbolicLink,
//! IoDeleteSymbolicLink.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};

use wdk_sys::{NTSTATUS, PUNICODE_STRING};

use crate::machine::sync::IrqLock;
use crate::nt::device::Device;
use crate::nt::routine::Routine;
use crate::nt::status::{
    STATUS_OBJECT_NAME_COLLISION, STATUS_OBJECT_NAME_NOT_FOUND, STATUS_SUCCESS,
};
use crate::nt::violation::check;
use crate::nt::{address, unicode};

/// The object manager's part of it. Names are kept in lower case: they are compared so.
struct Names {
    /// By the address of the device object.
    devices: BTreeMap<usize, String>,
    /// From a link's name to a device's.
    links: BTreeMap<String, String>,
}

static NAMES: IrqLock<Names> = IrqLock::new(Names {
    devices: BTreeMap::new(),
    links: BTreeMap::new(),
});

/// Whether a device object has this name already.
pub(crate) fn is_taken(name: &str) -> bool {
    let name = name.to_lowercase();
    NAMES.with(|names| names.devices.values().any(|taken| *taken == name))
}

/// Gives a device object its name.
pub(crate) fn add(device: Device, name: &str) {
    let name = name.to_lowercase();
    NAMES.with(|names| names.devices.insert(address::of(device.pointer()), name));
}

/// Forgets the name of a device object that is being deleted.
pub(crate) fn forget(device: Device) {
    NAMES.with(|names| names.devices.remove(&address::of(device.pointer())));
}

/// The name of a device object, or that it has none.
pub(crate) fn of(device: Device) -> String {
    NAMES
        .with(|names| names.devices.get(&address::of(device.pointer())).cloned())
        .unwrap_or_else(|| "without a name".to_string())
}

/// Whether user mode finds a device object.
pub(crate) fn is_linked(device: Device) -> bool {
    NAMES.with(|names| {
        let name = names.devices.get(&address::of(device.pointer()));
        name.is_some_and(|name| names.links.values().any(|target| target == name))
    })
}

/// IoCreateSymbolicLink.
pub(crate) unsafe extern "C" fn io_create_symbolic_link(
    link: PUNICODE_STRING,
    device: PUNICODE_STRING,
) -> NTSTATUS {
    Routine::IoCreateSymbolicLink.enter();
    // SAFETY: The driver passes counted strings.
    let link = unsafe { unicode::to_string(link) }.to_lowercase();
    // SAFETY: As above.
    let device = unsafe { unicode::to_string(device) }.to_lowercase();
    NAMES.with(|names| {
        if names.links.contains_key(&link) {
            return STATUS_OBJECT_NAME_COLLISION;
        }
        names.links.insert(link, device);
        STATUS_SUCCESS
    })
}

/// IoDeleteSymbolicLink.
pub(crate) unsafe extern "C" fn io_delete_symbolic_link(link: PUNICODE_STRING) -> NTSTATUS {
    Routine::IoDeleteSymbolicLink.enter();
    // SAFETY: The driver passes a counted string.
    let link = unsafe { unicode::to_string(link) }.to_lowercase();
    if NAMES.with(|names| names.links.remove(&link).is_some()) {
        STATUS_SUCCESS
    } else {
        STATUS_OBJECT_NAME_NOT_FOUND
    }
}

/// Checks, when the driver is gone, that its links are too.
pub(super) fn assert_nothing_left() {
    let left = NAMES.with(|names| names.links.keys().next().cloned());
    check!(
        Pnp16,
        "unload",
        left.is_none(),
        "The driver left the symbolic link {} behind.",
        left.unwrap_or_default()
    );
}
