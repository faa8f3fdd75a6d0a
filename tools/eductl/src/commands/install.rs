//! `install` and `uninstall`: the driver package, as pnputil would do it.

use std::{
    env, fmt,
    path::{self, Path, PathBuf},
};

use serde::Serialize;

use super::CommandError;
use crate::windows::{
    device_list::{self, PresentDevice},
    driver_package,
};

/// Name of the INF, which is looked for beside the program.
const INF: &str = "edu.inf";

/// What `install` and `uninstall` print.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PackageResult {
    /// The INF.
    pub inf: PathBuf,
    /// Whether it was installed; otherwise it was taken away.
    pub installed: bool,
    /// Whether Windows wants to be restarted before it is done.
    pub restart_needed: bool,
    /// The edu devices that are plugged in.
    pub devices: Vec<DeviceState>,
}

/// How an edu device is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceState {
    /// The device instance identifier.
    pub instance: String,
    /// The Device Manager's code, if it shows one.
    pub problem: Option<u32>,
}

impl PackageResult {
    /// Whether what was asked for is true now.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        !self.installed
            || self.restart_needed
            || self.devices.iter().all(|device| device.problem.is_none())
    }
}

/// Installs the driver package of `inf`, or of the INF beside this program.
///
/// # Errors
/// [`CommandError`], with what to do about it.
pub fn install(inf: Option<&Path>) -> Result<PackageResult, CommandError> {
    change(inf, true)
}

/// Removes the driver package of `inf`, or of the INF beside this program.
///
/// # Errors
/// [`CommandError`], with what to do about it.
pub fn uninstall(inf: Option<&Path>) -> Result<PackageResult, CommandError> {
    change(inf, false)
}

fn change(inf: Option<&Path>, install: bool) -> Result<PackageResult, CommandError> {
    let inf = find(inf)?;
    let outcome = if install {
        driver_package::install(&inf)
    } else {
        driver_package::uninstall(&inf)
    };
    let restart_needed = outcome.map_err(|error| CommandError::File {
        path: inf.clone(),
        reason: driver_package::explain(error).map_or_else(
            || format!("Windows error 0x{error:08X}; C:\\Windows\\INF\\setupapi.dev.log says more"),
            |sentence| format!("{sentence} (Windows error 0x{error:08X})"),
        ),
    })?;
    let devices = device_list::present().map_err(|error| CommandError::File {
        path: inf.clone(),
        reason: format!(
            "that is done, but the devices cannot be listed: Windows error 0x{error:08X}"
        ),
    })?;
    Ok(PackageResult {
        inf,
        installed: install,
        restart_needed,
        devices: devices.into_iter().map(DeviceState::from).collect(),
    })
}

/// The INF with its whole path, which Windows asks for.
fn find(inf: Option<&Path>) -> Result<PathBuf, CommandError> {
    let found = match inf {
        Some(inf) => inf.to_owned(),
        None => env::current_exe()
            .map(|program| program.with_file_name(INF))
            .unwrap_or_else(|_| PathBuf::from(INF)),
    };
    let whole = path::absolute(&found).unwrap_or(found);
    if whole.is_file() {
        return Ok(whole);
    }
    Err(CommandError::File {
        path: whole,
        reason: "there is no such file; `--inf FILE` says where the package's edu.inf is"
            .to_owned(),
    })
}

impl From<PresentDevice> for DeviceState {
    fn from(device: PresentDevice) -> Self {
        Self {
            instance: device.instance,
            problem: device.problem,
        }
    }
}

/// What a code of the Device Manager means here.
const fn meaning(problem: u32) -> &'static str {
    match problem {
        10 => "edu.sys was loaded and could not be started: the device's Events tab has the status",
        14 => "it works after a restart",
        22 => "it is disabled in the Device Manager",
        28 => "no driver is installed",
        31 => "edu.sys could not be added to it: the device's Events tab has the status",
        39 => "edu.sys cannot be loaded: it is damaged, or memory integrity refuses it",
        52 => {
            "Windows does not accept the signature: `bcdedit /set testsigning on` with Secure Boot \
             off and a restart, and the certificate among the trusted ones"
        }
        _ => "the Device Manager says more",
    }
}

impl fmt::Display for PackageResult {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = if self.installed {
            "installed"
        } else {
            "removed"
        };
        write!(formatter, "{done} the driver of {}", self.inf.display())?;
        if self.restart_needed {
            formatter.write_str("\nWindows has to be restarted before that is complete")?;
        }
        if self.devices.is_empty() {
            formatter.write_str(
                "\nno edu device is present: the virtual machine needs QEMU's `-device edu`",
            )?;
        }
        for device in &self.devices {
            write!(formatter, "\n{}: ", device.instance)?;
            match device.problem {
                None if self.installed => formatter.write_str("works")?,
                None => formatter.write_str("present")?,
                Some(code) => write!(formatter, "code {code}: {}", meaning(code))?,
            }
        }
        Ok(())
    }
}
