//! The device interface of edu.sys on Windows, as a [`System`].
//!
//! One module per group of Win32 calls: finding ([`interface_list`]), opening
//! ([`handle`]), requests ([`request`]), waiting ([`event`]); and for the installation
//! the package ([`driver_package`]) and what became of the devices ([`device_list`]).

pub(crate) mod device_list;
pub(crate) mod driver_package;
mod event;
mod handle;
mod interface_list;
mod request;

use crate::transport::{Open, System, Transport, TransportError};

use handle::DeviceHandle;

/// What is to be checked when there is no device: what must be true, from the
/// machine up to this program.
const WHAT_TO_CHECK: &str = "\
no edu device is present. Check, in this order:
  1. the virtual machine has one: QEMU was started with `-device edu`, and the Device Manager
     shows PCI\\VEN_1234&DEV_11E8;
  2. edu.sys is installed for it: `eductl install`, and the Device Manager
     shows no warning on the device;
  3. test-signed drivers may be loaded: `bcdedit /set testsigning on`, then a restart.";

/// All devices of the edu device interface class.
#[derive(Clone, Copy, Debug)]
pub struct DeviceInterface;

impl System for DeviceInterface {
    fn device_count(&self) -> Result<usize, TransportError> {
        interface_list::paths().map(|paths| paths.len())
    }

    fn open(&self, open: &Open<'_>) -> Result<Box<dyn Transport>, TransportError> {
        let paths = interface_list::paths()?;
        let Some(path) = paths.get(open.device) else {
            return Err(TransportError::NoDevice(if paths.is_empty() {
                WHAT_TO_CHECK.to_owned()
            } else {
                format!(
                    "there is no device {}: {} device(s) are present, counted from 0",
                    open.device,
                    paths.len()
                )
            }));
        };
        Ok(Box::new(DeviceHandle::open(path, open)?))
    }
}
