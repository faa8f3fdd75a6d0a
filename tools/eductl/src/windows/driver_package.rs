//! The driver package in the driver store: `DiInstallDriverW`, `DiUninstallDriverW`.
//!
//! These are what pnputil uses too; called directly, they give the reason of a failure
//! as a number and not as a sentence in the system's language.

use std::{os::windows::ffi::OsStrExt as _, path::Path, ptr};

use windows_sys::{
    Win32::{
        Devices::DeviceAndDriverInstallation::{DiInstallDriverW, DiUninstallDriverW},
        Foundation::{
            CERT_E_CHAINING, CERT_E_UNTRUSTEDROOT, ERROR_ACCESS_DENIED,
            ERROR_AUTHENTICODE_PUBLISHER_NOT_TRUSTED, ERROR_AUTHENTICODE_TRUST_NOT_ESTABLISHED,
            ERROR_AUTHENTICODE_TRUSTED_PUBLISHER, ERROR_DEVICE_INSTALL_BLOCKED,
            ERROR_DRIVER_INSTALL_BLOCKED, ERROR_DRIVER_STORE_ADD_FAILED,
            ERROR_DRIVER_STORE_DELETE_FAILED, ERROR_FILE_HASH_NOT_IN_CATALOG, ERROR_FILE_NOT_FOUND,
            ERROR_IN_WOW64, ERROR_NO_CATALOG_FOR_OEM_INF, ERROR_NO_MORE_ITEMS,
            ERROR_PATH_NOT_FOUND, ERROR_SIGNATURE_OSATTRIBUTE_MISMATCH, ERROR_WRONG_INF_STYLE,
            TRUST_E_BAD_DIGEST, TRUST_E_NOSIGNATURE, TRUST_E_SUBJECT_NOT_TRUSTED,
        },
    },
    core::HRESULT,
};

use super::event::last_error;

const BY_ADMINISTRATORS: &str = "only an administrator may do that: start the command prompt with \
                                 \"Run as administrator\"";
const UNTRUSTED: &str = "Windows does not trust the certificate of the package: \
                         `certutil -addstore Root dirql-test.cer` and \
                         `certutil -addstore TrustedPublisher dirql-test.cer`, as its \
                         INSTALL.txt says";
const DAMAGED: &str = "the catalogue is not the one of these files: unpack the package again";
const INCOMPLETE: &str = "edu.cat and edu.sys must lie beside the INF, as in the package";
const BLOCKED: &str = "a policy of this machine forbids the installation";

/// Puts the package of an INF into the driver store and on the devices that it fits;
/// whether Windows wants to be restarted, or the Windows error.
pub(crate) fn install(inf: &Path) -> Result<bool, u32> {
    let (path, mut restart) = (wide(inf), 0);
    // SAFETY: `path` ends with a zero and, as `restart`, is alive across the call; no
    // window is needed.
    let done = unsafe { DiInstallDriverW(ptr::null_mut(), path.as_ptr(), 0, &raw mut restart) };
    if done == 0 {
        return Err(last_error());
    }
    Ok(restart != 0)
}

/// Takes the package of an INF off all devices and out of the driver store; whether
/// Windows wants to be restarted, or the Windows error.
pub(crate) fn uninstall(inf: &Path) -> Result<bool, u32> {
    let (path, mut restart) = (wide(inf), 0);
    // SAFETY: `path` ends with a zero and, as `restart`, is alive across the call; no
    // window is needed.
    let done = unsafe { DiUninstallDriverW(ptr::null_mut(), path.as_ptr(), 0, &raw mut restart) };
    if done == 0 {
        return Err(last_error());
    }
    Ok(restart != 0)
}

/// What a failure of these means, and what to do.
pub(crate) fn explain(error: u32) -> Option<&'static str> {
    const TRUST: [HRESULT; 3] = [
        CERT_E_UNTRUSTEDROOT,
        CERT_E_CHAINING,
        TRUST_E_SUBJECT_NOT_TRUSTED,
    ];
    match error {
        ERROR_ACCESS_DENIED => Some(BY_ADMINISTRATORS),
        ERROR_FILE_NOT_FOUND | ERROR_PATH_NOT_FOUND => Some(INCOMPLETE),
        ERROR_NO_MORE_ITEMS => Some(
            "the devices that it fits have a driver already that Windows takes for the better one; \
             uninstall that one first",
        ),
        ERROR_NO_CATALOG_FOR_OEM_INF => Some(
            "the INF has no signed catalogue: take the whole package, which `cargo xtask package` \
             makes",
        ),
        ERROR_AUTHENTICODE_TRUSTED_PUBLISHER
        | ERROR_AUTHENTICODE_TRUST_NOT_ESTABLISHED
        | ERROR_AUTHENTICODE_PUBLISHER_NOT_TRUSTED => Some(UNTRUSTED),
        ERROR_SIGNATURE_OSATTRIBUTE_MISMATCH => {
            Some("the catalogue is signed for another version of Windows")
        }
        ERROR_FILE_HASH_NOT_IN_CATALOG => Some(DAMAGED),
        ERROR_DEVICE_INSTALL_BLOCKED | ERROR_DRIVER_INSTALL_BLOCKED => Some(BLOCKED),
        ERROR_DRIVER_STORE_ADD_FAILED => Some(
            "the driver store did not take the package; C:\\Windows\\INF\\setupapi.dev.log says why",
        ),
        ERROR_DRIVER_STORE_DELETE_FAILED => Some(
            "the driver store did not let go of the package; close what uses the device, and \
             restart if that does not help",
        ),
        ERROR_IN_WOW64 => Some("use the eductl.exe of this machine's processor, not a 32-bit one"),
        ERROR_WRONG_INF_STYLE => Some("this is no INF of a driver"),
        _ if TRUST.iter().any(|trust| trust.cast_unsigned() == error) => Some(UNTRUSTED),
        _ if TRUST_E_NOSIGNATURE.cast_unsigned() == error => {
            Some("the catalogue is not signed: `cargo xtask package` makes one that is")
        }
        _ if TRUST_E_BAD_DIGEST.cast_unsigned() == error => Some(DAMAGED),
        _ => None,
    }
}

fn wide(path: &Path) -> Vec<u16> {
    path.as_os_str().encode_wide().chain([0]).collect()
}
