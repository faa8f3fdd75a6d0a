//! `cancel-storm=SEED`: requests are cancelled at the worst moments.
//!
//! At the gate of any routine that the driver calls, a request that is outstanding may
//! be cancelled, by chance: so a cancellation falls between any two steps
//! of the driver's, which on a real machine takes another processor and luck. It
//! happens only where another processor could have come in: at DISPATCH_LEVEL or
//! below, with no spin lock held by this processor.

use core::sync::atomic::{AtomicBool, Ordering};

use crate::machine::cpu::{self, MAX_PROCESSORS};
use crate::nt::chance::{self, Choice};
use crate::nt::irql::{DISPATCH_LEVEL, raised};
use crate::nt::{cancel, counters, io_manager, processor};

/// Of so many calls one is chosen, on average.
const ONE_IN: u64 = 16;

/// There is a storm.
static IS_ON: AtomicBool = AtomicBool::new(false);

/// One for each processor that is cancelling: the driver's cancel routine calls
/// routines, too.
static IS_BUSY: [AtomicBool; MAX_PROCESSORS] = [const { AtomicBool::new(false) }; MAX_PROCESSORS];

/// Begins a storm.
pub(crate) fn begin() {
    IS_ON.store(true, Ordering::Relaxed);
}

/// The driver calls a routine: perhaps a request is cancelled first.
pub(crate) fn strike() {
    if IS_ON.load(Ordering::Relaxed) && cpu::irql() <= DISPATCH_LEVEL {
        // What is known of this processor stays true of it.
        raised(DISPATCH_LEVEL, strike_raised);
    }
}

/// As [`strike`], at DISPATCH_LEVEL.
fn strike_raised() {
    if processor::held_count() != 0 {
        return;
    }
    let busy = &IS_BUSY[cpu::current_processor() % MAX_PROCESSORS];
    if busy.swap(true, Ordering::Relaxed) {
        return;
    }
    let number = chance::number(Choice::Cancel);
    if number.is_multiple_of(ONE_IN) {
        let outstanding = io_manager::outstanding();
        let chosen = usize::try_from(number / ONE_IN)
            .ok()
            .and_then(|number| outstanding.get(number.checked_rem(outstanding.len())?));
        if let Some(irp) = chosen
            && irp.cancelled_at().is_none()
        {
            counters::STORM_CANCELLATIONS.add();
            let _called = cancel::cancel(irp);
        }
    }
    busy.store(false, Ordering::Relaxed);
}
