//! Finding devices: `CM_Get_Device_Interface_ListW`.

use edu_interface::DEVICE_INTERFACE;
use windows_sys::{
    Win32::Devices::DeviceAndDriverInstallation::{
        CM_GET_DEVICE_INTERFACE_LIST_PRESENT, CM_Get_Device_Interface_List_SizeW,
        CM_Get_Device_Interface_ListW, CONFIGRET, CR_BUFFER_SMALL, CR_SUCCESS,
    },
    core::GUID,
};

use crate::transport::{Operation, TransportError};

/// A device may come between the call for the size and the call for the list;
/// the list is then asked for again, this often.
const ATTEMPTS: usize = 10;

static CLASS: GUID = GUID {
    data1: DEVICE_INTERFACE.data1,
    data2: DEVICE_INTERFACE.data2,
    data3: DEVICE_INTERFACE.data3,
    data4: DEVICE_INTERFACE.data4,
};

/// The paths of all devices that are present, without their final zeros.
pub(super) fn paths() -> Result<Vec<Vec<u16>>, TransportError> {
    for _ in 0..ATTEMPTS {
        let mut list = vec![0; size()?];
        match fill(&mut list) {
            CR_SUCCESS => return Ok(split(&list)),
            CR_BUFFER_SMALL => {}
            error => return Err(failed("CM_Get_Device_Interface_ListW", error)),
        }
    }
    Err(failed("CM_Get_Device_Interface_ListW", CR_BUFFER_SMALL))
}

fn size() -> Result<usize, TransportError> {
    let mut length = 0;
    // SAFETY: `length` and `CLASS` are alive across the call, which writes one
    // u32 and keeps neither pointer; a null device instance means all devices.
    let result = unsafe {
        CM_Get_Device_Interface_List_SizeW(
            &raw mut length,
            &raw const CLASS,
            std::ptr::null(),
            CM_GET_DEVICE_INTERFACE_LIST_PRESENT,
        )
    };
    if result != CR_SUCCESS {
        return Err(failed("CM_Get_Device_Interface_List_SizeW", result));
    }
    usize::try_from(length).map_err(|_| failed("CM_Get_Device_Interface_List_SizeW", result))
}

fn fill(list: &mut [u16]) -> CONFIGRET {
    let Ok(length) = u32::try_from(list.len()) else {
        return CR_BUFFER_SMALL;
    };
    // SAFETY: `list` is exclusively borrowed for the call and has room for
    // `length` characters, which is all that the call writes.
    unsafe {
        CM_Get_Device_Interface_ListW(
            &raw const CLASS,
            std::ptr::null(),
            list.as_mut_ptr(),
            length,
            CM_GET_DEVICE_INTERFACE_LIST_PRESENT,
        )
    }
}

/// The list is strings, each ended by a zero, the last followed by another.
fn split(list: &[u16]) -> Vec<Vec<u16>> {
    list.split(|character| *character == 0)
        .take_while(|path| !path.is_empty())
        .map(<[u16]>::to_vec)
        .collect()
}

fn failed(call: &str, result: CONFIGRET) -> TransportError {
    TransportError::Lost {
        operation: Operation::Find,
        reason: format!("{call} failed with CONFIGRET {result}"),
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_list_ends_with_an_empty_string() {
        let list: Vec<u16> = "one\0two\0\0junk".encode_utf16().collect();
        let paths: Vec<_> = split(&list)
            .iter()
            .map(|path| String::from_utf16_lossy(path))
            .collect();
        assert_eq!(paths, ["one", "two"]);
        assert!(split(&[0]).is_empty());
    }
}
