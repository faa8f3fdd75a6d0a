//! Bytes as people write and read them: hexadecimal.

use std::{fmt, str::FromStr};

use pretty_hex::{HexConfig, PrettyHex as _};
use serde::Serializer;

/// Bytes as they stand on a command line: hexadecimal digits, two for each byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HexBytes(pub Vec<u8>);

impl FromStr for HexBytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text
            .strip_prefix("0x")
            .or_else(|| text.strip_prefix("0X"))
            .unwrap_or(text);
        if digits.is_empty() {
            return Err("there are no digits".to_owned());
        }
        const_hex::check_raw(digits)
            .then(|| const_hex::decode(digits))
            .and_then(Result::ok)
            .map(Self)
            .ok_or_else(|| {
                "bytes are written as two hexadecimal digits each: 48656c6c6f".to_owned()
            })
    }
}

/// For people: offsets, bytes, and what is readable among them.
pub(crate) fn dump(offset: u64, data: &[u8], formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    let config = HexConfig {
        title: false,
        group: 8,
        display_offset: usize::try_from(offset).unwrap_or(usize::MAX),
        ..HexConfig::default()
    };
    write!(formatter, "{:?}", data.hex_conf(config))
}

/// For programs: a string of digits.
pub(crate) fn serialize<S: Serializer>(data: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&const_hex::encode(data))
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::{HexBytes, dump};

    struct Dump(u64, Vec<u8>);

    impl fmt::Display for Dump {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            dump(self.0, &self.1, formatter)
        }
    }

    #[test]
    fn a_dump_has_offsets_and_what_is_readable() {
        let text = Dump(0x0ff0, b"Dirql, and 12 more\0".to_vec()).to_string();
        println!("{text}");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("0ff0:   44 69 72 71"), "{text}");
        assert!(lines[0].ends_with("Dirql, and 12 mo"), "{text}");
        assert!(lines[1].starts_with("1000:   72 65 00"), "{text}");
        assert!(lines[1].ends_with("re."), "{text}");
    }

    #[test]
    fn digits_become_bytes_and_nothing_else_does() {
        let parse = |text: &str| text.parse::<HexBytes>().map(|bytes| bytes.0);
        assert_eq!(parse("00ff"), Ok(vec![0, 0xff]));
        assert_eq!(parse("0xDEad"), Ok(vec![0xde, 0xad]));
        for wrong in ["", "0x", "f", "fff", "gg", "0x0x11", "+1", "1 "] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
