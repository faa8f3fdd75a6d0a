//! What the PnP manager knows of a device. Wraps `IoGetDeviceProperty`.
//!
//! # Model
//!
//! A property is asked for by a name that says of which kind it is: [`Number`], [`Text`]
//! or [`Texts`]. Texts come in pool; how long one is only the PnP manager knows, and it
//! may change between two questions, so it is asked again while the answer is that the
//! buffer is too small, but not for ever.
//!
//! # Contexts
//!
//! | operation | caller | token | may block |
//! |---|---|---|---|
//! | all | START_DEVICE and later | `Passive` | yes |
//!
//! # Soundness
//!
//! Facts 1 to 5 of the crate: the physical device object is there as long as the device
//! is.
//!
//! See "IoGetDeviceProperty" in the documentation.

use crate::{
    device::Device,
    irql::Passive,
    pool::{PoolVec, Tag},
    status::{NtError, Result},
    sys,
    unicode::{UnicodeString, UnicodeStrings},
};

/// Bytes that a text is given room for first.
const USUAL: usize = 128;
/// Longest property that is read, in bytes.
const LONGEST: usize = 0x1_0000;
/// How often a property that grows meanwhile is asked for again.
const ATTEMPTS: u32 = 4;
/// Tag of what lasts no longer than a call.
const TAG: Tag = Tag::new(*b"DirQ");

/// A property that is a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Number {
    /// `DevicePropertyLegacyBusType`: an `INTERFACE_TYPE`; PCI is 5.
    LegacyBusType = 0xd,
    /// `DevicePropertyBusNumber`.
    BusNumber = 0xe,
    /// `DevicePropertyAddress`: on PCI the device in the high half, the function in the low.
    Address = 0x10,
    /// `DevicePropertyUINumber`: the number that is shown to people, as of a slot.
    UiNumber = 0x11,
}

/// A property that is a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Text {
    /// `DevicePropertyDeviceDescription`.
    DeviceDescription = 0x0,
    /// `DevicePropertyClassName`: of its setup class.
    ClassName = 0x5,
    /// `DevicePropertyManufacturer`.
    Manufacturer = 0x8,
    /// `DevicePropertyFriendlyName`.
    FriendlyName = 0x9,
    /// `DevicePropertyLocationInformation`: where it is, for people.
    LocationInformation = 0xa,
    /// `DevicePropertyPhysicalDeviceObjectName`.
    PhysicalDeviceObjectName = 0xb,
    /// `DevicePropertyEnumeratorName`: of the bus, as `PCI`.
    EnumeratorName = 0xf,
}

/// A property that is a list of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Texts {
    /// `DevicePropertyHardwareID`, from the closest match on.
    HardwareIds = 0x1,
    /// `DevicePropertyCompatibleIDs`.
    CompatibleIds = 0x2,
}

impl<E> Device<E> {
    /// A property that is a number. Wraps `IoGetDeviceProperty`.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    ///
    /// # Errors
    /// STATUS_OBJECT_NAME_NOT_FOUND if the device has no such property,
    /// STATUS_INVALID_DEVICE_REQUEST if it is none that PnP knows.
    pub fn number(&self, irql: &mut Passive, property: Number) -> Result<u32> {
        let mut bytes = [0; size_of::<u32>()];
        let read = query(irql, self.header().physical(), property as i32, &mut bytes);
        match read {
            Ok(length) if length == bytes.len() => Ok(u32::from_le_bytes(bytes)),
            Ok(_) => Err(NtError::STATUS_OBJECT_TYPE_MISMATCH),
            Err((error, _)) => Err(error),
        }
    }

    /// A property that is a text. Wraps `IoGetDeviceProperty`.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    ///
    /// # Errors
    /// As [`number`](Self::number), and STATUS_INSUFFICIENT_RESOURCES.
    pub fn text(&self, irql: &mut Passive, tag: Tag, property: Text) -> Result<UnicodeString> {
        let value = read(irql, self.header().physical(), property as i32)?;
        UnicodeString::from_bytes(irql, tag, &value)
    }

    /// A property that is a list of texts. Wraps `IoGetDeviceProperty`.
    ///
    /// # IRQL
    /// PASSIVE_LEVEL.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub fn texts(&self, irql: &mut Passive, tag: Tag, property: Texts) -> Result<UnicodeStrings> {
        let value = read(irql, self.header().physical(), property as i32)?;
        UnicodeStrings::from_bytes(irql, tag, &value)
    }
}

/// The bytes of a property of any length.
fn read(
    irql: &mut Passive,
    physical: *mut sys::DEVICE_OBJECT,
    property: i32,
) -> Result<PoolVec<u8>> {
    let mut length = USUAL;
    for _ in 0..ATTEMPTS {
        if length > LONGEST {
            return Err(NtError::STATUS_INVALID_BUFFER_SIZE);
        }
        let mut value = PoolVec::filled(irql, TAG, length, 0)?;
        match query(irql, physical, property, &mut value) {
            Ok(length) => {
                value.truncate(length);
                return Ok(value);
            }
            Err((NtError::STATUS_BUFFER_TOO_SMALL, needed)) => length = needed,
            Err((error, _)) => return Err(error),
        }
    }
    Err(NtError::STATUS_BUFFER_TOO_SMALL)
}

/// Asks for a property; how long it is comes with it and with the error.
fn query(
    _irql: &mut Passive,
    physical: *mut sys::DEVICE_OBJECT,
    property: i32,
    buffer: &mut [u8],
) -> core::result::Result<usize, (NtError, usize)> {
    if physical.is_null() {
        return Err((NtError::STATUS_INVALID_DEVICE_REQUEST, 0));
    }
    let mut length = 0;
    // SAFETY: (IRQL) the token says PASSIVE_LEVEL. (Pointer) the physical device object is
    // there while the device is, the buffer has the length that is passed, and all live
    // across the call, facts 1, 5, 10 and 11.
    let status = unsafe {
        sys::IoGetDeviceProperty(
            physical,
            property,
            u32::try_from(buffer.len()).unwrap_or(u32::MAX),
            buffer.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    NtError::check(status)
        .map(|_| length)
        .map_err(|error| (error, length))
}

/// The values above are those of the headers.
#[cfg(windows)]
const _: () = {
    use wdk_sys::DEVICE_REGISTRY_PROPERTY as header;
    assert!(
        Number::LegacyBusType as i32 == header::DevicePropertyLegacyBusType
            && Number::BusNumber as i32 == header::DevicePropertyBusNumber
            && Number::Address as i32 == header::DevicePropertyAddress
            && Number::UiNumber as i32 == header::DevicePropertyUINumber
            && Text::DeviceDescription as i32 == header::DevicePropertyDeviceDescription
            && Text::ClassName as i32 == header::DevicePropertyClassName
            && Text::Manufacturer as i32 == header::DevicePropertyManufacturer
            && Text::FriendlyName as i32 == header::DevicePropertyFriendlyName
            && Text::LocationInformation as i32 == header::DevicePropertyLocationInformation
            && Text::PhysicalDeviceObjectName as i32
                == header::DevicePropertyPhysicalDeviceObjectName
            && Text::EnumeratorName as i32 == header::DevicePropertyEnumeratorName
            && Texts::HardwareIds as i32 == header::DevicePropertyHardwareID
            && Texts::CompatibleIds as i32 == header::DevicePropertyCompatibleIDs,
        "a device property here differs from the WDK's"
    );
};
