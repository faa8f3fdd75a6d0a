//! The PnP IRPs that change no state: what Windows may ask of a stack at any time.
//!
//! A function driver without an opinion of its own passes each of them down as it came,
//! and the answer is the bus driver's.

use wdk_sys::NTSTATUS;

use crate::machine::sync::IrqLock;
use crate::nt::callout::Callback;
use crate::nt::irp::{Function, Irp, Outcome};
use crate::nt::node::Node;
use crate::nt::pnp::{major, minor, send};
use crate::nt::status::STATUS_SUCCESS;
use crate::nt::violation::check;

/// All of them, one that is reserved, and one that no version of Windows defines.
const CODES: [u8; 19] = [
    minor::QUERY_DEVICE_RELATIONS,
    minor::QUERY_INTERFACE,
    minor::QUERY_CAPABILITIES,
    minor::QUERY_RESOURCES,
    minor::QUERY_RESOURCE_REQUIREMENTS,
    minor::QUERY_DEVICE_TEXT,
    minor::FILTER_RESOURCE_REQUIREMENTS,
    minor::RESERVED,
    minor::READ_CONFIG,
    minor::WRITE_CONFIG,
    minor::EJECT,
    minor::SET_LOCK,
    minor::QUERY_ID,
    minor::QUERY_PNP_DEVICE_STATE,
    minor::QUERY_BUS_INFORMATION,
    minor::DEVICE_USAGE_NOTIFICATION,
    minor::QUERY_LEGACY_BUS_INFORMATION,
    minor::DEVICE_ENUMERATED,
    minor::UNKNOWN,
];

/// How the bus driver has answered last.
static ANSWER: IrqLock<Option<(u8, Outcome)>> = IrqLock::new(None);

/// Sends all of them to a device's stack; each must reach the bus driver, and its answer
/// the one who asks.
pub(crate) fn ask(node: &Node) {
    for code in CODES {
        ANSWER.with(|answer| *answer = None);
        let outcome = send(node, code, |_| {});
        let answer = ANSWER.with(Option::take);
        check!(
            Pnp06,
            Callback::Dispatch,
            answer == Some((code, outcome)),
            "{} came back as {outcome:?}; the bus driver has answered {answer:?}.",
            Function(major(), code)
        );
    }
}

/// The bus driver's answer to one of them: the two that every bus driver has an answer
/// to, and of the others the status with which they came.
pub(super) fn answer(irp: &Irp, code: u8) -> NTSTATUS {
    let status = match code {
        minor::QUERY_CAPABILITIES | minor::QUERY_PNP_DEVICE_STATE => STATUS_SUCCESS,
        _ => irp.status(),
    };
    let information = irp.information();
    check!(
        Pnp06,
        Callback::Dispatch,
        information == 0,
        "{} was forwarded with {information:#x} as its information, in place of the 0 that it came with.",
        Function(major(), code)
    );
    ANSWER.with(|answer| {
        *answer = Some((
            code,
            Outcome {
                status,
                information,
            },
        ));
    });
    status
}
