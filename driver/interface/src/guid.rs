//! The device interface class by which user mode finds the device.

/// A GUID, field by field as `windows-sys` and the WDK lay it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guid {
    /// First eight hexadecimal digits.
    pub data1: u32,
    /// First group of four digits.
    pub data2: u16,
    /// Second group of four digits.
    pub data3: u16,
    /// The last two groups.
    pub data4: [u8; 8],
}

/// The device interface class of edu.sys.
pub const DEVICE_INTERFACE: Guid = Guid {
    data1: 0x6d7e_0c5b,
    data2: 0x3f0a,
    data3: 0x4c7e,
    data4: [0x9a, 0x41, 0x21, 0x5d, 0xe8, 0x8c, 0x7b, 0x13],
};

/// [`DEVICE_INTERFACE`] as text, as it stands in device paths and the registry.
pub const DEVICE_INTERFACE_TEXT: &str = "{6d7e0c5b-3f0a-4c7e-9a41-215de88c7b13}";

#[cfg(test)]
mod tests {
    extern crate std;

    use super::{DEVICE_INTERFACE, DEVICE_INTERFACE_TEXT};

    #[test]
    fn text_and_fields_agree() {
        let guid = DEVICE_INTERFACE;
        let (group, node) = guid.data4.split_at(2);
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        };
        let text = std::format!(
            "{{{:08x}-{:04x}-{:04x}-{:04x}-{:012x}}}",
            guid.data1,
            guid.data2,
            guid.data3,
            number(group),
            number(node)
        );
        assert_eq!(text, DEVICE_INTERFACE_TEXT);
    }
}
