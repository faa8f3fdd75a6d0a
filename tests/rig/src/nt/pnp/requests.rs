//! Requests that meet a device which is paused or gone: what becomes of them.
//!
//! While a device is to be stopped or is stopped, a request that needs it is held: it is
//! pended, and done when the device runs again, in the order in which the requests came.
//! A device that is gone does nothing more. What a request met when it was sent is noted
//! with it; a state counts only while no PnP action is under way, for during one the
//! driver may have come to the next state already.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use wdk_sys::{IRP_MJ_DEVICE_CONTROL, NTSTATUS};

use crate::nt::callout::Callback;
use crate::nt::io_manager::outstanding;
use crate::nt::irp::{Irp, Originator, Outcome};
use crate::nt::node::Rest;
use crate::nt::pnp::State;
use crate::nt::status::{STATUS_DELETE_PENDING, STATUS_NO_SUCH_DEVICE, STATUS_PENDING, is_success};
use crate::nt::violation::check;

/// `STATUS_DEVICE_NOT_READY`, `STATUS_DEVICE_DOES_NOT_EXIST`, `STATUS_DEVICE_REMOVED`, and
/// what else says that there is no device to do it.
const NOT_THERE: [u32; 5] = [
    0xC000_00A3,
    0xC000_00C0,
    0xC000_02B6,
    STATUS_DELETE_PENDING.cast_unsigned(),
    STATUS_NO_SUCH_DEVICE.cast_unsigned(),
];

/// Stamps that have been given; the first is 1.
static CLOCK: AtomicU64 = AtomicU64::new(0);

/// What a request met when it was sent.
pub(crate) struct Admission {
    rest: Option<Rest>,
    /// When it was sent; zero before that.
    sent: AtomicU64,
    /// When its dispatch routine had returned and pended it; zero until then.
    pended: AtomicU64,
    /// StartIo was called with it, or it waits at a place of its own in the queue.
    is_out_of_line: AtomicBool,
}

impl Admission {
    /// Of a request that is made now.
    pub(crate) fn of(originator: &Originator) -> Self {
        let rest = match originator {
            Originator::Channel { file, .. } => file.node().rest(),
            Originator::Waiter | Originator::Power(_) => None,
        };
        Self {
            rest,
            sent: AtomicU64::new(0),
            pended: AtomicU64::new(0),
            is_out_of_line: AtomicBool::new(false),
        }
    }

    /// It is about to be sent.
    pub(crate) fn note_sent(&self) {
        self.sent.store(stamp(), Ordering::Release);
    }

    /// Its dispatch routine has returned this.
    pub(crate) fn note_returned(&self, status: NTSTATUS) {
        if status == STATUS_PENDING {
            self.pended.store(stamp(), Ordering::Release);
        }
    }

    /// Its driver gave it a key, which decides when it is its turn.
    pub(crate) fn note_key(&self) {
        self.is_out_of_line.store(true, Ordering::Release);
    }

    /// Whether it came while the device was to be stopped, or was.
    fn met_pause(&self) -> bool {
        self.rest
            .is_some_and(|rest| matches!(rest.state, State::StopPending | State::Stopped))
    }

    /// Whether it was pended before `other` was sent, and its turn has not come.
    fn waits_before(&self, other: &Self) -> bool {
        let pended = self.pended.load(Ordering::Acquire);
        pended != 0
            && pended < other.sent.load(Ordering::Acquire)
            && !self.is_out_of_line.load(Ordering::Acquire)
    }
}

fn stamp() -> u64 {
    CLOCK.fetch_add(1, Ordering::AcqRel) + 1
}

/// What a request asks for, as far as requests of one kind go one way through a driver.
fn kind(irp: &Irp) -> Option<u32> {
    (u32::from(irp.major()) == IRP_MJ_DEVICE_CONTROL).then(|| irp.first_location().control_code())
}

/// Whether a request was given up, so that others may pass it.
fn is_given_up(irp: &Irp) -> bool {
    let Originator::Channel { file, .. } = irp.originator() else {
        return true;
    };
    irp.outcome().is_some() || irp.cancelled_at().is_some() || file.is_closing()
}

/// StartIo is about to be called with an IRP: none of its kind that was held before it
/// may still wait.
pub(crate) fn assert_turn(irp: &Irp) {
    let own = irp.admission();
    let had_key = own.is_out_of_line.swap(true, Ordering::AcqRel);
    let Originator::Channel { file, .. } = irp.originator() else {
        return;
    };
    if had_key || !own.met_pause() {
        return;
    }
    let passed = outstanding().into_iter().find(|other| {
        let is_neighbour = match other.originator() {
            Originator::Channel { file: theirs, .. } => {
                theirs.node().index() == file.node().index()
            }
            Originator::Waiter | Originator::Power(_) => false,
        };
        is_neighbour
            && other.admission().met_pause()
            && other.admission().waits_before(own)
            && !is_given_up(other)
            && other.major() == irp.major()
            && kind(other) == kind(irp)
            // Once more: it may have ended while the rest was looked at.
            && !is_given_up(other)
    });
    check!(
        Pnp09,
        Callback::StartIo,
        passed.is_none(),
        "StartIo is called with the IRP {irp}, which came while the device was stopped or to be, and the IRP {} was held before it and still waits.",
        passed.map_or_else(Default::default, |passed| {
            alloc::string::ToString::to_string(&passed)
        })
    );
}

/// A request of the command channel has ended; checks how.
pub(crate) fn assert_ended(irp: &Irp, outcome: Outcome) {
    let Originator::Channel { file, .. } = irp.originator() else {
        return;
    };
    let admission = irp.admission();
    let Some(rest) = admission.rest else { return };
    let status = outcome.status;
    check!(
        Pnp10,
        Callback::Dispatch,
        rest.state != State::SurpriseRemoved || !is_success(status),
        "The IRP {irp} was sent after SURPRISE_REMOVAL and ended with status {status:#010x}."
    );
    let says_not_there = NOT_THERE.contains(&status.cast_unsigned());
    let was_held = admission.pended.load(Ordering::Acquire) != 0;
    let is_there = matches!(
        file.node().state(),
        State::Started | State::StopPending | State::Stopped
    );
    // What is refused at once by a device that is stopped may be something that cannot be
    // told of a stopped device; one that is to be stopped is as it was.
    let must_be_held =
        was_held || (rest.state == State::StopPending && file.node().rest() == Some(rest));
    check!(
        Pnp09,
        Callback::Dispatch,
        !(admission.met_pause() && says_not_there && must_be_held && is_there),
        "The IRP {irp} came while the device was {:?} and failed with status {status:#010x}; it is held until the device runs again.",
        rest.state
    );
}

/// A request to open the device has ended; `before` is the state in which it was sent.
pub(crate) fn assert_opened(before: Option<Rest>, after: Option<Rest>, status: NTSTATUS) {
    let is_pending = before.is_some_and(|rest| rest.state == State::RemovePending);
    check!(
        Pnp10,
        Callback::Dispatch,
        !(is_pending && before == after && is_success(status)),
        "A file was opened on a device that is to be removed: IRP_MJ_CREATE ended with status {status:#010x}."
    );
}

/// IRP_MJ_CLEANUP or IRP_MJ_CLOSE has ended.
pub(crate) fn assert_closed(function: &str, status: NTSTATUS) {
    check!(
        Pnp10,
        Callback::Dispatch,
        is_success(status),
        "{function} ended with status {status:#010x}; a file is closed whatever the state of its device."
    );
}
