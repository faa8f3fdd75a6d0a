//! Requests by chance: valid ones, valid ones but for something, and anything.

use edu_interface::{
    CONTROL_CODES, ControlCode, FACTORIAL, FROM_NOW, RAISE_INTERRUPT, WAIT_EVENTS,
};
use eductl::Open;
use fastrand::Rng;
use fuzz::requests::{Control, documented};
use rig_protocol::MAX_TRANSFER;

/// Largest operand that takes the device no time.
const QUICK: u32 = 100_000;
/// Largest operand at all: it takes the device a tenth of a second.
const LARGEST: u32 = 100_000_000;
/// Major functions that user mode can send and edu.sys does not have: query and set
/// information, extended attributes, flush, volume information, directory and file system
/// control, locks, security, quotas.
const OTHER_MAJORS: [u8; 14] = [
    0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x11, 0x14, 0x15, 0x19, 0x1a,
];

/// A request that a lane sends.
#[derive(Clone, Debug)]
pub(super) enum Request {
    /// `DeviceIoControl`.
    Control(Control),
    /// `ReadFile`.
    Read { offset: u64, length: usize },
    /// `WriteFile`.
    Write { offset: u64, data: Vec<u8> },
    /// Something that edu.sys has no dispatch routine for.
    Major(u8),
    /// Another handle in place of one.
    Reopen(Opened),
    /// A handle to a name inside the device, which has none.
    OpenInside,
}

/// What a handle is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opened {
    pub(super) read: bool,
    pub(super) write: bool,
}

impl Opened {
    /// One for both: what most requests take.
    pub(super) const BOTH: Self = Self {
        read: true,
        write: true,
    };

    pub(super) const fn open(self) -> Open<'static> {
        Open {
            device: 0,
            read: self.read,
            write: self.write,
            trailing_name: "",
        }
    }
}

/// The next request of a lane, and whether it may be one that moves bytes: those take the
/// device a tenth of a second.
pub(super) fn request(random: &mut Rng, may_transfer: bool, region: (u64, usize)) -> Request {
    match random.u32(0..1_000) {
        0..=2 => Request::Major(random.choice(OTHER_MAJORS).unwrap_or_default()),
        3..=4 => Request::Reopen(opened(random)),
        5 => Request::OpenInside,
        6..=8 if may_transfer => own_transfer(random, region),
        9..=99 => foreign_transfer(random),
        _ => Request::Control(quick(random, control)),
    }
}

/// Most handles are for everything: on the others little comes to the driver.
fn opened(random: &mut Rng) -> Opened {
    if random.u32(0..8) > 0 {
        return Opened::BOTH;
    }
    Opened {
        read: random.bool(),
        write: random.bool(),
    }
}

/// Whether it is a control request that may pend.
pub(super) fn may_pend(request: &Request) -> bool {
    let codes = [FACTORIAL, RAISE_INTERRUPT, WAIT_EVENTS].map(ControlCode::value);
    matches!(request, Request::Control(control) if codes.contains(&control.code))
}

/// A transfer in the part of the device's buffer that nobody but this lane writes.
fn own_transfer(random: &mut Rng, (begin, length): (u64, usize)) -> Request {
    if random.bool() {
        return Request::Read {
            offset: begin,
            length,
        };
    }
    let data = bytes(random, length);
    Request::Write {
        offset: begin,
        data,
    }
}

/// A transfer that moves nothing: it is empty, or leaves the device's buffer.
fn foreign_transfer(random: &mut Rng) -> Request {
    let offset = match random.u32(0..6) {
        0 => random.u64(..),
        1 => u64::MAX - random.u64(0..5_000),
        2 => (1 << 32) - random.u64(0..5_000),
        3 => (1 << 31) - random.u64(0..5_000),
        _ => random.u64(0..5_000),
    };
    let length = match random.u32(0..4) {
        0 => 0,
        1 if random.u32(0..10) == 0 => random.usize(..=MAX_TRANSFER),
        _ => random.usize(..=64),
    };
    let to_device = random.bool();
    let is_inside = documented::transfer(Some(offset), length, to_device).is_ok();
    let length = if is_inside { 0 } else { length };
    if to_device {
        let data = bytes(random, length);
        Request::Write { offset, data }
    } else {
        Request::Read { offset, length }
    }
}

fn control(random: &mut Rng) -> Control {
    let known = random
        .choice(CONTROL_CODES)
        .map_or(0, |(code, _)| code.value());
    match random.u32(0..10) {
        0..=3 => valid(random, known),
        4..=6 => Control {
            code: known,
            ..anything(random)
        },
        7 => Control {
            code: known ^ 1 << random.u32(0..32),
            ..valid(random, known)
        },
        8 => Control {
            code: known ^ random.u32(..),
            ..anything(random)
        },
        _ => anything(random),
    }
}

/// A request that is in order.
fn valid(random: &mut Rng, code: u32) -> Control {
    let timeout_ms = match random.u32(0..8) {
        0 => random.u32(1..200),
        1 => random.u32(5_000..60_000),
        _ => 0,
    };
    let first = match code {
        _ if code == FACTORIAL.value() => match random.u32(0..200) {
            0 => random.u32(..LARGEST),
            1..=9 => random.u32(..QUICK),
            _ => random.u32(..40),
        },
        _ if code == RAISE_INTERRUPT.value() => match random.u32(0..4) {
            0 => 0x101,
            1 => random.u32(1..),
            _ => 1 << random.u32(0..32),
        },
        _ if code == WAIT_EVENTS.value() && random.bool() => {
            return Control {
                code,
                input: FROM_NOW.to_le_bytes().to_vec(),
                output_length: 128,
            };
        }
        _ => random.u32(..2),
    };
    let second = if code == FACTORIAL.value() || code == RAISE_INTERRUPT.value() {
        timeout_ms
    } else {
        0
    };
    let input = [first.to_le_bytes(), second.to_le_bytes()].concat();
    Control {
        code,
        input,
        output_length: random.usize(144..256),
    }
}

/// Any code, any lengths, any bytes.
fn anything(random: &mut Rng) -> Control {
    // The channel is slow, and long buffers say no more than those that are long enough.
    let longest = match random.u32(0..200) {
        0 => MAX_TRANSFER,
        1..=20 => 200,
        _ => 24,
    };
    let length = random.usize(..=longest);
    Control {
        code: random.u32(..),
        input: bytes(random, length),
        output_length: random.usize(..=longest),
    }
}

/// What is drawn, with an operand that does not take the device seconds.
fn quick(random: &mut Rng, draw: fn(&mut Rng) -> Control) -> Control {
    let mut control = draw(random);
    if control.code == FACTORIAL.value()
        && let Some(operand) = control.input.first_chunk_mut::<4>()
        && u32::from_le_bytes(*operand) > LARGEST
    {
        *operand = random.u32(..QUICK).to_le_bytes();
    }
    control
}

fn bytes(random: &mut Rng, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    random.fill(&mut bytes);
    bytes
}
