//! The registry, as far as a driver looks: its service key and the subkey Parameters,
//! filled by the run's options. ZwOpenKey, ZwQueryValueKey, ZwClose.
//!
//! `parameter=NAME:TYPE:VALUE` is one value of that subkey. Types are `dword` and
//! `qword` (decimal), `sz`, `multi` (strings between bars), `binary` (hexadecimal), and
//! for values that no tool would write: `raw-N`, of registry type N with bytes in
//! hexadecimal, `large` (its value is a registry type), longer than a counted string can
//! be, and `growing`, a string that is longer each time that it is read.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use wdk_sys::{
    ACCESS_MASK, HANDLE, KEY_VALUE_INFORMATION_CLASS, NTSTATUS, OBJ_KERNEL_HANDLE,
    POBJECT_ATTRIBUTES, PUNICODE_STRING, PVOID, ULONG,
};

use crate::machine::sync::IrqLock;
use crate::nt::routine::Routine;
use crate::nt::status::{
    STATUS_BUFFER_OVERFLOW, STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_HANDLE,
    STATUS_INVALID_PARAMETER, STATUS_OBJECT_NAME_NOT_FOUND, STATUS_SUCCESS,
};
use crate::nt::violation::check;
use crate::nt::{address, unicode};

const REG_SZ: u32 = 1;
const REG_BINARY: u32 = 3;
const REG_DWORD: u32 = 4;
const REG_MULTI_SZ: u32 = 7;
const REG_QWORD: u32 = 11;

/// `KeyValuePartialInformation`.
const PARTIAL_INFORMATION: KEY_VALUE_INFORMATION_CLASS = 2;
/// Bytes in front of the data: title index, type, length.
const HEADER: usize = 12;
/// Bytes of a `large` value.
const LARGE: usize = 0x2_0000;
/// The subkey for a driver's parameters.
const PARAMETERS: &str = "Parameters";
/// Between the numbers of two handles, whose low bits the kernel does not use.
const HANDLE_STEP: usize = 4;

/// A value of the subkey Parameters.
struct Value {
    kind: u32,
    data: Vec<u8>,
    /// Bytes by which it grows each time that it is read.
    growth: usize,
}

/// A key that is open.
#[derive(Clone, PartialEq, Eq)]
enum Key {
    Service,
    Parameters,
}

/// All there is.
struct Registry {
    /// Path of the service key of the driver under test, in lower case.
    service: String,
    /// By name in lower case.
    values: BTreeMap<String, Value>,
    open: BTreeMap<usize, Key>,
    last_handle: usize,
}

static REGISTRY: IrqLock<Registry> = IrqLock::new(Registry {
    service: String::new(),
    values: BTreeMap::new(),
    open: BTreeMap::new(),
    last_handle: 0x8000_0000,
});

/// Says where the service key of the driver under test is.
pub(crate) fn set_service_key(path: &str) {
    REGISTRY.with(|registry| registry.service = path.to_lowercase());
}

