//! The request parser, given any control code, any lengths and any bytes, and any range.
//!
//! What it says is compared with a [second opinion](documented), written from the
//! documentation of the interface alone.

pub mod documented;

use arbitrary::{Arbitrary, Result as Drawn, Unstructured};
use dirql::{
    direct_io::Direction,
    file::FileObject,
    irp::Buffers,
    status::{NtError, Result},
};
use edu_controller::Transfer;
use edu_interface::CONTROL_CODES;
use edu_requests::{Asked, Packeted, Range};
use zerocopy::FromBytes;

/// Lengths about which something changes lie below this.
const INTERESTING: usize = 256;

/// A control request, as the I/O manager has it.
#[derive(Clone, Debug)]
pub struct Control {
    /// The control code.
    pub code: u32,
    /// The input buffer.
    pub input: Vec<u8>,
    /// Length of the output buffer, in bytes.
    pub output_length: usize,
}

/// A read or a write.
#[derive(Clone, Copy, Debug)]
pub struct Transferred {
    offset: Option<u64>,
    length: usize,
    to_device: bool,
    memory: u64,
}

/// Something that user mode sends.
#[derive(Clone, Debug)]
pub enum Sent {
    /// `DeviceIoControl`.
    Control(Control),
    /// `ReadFile` or `WriteFile`.
    Transfer(Transferred),
}

/// What is wrong with the parser that is tried: none but the first is that of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// Nothing.
    None,
    /// The length of the output is not looked at.
    OutputUnchecked,
    /// An input that is too short is taken for one with zeroes behind it.
    InputPadded,
    /// The access bits of a control code are not compared.
    AccessIgnored,
    /// A range may end with the last byte of the device's buffer.
    LastByte,
}

impl<'a> Arbitrary<'a> for Sent {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Drawn<Self> {
        if bytes.ratio(1, 4)? {
            return Ok(Self::Transfer(Transferred {
                offset: match bytes.int_in_range(0..=7)? {
                    0 => None,
                    1 => Some(bytes.arbitrary()?),
                    2 => Some((1 << 32) + bytes.int_in_range(0..=4_096)?),
                    _ => Some(bytes.int_in_range(0..=4_097)?),
                },
                length: match bytes.int_in_range(0..=7)? {
                    0 => bytes.arbitrary()?,
                    1 => (1 << 32) + bytes.int_in_range(0..=4_096)?,
                    2 | 3 => bytes.int_in_range(4_094..=4_097)?,
                    4 | 5 => bytes.int_in_range(0..=2)?,
                    _ => bytes.int_in_range(0..=4_097)?,
                },
                to_device: bytes.arbitrary()?,
                memory: bytes.arbitrary()?,
            }));
        }
        let known = bytes.choose(&CONTROL_CODES)?.0.value();
        let code = match bytes.int_in_range(0..=7)? {
            0 => bytes.arbitrary()?,
            1 => known ^ 1 << bytes.int_in_range(0..=31)?,
            _ => known,
        };
        let output_length = match bytes.int_in_range(0..=7)? {
            0 => bytes.arbitrary()?,
            _ => bytes.int_in_range(0..=INTERESTING)?,
        };
        let length = bytes.int_in_range(0..=INTERESTING.min(bytes.len()))?;
        Ok(Self::Control(Control {
            code,
            input: bytes.bytes(length)?.to_vec(),
            output_length,
        }))
    }
}

/// A request's buffers as the parser under a mistake sees them.
struct Seen<'a> {
    control: &'a Control,
    mistake: Mistake,
}

