//! Hardware that no PnP manager hands out: found in PCI configuration space and claimed.
//! Wraps `HalGetBusDataByOffset`, `HalAssignSlotResources`, `HalTranslateBusAddress`,
//! `HalGetInterruptVector`, `IoAssignResources`.
//!
//! The page "HAL Library Routines" calls these obsolete and exported for existing drivers
//! only, and tells drivers of devices that PnP cannot enumerate to report them. Reporting
//! makes a device root-enumerated for good, with AddDevice from the next boot on, which is
//! the kind of driver that may have no controller object. So this is the other kind.
//!
//! A claim is given up as "Freeing Allocated Resources with IoAssignResources()"
//! (Q133705) says: by asking IoAssignResources for nothing.

use core::ptr::{NonNull, null_mut};

use crate::{
    irql::Passive,
    resources::{InterruptResource, MemoryResource, Resources},
    status::{NtError, Result},
    sys,
    unicode::{UnicodeStr, UnicodeString},
};

const DEVICES: u32 = 32;
const FUNCTIONS: u32 = 8;
const BUSES: u32 = 256;
/// `PCI_INVALID_VENDORID`: the slot is empty.
const NO_VENDOR: u16 = 0xffff;

/// What a PCI device says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PciId {
    /// Who made it.
    pub vendor: u16,
    /// What it is.
    pub device: u16,
}

/// Where a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    bus: u32,
    /// A `PCI_SLOT_NUMBER`: the device in bits 0 to 4, the function in bits 5 to 7.
    number: u32,
}

/// Looks through PCI configuration space for the first device with this identifier.
///
/// # Errors
/// STATUS_NO_SUCH_DEVICE.
pub(super) fn find(irql: &mut Passive, wanted: PciId) -> Result<Slot> {
    for bus in 0..BUSES {
        for device in 0..DEVICES {
            for function in 0..FUNCTIONS {
                let slot = Slot {
                    bus,
                    number: device | function << 5,
                };
                match identify(irql, slot) {
                    Found::Device(found) if found == wanted => return Ok(slot),
                    Found::Device(_) | Found::Nothing => {}
                    Found::NoBus => return Err(NtError::STATUS_NO_SUCH_DEVICE),
                }
            }
        }
    }
    Err(NtError::STATUS_NO_SUCH_DEVICE)
}

/// What is in a slot.
enum Found {
    Device(PciId),
    Nothing,
    /// Nor is there one with a higher number.
    NoBus,
}

fn identify(_irql: &mut Passive, slot: Slot) -> Found {
    let mut bytes = [0_u8; 4];
    // SAFETY: (IRQL) the token says PASSIVE_LEVEL, fact 5. (Pointer) the buffer has the length
    // that is passed, fact 11.
    let read = unsafe {
        sys::HalGetBusDataByOffset(
            sys::PCI_CONFIGURATION,
            slot.bus,
            slot.number,
            bytes.as_mut_ptr().cast(),
            0,
            4,
        )
    };
    let [vendor_low, vendor_high, device_low, device_high] = bytes;
    let vendor = u16::from_le_bytes([vendor_low, vendor_high]);
    match read {
        0 => Found::NoBus,
        4 if vendor != NO_VENDOR => Found::Device(PciId {
            vendor,
            device: u16::from_le_bytes([device_low, device_high]),
        }),
        _ => Found::Nothing,
    }
}

/// A device whose resources this driver has claimed; dropping it gives the claim up.
#[derive(Debug)]
pub(super) struct Claimed {
    slot: Slot,
    driver: *mut sys::DRIVER_OBJECT,
    /// The service key, under which the claim is entered.
    service: UnicodeString,
    /// In the bus's terms. The kernel allocated it for this driver to free.
    list: NonNull<sys::CM_RESOURCE_LIST>,
}

// SAFETY: (Pointer) the driver object is the kernel's and outlives the driver, fact 41; the list is
// this value's alone, and only read.
unsafe impl Sync for Claimed {}
// SAFETY: as above, fact 41.
unsafe impl Send for Claimed {}

