//! A run whose instructions are counted: the same requests, and nothing from outside.
//!
//! The requests are those whose end is the machine's own doing. A factorial is not: the
//! edu device computes it in a thread of the host's, which takes as long as it takes.

use std::borrow::Cow;

use anyhow::ensure;
use edu_interface::{RAISE_INTERRUPT, RaiseRequest, STATISTICS};
use rig_protocol::{Action, Frame, Open, Request, encode};
use zerocopy::IntoBytes as _;

use crate::{
    ended::{Ended, Outcome},
    machine::Machine,
};

/// The first handle that the rig gives.
const HANDLE: u32 = 1;
/// Bytes of a transfer: over the end of a page.
const LENGTH: u32 = 3_000;
/// Rounds of requests.
const ROUNDS: u32 = 3;
/// Characters of an answer that a person sees.
const LONGEST: usize = 150;
/// What the rig's log says of each answer.
pub(crate) const ANSWER: &str = "Request ";

/// Runs the requests in `machine`.
///
/// # Errors
/// When the rig does not come to its end.
pub(crate) fn run(machine: &Machine) -> anyhow::Result<Ended> {
    let ended = machine
        .clone()
        .with_script(script()?)
        .start()?
        .wait_ended()?;
    ensure!(ended.outcome == Outcome::Success, "{ended}");
    Ok(ended)
}

/// The answers in a run's log, each with the machine's time: 16 ns for each instruction, and
/// what it slept.
pub(crate) fn answers(ended: &Ended) -> Vec<&str> {
    lines_of_answers(&ended.log).collect()
}

/// As [`answers`], of a log by itself.
pub(crate) fn lines_of_answers(log: &[String]) -> impl Iterator<Item = &str> {
    log.iter()
        .map(String::as_str)
        .filter(|line| line.starts_with(ANSWER))
}

/// An answer as a person wants it: data make it long.
pub(crate) fn shortened(answer: &str) -> Cow<'_, str> {
    match answer.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} ...", answer.get(..end).unwrap_or(answer)).into(),
        None => answer.into(),
    }
}

/// The requests as they would come over the channel.
fn script() -> anyhow::Result<Vec<u8>> {
    let pnp = |action| Request::Pnp { device: 0, action };
    let mut requests = vec![Request::Open(Open {
        device: 0,
        read: true,
        write: true,
        trailing_name: String::new(),
    })];
    for round in 0..ROUNDS {
        requests.extend(work(round));
        requests.extend([pnp(Action::Stop), pnp(Action::Start)]);
        requests.extend(work(round + 1));
        requests.extend([pnp(Action::Sleep), pnp(Action::Wake)]);
    }
    requests.extend([Request::Close { handle: HANDLE }, Request::Shutdown]);
    let mut bytes = Vec::new();
    for (number, body) in (1..).zip(requests) {
        bytes.extend(encode(&Frame { number, body })?);
    }
    Ok(bytes)
}

/// An interrupt, a transfer each way, and what the driver has counted.
fn work(round: u32) -> [Request; 4] {
    let raise = RaiseRequest {
        mask: 2 << round,
        timeout_ms: 60_000,
    };
    let control = |code, input: &[u8], output_length| Request::DeviceControl {
        handle: HANDLE,
        code,
        input: input.to_vec(),
        output_length,
    };
    [
        control(RAISE_INTERRUPT.value(), raise.as_bytes(), 8),
        Request::Write {
            handle: HANDLE,
            offset: 8,
            data: (0..LENGTH).map(|byte| byte.to_le_bytes()[0]).collect(),
        },
        Request::Read {
            handle: HANDLE,
            offset: 8,
            length: LENGTH,
        },
        control(STATISTICS.value(), &[], 4096),
    ]
}
