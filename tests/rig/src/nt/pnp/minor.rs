//! Minor function codes of IRP_MJ_PNP.

pub(crate) const START_DEVICE: u8 = 0x00;
pub(crate) const QUERY_REMOVE_DEVICE: u8 = 0x01;
pub(crate) const REMOVE_DEVICE: u8 = 0x02;
pub(crate) const CANCEL_REMOVE_DEVICE: u8 = 0x03;
pub(crate) const STOP_DEVICE: u8 = 0x04;
pub(crate) const QUERY_STOP_DEVICE: u8 = 0x05;
pub(crate) const CANCEL_STOP_DEVICE: u8 = 0x06;
pub(crate) const QUERY_DEVICE_RELATIONS: u8 = 0x07;
pub(crate) const QUERY_INTERFACE: u8 = 0x08;
pub(crate) const QUERY_CAPABILITIES: u8 = 0x09;
pub(crate) const QUERY_RESOURCES: u8 = 0x0a;
pub(crate) const QUERY_RESOURCE_REQUIREMENTS: u8 = 0x0b;
pub(crate) const QUERY_DEVICE_TEXT: u8 = 0x0c;
pub(crate) const FILTER_RESOURCE_REQUIREMENTS: u8 = 0x0d;
/// Not in use.
pub(crate) const RESERVED: u8 = 0x0e;
pub(crate) const READ_CONFIG: u8 = 0x0f;
pub(crate) const WRITE_CONFIG: u8 = 0x10;
pub(crate) const EJECT: u8 = 0x11;
pub(crate) const SET_LOCK: u8 = 0x12;
pub(crate) const QUERY_ID: u8 = 0x13;
pub(crate) const QUERY_PNP_DEVICE_STATE: u8 = 0x14;
pub(crate) const QUERY_BUS_INFORMATION: u8 = 0x15;
pub(crate) const DEVICE_USAGE_NOTIFICATION: u8 = 0x16;
pub(crate) const SURPRISE_REMOVAL: u8 = 0x17;
pub(crate) const QUERY_LEGACY_BUS_INFORMATION: u8 = 0x18;
pub(crate) const DEVICE_ENUMERATED: u8 = 0x19;
/// A code that no version of Windows defines.
pub(crate) const UNKNOWN: u8 = 0x7f;