impl Buffers for Seen<'_> {
    fn control_code(&self) -> Option<u32> {
        Some(self.control.code)
    }

    fn input<T: FromBytes>(&self) -> Result<T> {
        let mut bytes = self.control.input.clone();
        if self.mistake == Mistake::InputPadded {
            bytes.resize(bytes.len().max(size_of::<T>()), 0);
        }
        T::read_from_prefix(&bytes)
            .map(|(request, _)| request)
            .map_err(|_| NtError::STATUS_INFO_LENGTH_MISMATCH)
    }

    fn expect_output<T>(&self) -> Result<()> {
        let fits = self.control.output_length >= size_of::<T>();
        if fits || self.mistake == Mistake::OutputUnchecked {
            Ok(())
        } else {
            Err(NtError::STATUS_BUFFER_TOO_SMALL)
        }
    }

    fn output_length(&self) -> usize {
        self.control.output_length
    }

    fn file(&self) -> Option<FileObject> {
        None
    }
}

/// Tries one request.
///
/// # Panics
/// When the parser says something else than the documentation.
pub fn run(data: &[u8], mistake: Mistake) {
    let Ok(sent) = Sent::arbitrary(&mut Unstructured::new(data)) else {
        return;
    };
    match sent {
        Sent::Control(control) => try_control(&control, mistake),
        Sent::Transfer(transfer) => try_transfer(transfer, mistake),
    }
}

fn try_control(control: &Control, mistake: Mistake) {
    let seen = Seen { control, mistake };
    let code = match mistake {
        Mistake::AccessIgnored => with_known_access(control.code),
        _ => control.code,
    };
    let asked = Asked::parse(code, &seen);
    assert_eq!(asked, documented::control(control), "{control:?}");
    // StartIo reads a packet once more: it must find the same, and nothing else is a packet.
    let again = Packeted::parse(code, &seen);
    match asked {
        Ok(Asked::Packeted(packeted)) => assert_eq!(again, Ok(packeted), "{control:?}"),
        _ => assert!(again.is_err(), "{control:?} is no packet: {again:?}"),
    }
}

/// The known code that differs in its access bits only, if there is one.
fn with_known_access(code: u32) -> u32 {
    const ACCESS: u32 = 3 << 14;
    CONTROL_CODES
        .iter()
        .map(|(known, _)| known.value())
        .find(|known| known | ACCESS == code | ACCESS)
        .unwrap_or(code)
}

fn try_transfer(sent: Transferred, mistake: Mistake) {
    let direction = if sent.to_device {
        Direction::ToDevice
    } else {
        Direction::FromDevice
    };
    let found = match edu_requests::range(sent.offset, sent.length, direction) {
        Err(_) if mistake == Mistake::LastByte && ends_with_the_last_byte(sent) => Ok(Range {
            position: low_word(sent.offset),
            length: low_word(u64::try_from(sent.length).ok()),
        }),
        found => found,
    };
    assert_eq!(
        found.map(|_| ()),
        documented::transfer(sent.offset, sent.length, sent.to_device),
        "{sent:?}"
    );
    if let Ok(range) = found {
        let position = if sent.length == 0 {
            Some(0)
        } else {
            sent.offset
        };
        assert_eq!(Some(u64::from(range.position)), position, "{sent:?}");
        assert_eq!(range.length as usize, sent.length, "{sent:?}");
    }
    if let Ok(range) = found
        && range.length > 0
    {
        reaches_the_device(range, sent);
    }
}

/// Every part of a range that is in order can be told to the device if its memory can.
fn reaches_the_device(range: Range, sent: Transferred) {
    let direction = edu_controller::Direction::ToDevice;
    let transfer = Transfer::new(sent.memory, range.position, range.length, direction);
    let end = u128::from(sent.memory) + u128::from(range.length);
    assert_eq!(transfer.is_some(), end <= 1 << 28, "{sent:?}");
}

fn ends_with_the_last_byte(sent: Transferred) -> bool {
    let end = u128::from(sent.offset.unwrap_or(u64::MAX)) + sent.length as u128;
    end == documented::BUFFER_BYTES + 1
}

fn low_word(value: Option<u64>) -> u32 {
    value
        .and_then(|value| u32::try_from(value).ok())
        .unwrap_or(0)
}
