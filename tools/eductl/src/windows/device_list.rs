//! The edu devices that are plugged in, whether a driver runs them or not:
//! `SetupDiEnumDeviceInfo`, `CM_Get_DevNode_Status`.

use std::ptr;

use windows_sys::{
    Win32::{
        Devices::DeviceAndDriverInstallation::{
            CM_Get_DevNode_Status, CR_SUCCESS, DIGCF_ALLCLASSES, DIGCF_PRESENT, DN_HAS_PROBLEM,
            HDEVINFO, SP_DEVINFO_DATA, SetupDiDestroyDeviceInfoList, SetupDiEnumDeviceInfo,
            SetupDiGetClassDevsW, SetupDiGetDeviceInstanceIdW,
        },
        Foundation::ERROR_NO_MORE_ITEMS,
    },
    w,
};

use super::event::last_error;

/// How the instance identifier of an edu device begins.
const EDU: &str = "PCI\\VEN_1234&DEV_11E8";
/// `MAX_DEVICE_ID_LEN`, with the final zero.
const LONGEST_ID: usize = 201;

/// A device and what Windows says about it.
pub(crate) struct PresentDevice {
    /// The device instance identifier.
    pub(crate) instance: String,
    /// The Device Manager's code, if it shows one; none for a device that works.
    pub(crate) problem: Option<u32>,
}

/// All edu devices; or the Windows error.
pub(crate) fn present() -> Result<Vec<PresentDevice>, u32> {
    let set = DeviceSet::pci()?;
    let mut devices = Vec::new();
    for index in 0.. {
        let Some(data) = set.device(index)? else {
            break;
        };
        let instance = set.instance(&data)?;
        if instance.to_ascii_uppercase().starts_with(EDU) {
            let problem = problem(&data);
            devices.push(PresentDevice { instance, problem });
        }
    }
    Ok(devices)
}

/// A device information set.
struct DeviceSet(HDEVINFO);

impl DeviceSet {
    /// The devices on PCI buses that are present at this moment.
    fn pci() -> Result<Self, u32> {
        const INVALID: HDEVINFO = -1;
        // SAFETY: the enumerator is a static string that ends with a zero, and a null
        // class and a null window are allowed.
        let set = unsafe {
            SetupDiGetClassDevsW(
                ptr::null(),
                w!("PCI"),
                ptr::null_mut(),
                DIGCF_PRESENT | DIGCF_ALLCLASSES,
            )
        };
        if set == INVALID {
            return Err(last_error());
        }
        Ok(Self(set))
    }

    /// The device with this index; none after the last.
    fn device(&self, index: u32) -> Result<Option<SP_DEVINFO_DATA>, u32> {
        let mut data = SP_DEVINFO_DATA {
            cbSize: u32::try_from(size_of::<SP_DEVINFO_DATA>()).unwrap_or(u32::MAX),
            ..SP_DEVINFO_DATA::default()
        };
        // SAFETY: the set is open until this value is dropped, and `data` is alive
        // across the call, with its size in it.
        let found = unsafe { SetupDiEnumDeviceInfo(self.0, index, &raw mut data) };
        if found != 0 {
            return Ok(Some(data));
        }
        match last_error() {
            ERROR_NO_MORE_ITEMS => Ok(None),
            error => Err(error),
        }
    }

    fn instance(&self, data: &SP_DEVINFO_DATA) -> Result<String, u32> {
        let mut buffer = [0; LONGEST_ID];
        let room = u32::try_from(LONGEST_ID).unwrap_or(0);
        // SAFETY: the set is open, `data` came from it, and `buffer` has room for as
        // many characters as the call is told.
        let done = unsafe {
            SetupDiGetDeviceInstanceIdW(self.0, data, buffer.as_mut_ptr(), room, ptr::null_mut())
        };
        if done == 0 {
            return Err(last_error());
        }
        let length = buffer.iter().position(|unit| *unit == 0);
        Ok(String::from_utf16_lossy(
            &buffer[..length.unwrap_or(LONGEST_ID)],
        ))
    }
}

impl Drop for DeviceSet {
    fn drop(&mut self) {
        // SAFETY: the set came from SetupDiGetClassDevsW and is closed only here.
        let closed = unsafe { SetupDiDestroyDeviceInfoList(self.0) };
        debug_assert_ne!(closed, 0, "a set of our own can be closed");
    }
}

/// The problem code of a device. One that went away while it was looked at has none.
fn problem(data: &SP_DEVINFO_DATA) -> Option<u32> {
    let (mut status, mut problem) = (0, 0);
    // SAFETY: both results are alive across the call, which checks the device's number.
    let result =
        unsafe { CM_Get_DevNode_Status(&raw mut status, &raw mut problem, data.DevInst, 0) };
    (result == CR_SUCCESS && status & DN_HAS_PROBLEM != 0).then_some(problem)
}
