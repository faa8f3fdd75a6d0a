//! What the executive watches about cancellation: who is in which cancel routine, how
//! long a cancelled IRP takes, and whether cancel routines change under the lock.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use arrayvec::ArrayVec;

use crate::machine::cpu::{self, MAX_PROCESSORS};
use crate::machine::sync::IrqLock;
use crate::machine::time::system_time_100ns;
use crate::nt::irp::{Irp, ledger};
use crate::nt::routine::Routine;
use crate::nt::status::STATUS_CANCELLED;
use crate::nt::violation::check;
use crate::nt::{address, start_io};

/// Longest time that a cancelled IRP may take. The documentation's verifier gives it
/// five minutes; a test that waits so long tells nobody anything.
static LIMIT_100NS: AtomicU64 = AtomicU64::new(30 * 10_000_000);

/// The IRP whose cancel routine each processor is in, by address; zero for none.
static CALLED_FOR: [AtomicUsize; MAX_PROCESSORS] = [const { AtomicUsize::new(0) }; MAX_PROCESSORS];

/// Packets whose cancel routines are watched from one release of the cancel spin lock to
/// the next time that it is acquired. Of more, each has its turn: a driver with many
/// requests waits no longer for the lock than one with few.
const WATCHED: usize = 4;

/// Packets in device queues by the IRP's address, each with its cancel routine.
type Routines = ArrayVec<(usize, usize), WATCHED>;

/// Those that are watched, as the last release of the cancel spin lock left them.
static ROUTINES: IrqLock<Routines> = IrqLock::new(Routines::new_const());

/// How often the lock was released: which packets have their turn.
static TURN: AtomicUsize = AtomicUsize::new(0);

/// Shortens the time that a cancelled IRP may take, for a test that waits for it.
pub(crate) fn set_limit_100ns(limit: u64) {
    LIMIT_100NS.store(limit, Ordering::Relaxed);
}

/// The longest time that a cancelled IRP may take.
pub(crate) fn limit_100ns() -> u64 {
    LIMIT_100NS.load(Ordering::Relaxed)
}

/// This processor's entry.
fn own() -> &'static AtomicUsize {
    &CALLED_FOR[cpu::current_processor() % MAX_PROCESSORS]
}

/// Runs `call`, which is the cancel routine of `irp`.
pub(crate) fn in_cancel_routine(irp: &Irp, call: impl FnOnce()) {
    irp.note_cancel_routine();
    let before = own().swap(address::of(irp.pointer()), Ordering::Relaxed);
    call();
    own().store(before, Ordering::Relaxed);
}

/// Runs `call`, a routine of the driver's that came in between: an interrupt or a DPC.
/// What it completes is not the cancel routine's doing.
pub(crate) fn aside<R>(call: impl FnOnce() -> R) -> R {
    let before = own().swap(0, Ordering::Relaxed);
    let result = call();
    own().store(before, Ordering::Relaxed);
    result
}

/// Checks an IRP that a driver completes.
pub(crate) fn assert_may_complete(irp: &Irp) {
    if own().load(Ordering::Relaxed) != address::of(irp.pointer()) {
        return;
    }
    let (status, information) = (irp.status(), irp.information());
    check!(
        Can02,
        Routine::IofCompleteRequest,
        status == STATUS_CANCELLED && information == 0,
        "A cancel routine completed the IRP {irp} with status {status:#010x} and Information {information}."
    );
    check!(
        Can03,
        Routine::IofCompleteRequest,
        !start_io::is_current(irp),
        "A cancel routine completed the IRP {irp}, which is the CurrentIrp of its device."
    );
}

/// The cancel routine of a packet, zero for none; `None` when it has ended.
fn cancel_routine(packet: usize) -> Option<usize> {
    let irp = ledger::find(packet)?;
    // In one step with the look at whether it has ended: the packet in StartIo's hands can
    // be completed before the next is started, and then has no routine.
    irp.progress(|progress| {
        let is_live = progress.outcome().is_none();
        is_live.then(|| irp.cancel_routine().map_or(0, |routine| routine as usize))
    })
}

/// The cancel spin lock was acquired: whatever a packet's cancel routine is now, it was
/// when the lock was last released.
pub(crate) fn cancel_lock_acquired(routine: Routine) {
    for (packet, before) in ROUTINES.with(core::mem::take) {
        let Some(now) = cancel_routine(packet) else {
            continue;
        };
        check!(
            Can05,
            routine,
            // One that is in no queue any more is its owner's.
            before == now || !start_io::is_cancelable_packet(packet),
            "The cancel routine of the packet {packet:#x} was {before:#x} and is {now:#x}: it was changed without the cancel spin lock."
        );
    }
}

/// The cancel spin lock is about to be released.
pub(crate) fn cancel_lock_released() {
    let turn = TURN.fetch_add(1, Ordering::Relaxed);
    let packets: ArrayVec<usize, WATCHED> = start_io::some_cancelable_packets(turn);
    let routines = packets
        .into_iter()
        .filter_map(|packet| Some((packet, cancel_routine(packet)?)))
        .collect();
    ROUTINES.with(|known| *known = routines);
}

/// Ends the run when a cancelled IRP takes too long. Any IRQL.
pub(crate) fn look_for_late() {
    let now = system_time_100ns();
    let late = ledger::find_live(|irp| {
        irp.cancelled_at()
            .is_some_and(|since| now.saturating_sub(since) > limit_100ns())
    });
    if let Some(irp) = late {
        check!(
            Can07,
            Routine::IoCancelIrp,
            false,
            "The IRP {irp} was cancelled {} ms ago and is still not completed.",
            limit_100ns() / 10_000
        );
    }
}