/// Adds the value that an option describes; `false` when it describes none.
pub(crate) fn add_parameter(text: &str) -> bool {
    let mut parts = text.splitn(3, ':');
    let (Some(name), Some(kind), Some(value)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let Some(value) = parse(kind, value) else {
        return false;
    };
    REGISTRY.with(|registry| registry.values.insert(name.to_lowercase(), value));
    true
}

/// The value that the option's text describes.
fn parse(kind: &str, value: &str) -> Option<Value> {
    let (kind, data, growth) = match kind {
        "dword" => (
            REG_DWORD,
            value.parse::<u32>().ok()?.to_le_bytes().to_vec(),
            0,
        ),
        "qword" => (
            REG_QWORD,
            value.parse::<u64>().ok()?.to_le_bytes().to_vec(),
            0,
        ),
        "sz" => (REG_SZ, text(value), 0),
        "multi" => (REG_MULTI_SZ, list(value), 0),
        "binary" => (REG_BINARY, hexadecimal(value)?, 0),
        "large" => (value.parse().ok()?, vec![b'x'; LARGE], 0),
        "growing" => (REG_SZ, text(value), LARGE / 1024),
        _ => (
            kind.strip_prefix("raw-")?.parse().ok()?,
            hexadecimal(value)?,
            0,
        ),
    };
    Some(Value { kind, data, growth })
}

/// A string with the zero behind it that tools write.
fn text(value: &str) -> Vec<u8> {
    unicode::to_utf16(value)
        .into_iter()
        .flat_map(u16::to_le_bytes)
        .collect()
}

/// The strings between bars, and an empty one.
fn list(value: &str) -> Vec<u8> {
    value.split('|').chain([""]).flat_map(text).collect()
}

/// Bytes, two digits each.
fn hexadecimal(value: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = value.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// A handle as the ledger has it.
fn number(handle: HANDLE) -> usize {
    address::of(handle)
}

/// The key with this name, if the registry has it. The lock is held.
fn find(registry: &Registry, root: Option<&Key>, name: &str) -> Option<Key> {
    let is_parameters = |name: &str| name.eq_ignore_ascii_case(PARAMETERS);
    let found = match root {
        Some(Key::Service) => is_parameters(name).then_some(Key::Parameters),
        Some(Key::Parameters) => None,
        None if name.to_lowercase() == registry.service => Some(Key::Service),
        None => name
            .rsplit_once('\\')
            .is_some_and(|(parent, name)| {
                parent.to_lowercase() == registry.service && is_parameters(name)
            })
            .then_some(Key::Parameters),
    };
    // A driver without parameters has no such subkey.
    found.filter(|key| *key == Key::Service || !registry.values.is_empty())
}

/// ZwOpenKey.
pub(crate) unsafe extern "C" fn zw_open_key(
    handle: *mut HANDLE,
    _access: ACCESS_MASK,
    attributes: POBJECT_ATTRIBUTES,
) -> NTSTATUS {
    let routine = Routine::ZwOpenKey;
    routine.enter();
    // SAFETY: The driver passes attributes of its own.
    let attributes = unsafe { &*attributes };
    check!(
        Hnd01,
        routine,
        attributes.Attributes & OBJ_KERNEL_HANDLE != 0,
        "The key is opened with the attributes {:#x}, without OBJ_KERNEL_HANDLE.",
        attributes.Attributes
    );
    // SAFETY: The driver passes a counted string.
    let name = unsafe { unicode::to_string(attributes.ObjectName) };
    let root = attributes.RootDirectory;
    let opened = REGISTRY.with(|registry| {
        let root = match number(root) {
            0 => None,
            root => Some(registry.open.get(&root).ok_or(STATUS_INVALID_HANDLE)?),
        };
        let key = find(registry, root, &name).ok_or(STATUS_OBJECT_NAME_NOT_FOUND)?;
        registry.last_handle += HANDLE_STEP;
        registry.open.insert(registry.last_handle, key);
        Ok(registry.last_handle)
    });
    match opened {
        Ok(opened) => {
            // SAFETY: The driver passes a variable of its own for the result.
            unsafe { handle.write(address::to_pointer(opened)) };
            STATUS_SUCCESS
        }
        Err(status) => status,
    }
}

/// ZwClose.
pub(crate) extern "C" fn zw_close(handle: HANDLE) -> NTSTATUS {
    let routine = Routine::ZwClose;
    routine.enter();
    let was_open = REGISTRY.with(|registry| registry.open.remove(&number(handle)).is_some());
    check!(
        Hnd02,
        routine,
        was_open,
        "The handle {:#x} is not open, or not any more.",
        number(handle)
    );
    STATUS_SUCCESS
}

/// What a query finds.
struct Found {
    kind: u32,
    data: Vec<u8>,
}

/// Looks a value up.
fn look_up(handle: HANDLE, name: &str) -> Result<Found, NTSTATUS> {
    REGISTRY.with(|registry| match registry.open.get(&number(handle)) {
        None => Err(STATUS_INVALID_HANDLE),
        Some(Key::Service) => Err(STATUS_OBJECT_NAME_NOT_FOUND),
        Some(Key::Parameters) => {
            let value = registry.values.get_mut(&name.to_lowercase());
            let value = value.ok_or(STATUS_OBJECT_NAME_NOT_FOUND)?;
            let found = Found {
                kind: value.kind,
                data: value.data.clone(),
            };
            let length = value.data.len() + value.growth;
            value.data.resize(length, b'x');
            Ok(found)
        }
    })
}

/// ZwQueryValueKey.
pub(crate) unsafe extern "C" fn zw_query_value_key(
    handle: HANDLE,
    name: PUNICODE_STRING,
    class: KEY_VALUE_INFORMATION_CLASS,
    buffer: PVOID,
    length: ULONG,
    result_length: *mut ULONG,
) -> NTSTATUS {
    Routine::ZwQueryValueKey.enter();
    if class != PARTIAL_INFORMATION {
        return STATUS_INVALID_PARAMETER;
    }
    // SAFETY: The driver passes a counted string.
    let name = unsafe { unicode::to_string(name) };
    let found = match look_up(handle, &name) {
        Ok(found) => found,
        Err(status) => return status,
    };
    let data_length = ULONG::try_from(found.data.len()).unwrap_or(ULONG::MAX);
    let mut bytes = [0, found.kind, data_length]
        .into_iter()
        .flat_map(u32::to_le_bytes)
        .collect::<Vec<u8>>();
    bytes.extend(found.data);
    let needed = ULONG::try_from(bytes.len()).unwrap_or(ULONG::MAX);
    // SAFETY: The driver passes a variable of its own for the length.
    unsafe { result_length.write(needed) };
    let room = usize::try_from(length).unwrap_or(0);
    if room < HEADER {
        return STATUS_BUFFER_TOO_SMALL;
    }
    let written = bytes.len().min(room);
    // SAFETY: The driver's buffer has `length` bytes, which is at least so many.
    unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.cast::<u8>(), written) };
    if written < bytes.len() {
        STATUS_BUFFER_OVERFLOW
    } else {
        STATUS_SUCCESS
    }
}

/// Checks, when the driver is gone, that it closed every key.
pub(crate) fn assert_nothing_left() {
    let left = REGISTRY.with(|registry| registry.open.keys().next().copied());
    check!(
        Pnp16,
        "unload",
        left.is_none(),
        "The driver left the handle {} open.",
        left.map_or_else(String::new, |handle| alloc::format!("{handle:#x}"))
    );
}