impl Claimed {
    /// Claims what the device in a slot uses. Wraps `HalAssignSlotResources`.
    ///
    /// # Errors
    /// STATUS_CONFLICTING_ADDRESSES if somebody else has claimed it, and others.
    pub(super) fn claim(
        _irql: &mut Passive,
        driver: *mut sys::DRIVER_OBJECT,
        service: UnicodeString,
        slot: Slot,
    ) -> Result<Self> {
        let mut path = service.as_str().as_kernel();
        let mut list = null_mut();
        // SAFETY: (IRQL) the token says PASSIVE_LEVEL, fact 5. (Pointer) the driver object is
        // DriverEntry's; class and device object are optional, and the rest is this
        // frame's, fact 11. The path is only read, fact 15.
        let status = unsafe {
            sys::HalAssignSlotResources(
                &raw mut path,
                null_mut(),
                driver,
                null_mut(),
                sys::PCI_BUS,
                slot.bus,
                slot.number,
                &raw mut list,
            )
        };
        NtError::check(status)?;
        let list = NonNull::new(list).ok_or(NtError::STATUS_DEVICE_CONFIGURATION_ERROR)?;
        Ok(Self {
            slot,
            driver,
            service,
            list,
        })
    }

    /// What was claimed.
    pub(super) const fn resources(&self) -> HardwareResources<'_> {
        // SAFETY: (Pointer) the kernel's list, which is freed when `self` is dropped, fact 41.
        let raw = unsafe { Resources::new(self.list.as_ptr()) };
        HardwareResources {
            raw,
            bus: self.slot.bus,
        }
    }

    fn path(&self) -> UnicodeStr<'_> {
        self.service.as_str()
    }
}

impl Drop for Claimed {
    fn drop(&mut self) {
        let mut path = self.path().as_kernel();
        let mut list = null_mut();
        // SAFETY: (IRQL) dropped in DriverEntry or Unload, at PASSIVE_LEVEL, fact 41. (Pointer)
        // as in `claim`, facts 11 and 15; no requirements mean that the claim is given up.
        // It cannot fail for a claim that stands, and there would be nothing to do about it.
        let _given_up = unsafe {
            sys::IoAssignResources(
                &raw mut path,
                null_mut(),
                self.driver,
                null_mut(),
                null_mut(),
                &raw mut list,
            )
        };
        // SAFETY: (IRQL) as above. (Caller) the one free: HalAssignSlotResources allocated it
        // for its caller, fact 41.
        unsafe { sys::ExFreePool(self.list.as_ptr().cast()) };
    }
}

/// The claimed resources of the hardware, in the processors' terms.
#[derive(Debug)]
pub struct HardwareResources<'a> {
    /// In the bus's terms.
    raw: Resources<'a>,
    bus: u32,
}

impl<'a> HardwareResources<'a> {
    /// The `index`-th memory range, from zero. Wraps `HalTranslateBusAddress`.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    ///
    /// # Errors
    /// STATUS_DEVICE_CONFIGURATION_ERROR if there is none that processors can map.
    pub fn memory(&self, _irql: &mut Passive, index: usize) -> Result<MemoryResource<'a>> {
        /// Not I/O space.
        const MEMORY: u32 = 0;
        let raw = self.raw.memory(index)?;
        let address = sys::LARGE_INTEGER {
            QuadPart: raw.start().cast_signed(),
        };
        let mut space = MEMORY;
        let mut translated = sys::LARGE_INTEGER { QuadPart: 0 };
        // SAFETY: (IRQL) the token says PASSIVE_LEVEL, fact 5. (Pointer) both results are this
        // frame's, fact 11.
        let can_be = unsafe {
            sys::HalTranslateBusAddress(
                sys::PCI_BUS,
                self.bus,
                address,
                &raw mut space,
                &raw mut translated,
            )
        };
        if can_be == 0 || space != MEMORY {
            return Err(NtError::STATUS_DEVICE_CONFIGURATION_ERROR);
        }
        // SAFETY: (Ready) all views of a LARGE_INTEGER are integers of its 8 bytes, fact 5.
        let start = unsafe { translated.QuadPart };
        Ok(raw.at(start.cast_unsigned()))
    }

    /// The first interrupt. Wraps `HalGetInterruptVector`.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    ///
    /// # Errors
    /// STATUS_DEVICE_CONFIGURATION_ERROR if there is none that a processor can take.
    pub fn interrupt(&self, _irql: &mut Passive) -> Result<InterruptResource<'a>> {
        let raw = self.raw.interrupt()?;
        let mut level = raw.level;
        let mut affinity = 0;
        // SAFETY: (IRQL) the token says PASSIVE_LEVEL, fact 5. (Pointer) both results are this
        // frame's, fact 11.
        let vector = unsafe {
            sys::HalGetInterruptVector(
                sys::PCI_BUS,
                self.bus,
                raw.level.into(),
                raw.vector,
                &raw mut level,
                &raw mut affinity,
            )
        };
        if vector == 0 || affinity == 0 {
            return Err(NtError::STATUS_DEVICE_CONFIGURATION_ERROR);
        }
        Ok(raw.at(level, vector, affinity))
    }
}
