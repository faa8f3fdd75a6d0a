//! The device interface by which user mode finds the device. Wraps
//! `IoRegisterDeviceInterface`, `IoSetDeviceInterfaceState`.

use core::{cell::UnsafeCell, ptr::null_mut};

use uuid::Uuid;

use crate::{
    irql::Passive,
    status::{NtError, Result},
    sys,
};

/// A registered interface; its name is freed when it is dropped.
#[derive(Debug)]
pub(crate) struct DeviceInterface {
    /// The kernel's buffer. A cell because the kernel takes a mutable pointer to a
    /// string that it only reads.
    name: UnsafeCell<sys::UNICODE_STRING>,
}

// SAFETY: after `register` the string is only read, fact 10.
unsafe impl Sync for DeviceInterface {}

impl DeviceInterface {
    /// Registers the class for the device, in AddDevice.
    pub(crate) fn register(
        _irql: &mut Passive,
        physical: *mut sys::DEVICE_OBJECT,
        class: &Uuid,
    ) -> Result<Self> {
        let (data1, data2, data3, data4) = class.as_fields();
        let class = sys::GUID {
            Data1: data1,
            Data2: data2,
            Data3: data3,
            Data4: *data4,
        };
        let mut name = sys::UNICODE_STRING {
            Length: 0,
            MaximumLength: 0,
            Buffer: null_mut(),
        };
        // SAFETY: (IRQL) the token says PASSIVE_LEVEL; AddDevice runs in a system thread.
        // (Pointer) the PDO is AddDevice's, the rest lives across the call, facts 5, 10 and
        // 11.
        let status = unsafe {
            sys::IoRegisterDeviceInterface(physical, &raw const class, null_mut(), &raw mut name)
        };
        NtError::check(status)?;
        Ok(Self {
            name: UnsafeCell::new(name),
        })
    }

    /// Makes the interface known to user mode, or hides it. That it already was so
    /// is no failure.
    pub(crate) fn set_state(&self, _irql: &mut Passive, enabled: bool) -> Result<()> {
        // SAFETY: (IRQL) the token says PASSIVE_LEVEL; PnP requests that change the state
        // come in a system thread. (Pointer) the string that registration made, facts 5 and
        // 10.
        let status = unsafe { sys::IoSetDeviceInterfaceState(self.name.get(), enabled.into()) };
        match NtError::check(status) {
            Err(error) if !enabled && error == NtError::STATUS_OBJECT_NAME_NOT_FOUND => Ok(()),
            checked => checked.map(|_| ()),
        }
    }
}

impl Drop for DeviceInterface {
    fn drop(&mut self) {
        // SAFETY: (IRQL) dropped in AddDevice or REMOVE, at PASSIVE_LEVEL. (Pointer)
        // registration allocated the buffer, and this is its only owner, facts 5 and 10.
        unsafe { sys::RtlFreeUnicodeString(self.name.get()) };
    }
}
