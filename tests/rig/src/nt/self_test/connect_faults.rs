//! Faults with connecting an interrupt, and more than one for a rule.

use wdk_sys::NTSTATUS;

use crate::nt::rule::Rule;
use crate::nt::self_test::driver::connect;
use crate::nt::self_test::extension::own;
use crate::nt::self_test::faults::{Fault, Hook, Place};
use crate::nt::status::STATUS_SUCCESS;

/// The platform has the fully specified form alone.
pub(super) const NO_RETRY: &str = "INT-02-no-retry";

/// The faults; see [`irp_faults`](super::irp_faults) for what vouches for their calls.
pub(super) const FAULTS: &[Fault] = &[Fault {
    rule: Rule::Int02,
    hook: Hook::Connect,
    act: count_messages,
}];

/// Other ways to break the same rules, each with the name of its test.
pub(super) const OTHERS: &[(&str, Fault)] = &[(
    NO_RETRY,
    Fault {
        rule: Rule::Int02,
        hook: Hook::Connect,
        act: give_up,
    },
)];

/// The call fails, whatever it wrote back, and the device is started without an interrupt.
fn give_up(place: Place) -> NTSTATUS {
    connect(place.device);
    STATUS_SUCCESS
}

/// What messages were asked for led to is a table of messages, whatever was written back.
fn count_messages(place: Place) -> NTSTATUS {
    let status = connect(place.device);
    let table = own(place.device).table();
    // SAFETY: The field's address is computed, and nothing is read.
    let count = unsafe { &raw const (*table).MessageCount };
    // SAFETY: That there is no such table is the fault; the read faults and ends the run.
    let _count = unsafe { count.read_volatile() };
    status
}
