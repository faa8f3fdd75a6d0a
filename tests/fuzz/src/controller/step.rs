//! What the rest of the driver may do next: each is one critical section, or two that
//! belong together.

use arbitrary::{Arbitrary, Result, Unstructured};
use edu_controller::{BUFFER_BYTES, Direction, Operation};

/// One of the driver's critical sections.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Enable,
    Silence,
    AskWhetherQuiet,
    Identify,
    Arm {
        operation: Operation,
        ticks: u32,
    },
    ArmTransfer {
        memory: u64,
        position: u32,
        count: u32,
        direction: Direction,
        ticks: u32,
    },
    Service,
    Drain,
    DrainEvents,
    DrainTransfer,
    ExpectEvent,
    Tick,
    /// As many ticks as nothing pends longer than.
    ManyTicks,
    LookAtTransfer,
    GiveUpTransfer,
    /// The operation under way is cancelled, or one that is not.
    TakeBack {
        is_it: bool,
    },
    CheckLiveness(u32),
    /// Power is lost and comes back, with what was under way taken out before or not.
    Sleep {
        silenced: bool,
    },
    ResetCounters,
    ReadLog {
        back: u8,
        room: u8,
    },
}

impl<'a> Arbitrary<'a> for Step {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match bytes.int_in_range(0..=31)? {
            0 => Self::Enable,
            1 => Self::Silence,
            2 => Self::AskWhetherQuiet,
            3 => Self::Identify,
            4..=7 => Self::Arm {
                operation: operation(bytes)?,
                ticks: bytes.int_in_range(0..=9)?,
            },
            8..=10 => Self::ArmTransfer {
                memory: memory(bytes)?,
                position: near(bytes)?,
                count: near(bytes)?,
                direction: if bytes.arbitrary()? {
                    Direction::ToDevice
                } else {
                    Direction::FromDevice
                },
                ticks: bytes.int_in_range(0..=9)?,
            },
            11..=15 => Self::Service,
            16 | 17 => Self::Drain,
            18 => Self::DrainEvents,
            19 | 20 => Self::DrainTransfer,
            21 => Self::ExpectEvent,
            22 | 23 => Self::Tick,
            24 => Self::ManyTicks,
            25 => Self::LookAtTransfer,
            26 => Self::GiveUpTransfer,
            27 => Self::TakeBack {
                is_it: bytes.ratio(3, 4)?,
            },
            28 => Self::CheckLiveness(bytes.arbitrary()?),
            29 => Self::Sleep {
                silenced: bytes.ratio(3, 4)?,
            },
            30 => Self::ResetCounters,
            _ => Self::ReadLog {
                back: bytes.arbitrary()?,
                room: bytes.int_in_range(0..=12)?,
            },
        })
    }
}

fn operation(bytes: &mut Unstructured<'_>) -> Result<Operation> {
    Ok(match bytes.int_in_range(0..=7)? {
        0..=2 => Operation::Factorial {
            n: bytes.arbitrary()?,
        },
        3 | 4 => Operation::Raise { mask: 0x100 },
        5 => Operation::Raise { mask: 0x101 },
        6 => Operation::Raise { mask: 0x2 },
        _ => Operation::Raise {
            mask: bytes.int_in_range(1..=u32::MAX)?,
        },
    })
}

/// A number about the size of the device's buffer, or any.
fn near(bytes: &mut Unstructured<'_>) -> Result<u32> {
    Ok(match bytes.int_in_range(0..=7)? {
        0 => bytes.arbitrary()?,
        1 => BUFFER_BYTES.saturating_sub(bytes.int_in_range(0..=2)?),
        2 => BUFFER_BYTES.saturating_add(bytes.int_in_range(0..=2)?),
        3 => bytes.int_in_range(0..=2)?,
        _ => bytes.int_in_range(0..=BUFFER_BYTES)?,
    })
}

/// An address about the end of what the device reaches, or any.
fn memory(bytes: &mut Unstructured<'_>) -> Result<u64> {
    Ok(match bytes.int_in_range(0..=3)? {
        0 => bytes.arbitrary()?,
        1 => (1 << 28) - bytes.int_in_range(0..=0x1_0000)?,
        _ => bytes.int_in_range(0..=1 << 28)?,
    })
}
