//! Finding devices: the device interfaces of one class that are present.
//!
//! `CM_Get_Device_Interface_ListW` is the shorter way to the same list, but
//! Wine 8 does not have it, and under Wine this program is tested.

use std::mem::offset_of;

use edu_interface::DEVICE_INTERFACE;
use windows_sys::{
    Win32::{
        Devices::DeviceAndDriverInstallation::{
            DIGCF_DEVICEINTERFACE, DIGCF_PRESENT, HDEVINFO, SP_DEVICE_INTERFACE_DATA,
            SP_DEVICE_INTERFACE_DETAIL_DATA_W, SetupDiDestroyDeviceInfoList,
            SetupDiEnumDeviceInterfaces, SetupDiGetClassDevsW, SetupDiGetDeviceInterfaceDetailW,
        },
        Foundation::{ERROR_INSUFFICIENT_BUFFER, ERROR_NO_MORE_ITEMS},
    },
    core::GUID,
};

use super::event::last_error;
use crate::transport::{Operation, TransportError};

static CLASS: GUID = GUID::from_u128(DEVICE_INTERFACE.as_u128());

/// The paths of all devices that are present, without their final zeros.
pub(super) fn paths() -> Result<Vec<Vec<u16>>, TransportError> {
    let set = InterfaceSet::present()?;
    let mut paths = Vec::new();
    while let Some(interface) = set.interface(paths.len())? {
        paths.push(set.path(&interface)?);
    }
    Ok(paths)
}

/// A device information set.
struct InterfaceSet(HDEVINFO);

impl InterfaceSet {
    /// The interfaces of edu.sys that are present at this moment.
    fn present() -> Result<Self, TransportError> {
        const INVALID: HDEVINFO = -1;
        // SAFETY: `CLASS` is static, and a null enumerator and a null window are
        // allowed.
        let set = unsafe {
            SetupDiGetClassDevsW(
                &raw const CLASS,
                std::ptr::null(),
                std::ptr::null_mut(),
                DIGCF_PRESENT | DIGCF_DEVICEINTERFACE,
            )
        };
        if set == INVALID {
            return Err(failed("SetupDiGetClassDevsW", last_error()));
        }
        Ok(Self(set))
    }

    /// The interface with this index; none after the last.
    fn interface(&self, index: usize) -> Result<Option<SP_DEVICE_INTERFACE_DATA>, TransportError> {
        let mut data = SP_DEVICE_INTERFACE_DATA {
            cbSize: size_in_u32::<SP_DEVICE_INTERFACE_DATA>(),
            ..SP_DEVICE_INTERFACE_DATA::default()
        };
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        // SAFETY: the set is open until this value is dropped, `CLASS` is static,
        // and `data` is alive across the call, with its size in it.
        let found = unsafe {
            SetupDiEnumDeviceInterfaces(
                self.0,
                std::ptr::null(),
                &raw const CLASS,
                index,
                &raw mut data,
            )
        };
        if found != 0 {
            return Ok(Some(data));
        }
        match last_error() {
            ERROR_NO_MORE_ITEMS => Ok(None),
            error => Err(failed("SetupDiEnumDeviceInterfaces", error)),
        }
    }

    fn path(&self, interface: &SP_DEVICE_INTERFACE_DATA) -> Result<Vec<u16>, TransportError> {
        let bytes = self.path_length(interface)?;
        let Ok(length) = usize::try_from(bytes) else {
            return Err(failed(
                "SetupDiGetDeviceInterfaceDetailW",
                ERROR_INSUFFICIENT_BUFFER,
            ));
        };
        // Words, for the alignment of the structure that the buffer begins with.
        let mut buffer = vec![0_u32; length.div_ceil(size_of::<u32>())];
        if let Some(size) = buffer.first_mut() {
            *size = size_in_u32::<SP_DEVICE_INTERFACE_DETAIL_DATA_W>();
        }
        // SAFETY: the set is open, `interface` came from it, and `buffer` has room
        // for the `bytes` that the call may write and begins with the size of the
        // structure's fixed part, as the call demands.
        let done = unsafe {
            SetupDiGetDeviceInterfaceDetailW(
                self.0,
                interface,
                buffer.as_mut_ptr().cast(),
                bytes,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
            )
        };
        if done == 0 {
            return Err(failed("SetupDiGetDeviceInterfaceDetailW", last_error()));
        }
        Ok(path_in(&buffer))
    }

    /// Bytes of the structure that holds the path.
    fn path_length(&self, interface: &SP_DEVICE_INTERFACE_DATA) -> Result<u32, TransportError> {
        let mut bytes = 0;
        // SAFETY: the set is open, `interface` came from it, `bytes` is alive
        // across the call, and with no buffer only the length is asked for.
        let done = unsafe {
            SetupDiGetDeviceInterfaceDetailW(
                self.0,
                interface,
                std::ptr::null_mut(),
                0,
                &raw mut bytes,
                std::ptr::null_mut(),
            )
        };
        if done == 0 {
            let error = last_error();
            if error != ERROR_INSUFFICIENT_BUFFER {
                return Err(failed("SetupDiGetDeviceInterfaceDetailW", error));
            }
        }
        Ok(bytes)
    }
}

impl Drop for InterfaceSet {
    fn drop(&mut self) {
        // SAFETY: the set came from SetupDiGetClassDevsW and is closed only here.
        let closed = unsafe { SetupDiDestroyDeviceInfoList(self.0) };
        debug_assert_ne!(closed, 0, "a set of our own can be closed");
    }
}

/// The characters after the structure's size, up to the first zero.
fn path_in(buffer: &[u32]) -> Vec<u16> {
    let offset = offset_of!(SP_DEVICE_INTERFACE_DETAIL_DATA_W, DevicePath);
    buffer
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .skip(offset)
        .collect::<Vec<u8>>()
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .take_while(|character| *character != 0)
        .collect()
}

/// The size of a structure as its own first field holds it.
fn size_in_u32<T>() -> u32 {
    u32::try_from(size_of::<T>()).unwrap_or(u32::MAX)
}

fn failed(call: &str, error: u32) -> TransportError {
    TransportError::Lost {
        operation: Operation::Find,
        reason: format!("{call} failed with Windows error {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::path_in;

    #[test]
    fn a_path_follows_the_size_and_ends_at_the_zero() {
        let buffer = [8, u32::from(b'a') | u32::from(b'b') << 16, 0, 0x0078_0078];
        assert_eq!(String::from_utf16_lossy(&path_in(&buffer)), "ab");
        assert!(path_in(&[8, 0]).is_empty());
    }
}
