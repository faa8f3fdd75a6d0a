//! Something happens at one call of the driver's: a request is cancelled, or the device
//! goes.
//!
//! Calls of every routine are counted, on every processor, from the moment at which the
//! host asks for it; so it can have the same thing happen at the first call, the second,
//! and so on to the last. Where it may not happen (above DISPATCH_LEVEL, or with a spin
//! lock held, where no other processor could come in on a real machine either), it happens
//! at the next call at which it may.

use core::sync::atomic::{AtomicU32, Ordering};

use rig_protocol::Event;

use crate::machine::cpu;
use crate::machine::log::log;
use crate::machine::sync::IrqLock;
use crate::machine::time::stall;
use crate::nt::irql::{DISPATCH_LEVEL, PASSIVE_LEVEL, raised};
use crate::nt::node::{self, NodeRef};
use crate::nt::routine::Routine;
use crate::nt::work::{self, PnpWork, Work};
use crate::nt::{cancel, dispatcher, io_manager, processor, thread};

/// How long a call waits for the device to go, in milliseconds: the driver may be unable to
/// let it go before the call returns.
const PATIENCE_MS: u64 = 20;
/// As above, at DISPATCH_LEVEL, in microseconds.
const PATIENCE_AT_DISPATCH: u64 = 100;

/// Calls up to and with the one at which it happens; zero for none.
static REMAINING: AtomicU32 = AtomicU32::new(0);

/// What is to happen, and the routine in whose call it has.
struct Plan {
    event: Event,
    happened_in: &'static str,
}

static PLAN: IrqLock<Plan> = IrqLock::new(Plan {
    event: Event::Nothing,
    happened_in: "",
});

/// Has an event happen at the call with this number, from 1; the routine at whose call one
/// has happened since this was called last, or nothing.
pub(crate) fn set(call: u32, event: Event) -> &'static str {
    REMAINING.store(0, Ordering::Release);
    let happened_in = PLAN.with(|plan| {
        plan.event = event;
        core::mem::take(&mut plan.happened_in)
    });
    if event != Event::Nothing {
        REMAINING.store(call, Ordering::Release);
    }
    happened_in
}

/// The driver calls a routine.
pub(crate) fn pass(routine: Routine) {
    let remaining = REMAINING.load(Ordering::Acquire);
    if remaining == 0 {
        return;
    }
    let counted = REMAINING.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
        (left > 1).then(|| left - 1)
    });
    if counted.is_ok() || cpu::irql() > DISPATCH_LEVEL {
        return;
    }
    let event = raised(DISPATCH_LEVEL, || {
        let may_happen = processor::held_count() == 0
            && REMAINING
                .compare_exchange(1, 0, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok();
        may_happen.then(|| {
            PLAN.with(|plan| {
                // Whoever hears that it has happened may ask for what is to come after it.
                if let Event::SurpriseRemoval { device } = plan.event
                    && let Some(node) = node::by_index(device)
                {
                    work::push(Work::Pnp(PnpWork::SurpriseRemoval(node)));
                }
                plan.happened_in = routine.name();
                plan.event
            })
        })
    });
    if let Some(event) = event {
        happen(routine, event);
    }
}

/// It happens, in a call of `routine`.
fn happen(routine: Routine, event: Event) {
    log!("{event:?} in a call of {}.", routine.name());
    match event {
        Event::Nothing => {}
        Event::Cancel => {
            if let Some(oldest) = io_manager::outstanding().first() {
                let _called = cancel::cancel(oldest);
            }
        }
        Event::SurpriseRemoval { device } => {
            if let Some(node) = node::by_index(device) {
                let_it_go(&node);
            }
        }
    }
}

/// Lets the PnP manager tell the driver that the device is gone, before this call goes on.
fn let_it_go(node: &NodeRef) {
    if cpu::irql() > PASSIVE_LEVEL {
        if cpu::processor_count() > 1 {
            stall(PATIENCE_AT_DISPATCH);
        }
    } else if thread::current().name() != work::PNP_MANAGER {
        let deadline = dispatcher::due_time(-(PATIENCE_MS.cast_signed() * 10_000));
        let _gone = dispatcher::wait_until("a surprise removal", Some(deadline), || {
            node.state().is_gone()
        });
    }
}
