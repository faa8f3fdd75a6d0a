//! Every IRP there is, and those that were, for a while.
//!
//! A completed IRP is kept, filled with a pattern, so that a second completion is
//! recognised for what it is, and a late write is found when its time is over.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use wdk_sys::PIRP;

use crate::machine::sync::IrqLock;
use crate::machine::time::system_time_100ns;
use crate::nt::hang::{hang, limit_100ns, limit_seconds};
use crate::nt::irp::Irp;
use crate::nt::violation::{check, fatal};
use crate::nt::{address, dpc};

/// Completed IRPs that are kept.
const KEPT: usize = 1024;

/// IRPs that have not ended, by address.
static LIVE: IrqLock<BTreeMap<usize, Irp>> = IrqLock::new(BTreeMap::new());
/// IRPs that have, oldest first.
static ENDED: IrqLock<VecDeque<Irp>> = IrqLock::new(VecDeque::new());

/// Notes a new IRP.
pub(super) fn add(irp: &Irp) {
    LIVE.with(|live| live.insert(address::of(irp.pointer()), irp.clone()));
}

/// The IRP at this address, if there is one that is alive.
pub(crate) fn find(address: usize) -> Option<Irp> {
    LIVE.with(|live| live.get(&address).cloned())
}

/// The first IRP that is alive and of which `condition` holds.
pub(crate) fn find_live(condition: impl Fn(&Irp) -> bool) -> Option<Irp> {
    LIVE.with(|live| live.values().find(|irp| condition(irp)).cloned())
}

/// Whether this is the address of an IRP that was completed, and of none that is alive.
pub(crate) fn has_ended(address: usize) -> bool {
    let was_one = |ended: &VecDeque<Irp>| {
        ended
            .iter()
            .any(|irp| address::of(irp.pointer()) == address)
    };
    find(address).is_none() && ENDED.with(|ended| was_one(ended))
}

/// The IRP at this address, which a driver completes; ends the run when there is none
/// that is alive.
pub(crate) fn completed(routine: &str, pointer: PIRP) -> Irp {
    let was_cancelled = find(address::of(pointer)).is_none()
        && ENDED.with(|ended| {
            // The latest, should the memory have been an IRP's before.
            let last = ended.iter().rev().find(|irp| irp.pointer() == pointer);
            last.is_some_and(Irp::is_cancel_routine_called)
        });
    check!(
        Can06,
        routine,
        !was_cancelled,
        "The IRP at {pointer:p} was completed a second time: its cancel routine had been called, and somebody went on with it nevertheless."
    );
    check!(
        Dpc05,
        routine,
        !dpc::is_beside_itself_here() || find(address::of(pointer)).is_some(),
        "The IRP at {pointer:p} was completed a second time, by a DPC that runs on two processors at the same time."
    );
    live(routine, pointer)
}

/// The IRP at this address; ends the run when there is none that is alive.
pub(crate) fn live(routine: &str, pointer: PIRP) -> Irp {
    let irp = find(address::of(pointer));
    let has_ended = || ENDED.with(|ended| ended.iter().any(|irp| irp.pointer() == pointer));
    check!(
        Irp01,
        routine,
        irp.is_some(),
        "The address {pointer:p} is no IRP{}.",
        if has_ended() {
            " any more: it was completed before"
        } else {
            ""
        }
    );
    irp.unwrap_or_else(|| fatal("IRP-01", routine, format_args!("no such IRP")))
}

/// Forgets an IRP that no driver has seen.
pub(super) fn forget(irp: &Irp) {
    LIVE.with(|live| live.remove(&address::of(irp.pointer())));
}

/// Moves an IRP that has ended out of the way of the living.
pub(super) fn retire(irp: &Irp) {
    LIVE.with(|live| live.remove(&address::of(irp.pointer())));
    let oldest = ENDED.with(|ended| {
        ended.push_back(irp.clone());
        if ended.len() > KEPT {
            ended.pop_front()
        } else {
            None
        }
    });
    if let Some(oldest) = oldest {
        assert_untouched(&oldest);
    }
}

/// Checks that nobody wrote to an IRP after its completion.
fn assert_untouched(irp: &Irp) {
    check!(
        Irp02,
        "IofCompleteRequest",
        irp.is_untouched(),
        "The IRP {irp} was written to after it was completed."
    );
}

/// Checks all completed IRPs that are still kept.
pub(crate) fn assert_ended_untouched() {
    let ended: Vec<Irp> = ENDED.with(|ended| ended.iter().cloned().collect());
    ended.iter().for_each(assert_untouched);
}

/// The first IRP that has not ended, if any.
pub(crate) fn first_live() -> Option<Irp> {
    LIVE.with(|live| live.values().next().cloned())
}

/// Ends the run when an IRP has been outstanding for too long. Any IRQL.
pub(crate) fn look_for_hangs() {
    let now = system_time_100ns();
    let late = LIVE.with(|live| {
        live.values()
            .find(|irp| now.saturating_sub(irp.sent()) > limit_100ns())
            .cloned()
    });
    if let Some(irp) = late {
        hang(
            "IofCallDriver",
            format_args!(
                "The IRP {irp} has been outstanding for {} seconds.",
                limit_seconds()
            ),
        );
    }
}
