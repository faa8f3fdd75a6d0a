//! What there is to do at PASSIVE_LEVEL, and who does it.
//!
//! # Model
//! Three queues: requests, ends of requests, PnP actions. Any processor takes from
//! the first two; of PnP actions one is done at a time, in order. A processor that
//! finds nothing halts, and is woken by whoever adds something.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use rig_protocol::{Action, Frame, Request};

use crate::machine::cpu;
use crate::machine::sync::IrqLock;
use crate::nt::file::File;
use crate::nt::irp::Irp;
use crate::nt::node::NodeRef;
use crate::nt::{io_manager, power, server};

/// Something to do.
pub(crate) enum Work {
    /// A request came in.
    Request(Frame<Request>),
    /// An IRP of the command channel has ended.
    Finish(Irp),
    /// The PnP manager has something to do.
    Pnp(PnpWork),
}

/// Something for the PnP manager to do, one after the other.
pub(crate) enum PnpWork {
    /// Do something to a device.
    Act {
        /// The request's number.
        number: u32,
        /// Which device.
        device: u32,
        /// What to do.
        action: Action,
    },
    /// Close a handle, which can be what a removal waits for.
    Close {
        /// The request's number.
        number: u32,
        /// The handle.
        handle: u32,
    },
    /// A closed file's last request has ended: it can go.
    CloseFile(Arc<File>),
    /// A device's last file may be gone: see whether it is to be removed.
    LastClose(NodeRef),
    /// Remove everything and power off.
    Shutdown {
        /// The request's number.
        number: u32,
    },
}

/// The queues.
struct Queues {
    requests: VecDeque<Frame<Request>>,
    ends: VecDeque<Irp>,
    pnp: VecDeque<PnpWork>,
    is_pnp_busy: bool,
}

static QUEUES: IrqLock<Queues> = IrqLock::new(Queues {
    requests: VecDeque::new(),
    ends: VecDeque::new(),
    pnp: VecDeque::new(),
    is_pnp_busy: false,
});

/// One bit for each processor that has nothing to do.
static IDLE: AtomicU64 = AtomicU64::new(0);
/// The processor that was woken last: work is spread by waking the next.
static LAST_WOKEN: AtomicUsize = AtomicUsize::new(0);

/// Adds something to do. Any IRQL.
pub(crate) fn push(work: Work) {
    QUEUES.with(|queues| match work {
        Work::Request(frame) => queues.requests.push_back(frame),
        Work::Finish(irp) => queues.ends.push_back(irp),
        Work::Pnp(work) => queues.pnp.push_back(work),
    });
    wake_one();
}

/// Wakes a processor that has nothing to do, if there is one. Any IRQL.
pub(crate) fn wake_one() {
    let idle = IDLE.load(Ordering::Acquire);
    let count = cpu::processor_count();
    let last = LAST_WOKEN.load(Ordering::Relaxed);
    let next = (1..=count)
        .map(|step| (last + step) % count)
        .find(|processor| idle >> processor & 1 == 1);
    if let Some(processor) = next {
        IDLE.fetch_and(!(1 << processor), Ordering::AcqRel);
        LAST_WOKEN.store(processor, Ordering::Relaxed);
        if processor != cpu::current_processor() {
            cpu::wake(processor);
        }
    }
}

/// Takes something to do.
fn take() -> Option<Work> {
    QUEUES.with(|queues| {
        if let Some(irp) = queues.ends.pop_front() {
            return Some(Work::Finish(irp));
        }
        if !queues.is_pnp_busy
            && let Some(work) = queues.pnp.pop_front()
        {
            queues.is_pnp_busy = true;
            return Some(Work::Pnp(work));
        }
        queues.requests.pop_front().map(Work::Request)
    })
}

/// Takes the end of a request, for a processor that waits for those.
pub(crate) fn take_end() -> Option<Irp> {
    QUEUES.with(|queues| queues.ends.pop_front())
}

/// Takes what the PnP manager has still to do, for the one who does its last.
pub(crate) fn take_pnp() -> Option<PnpWork> {
    QUEUES.with(|queues| queues.pnp.pop_front())
}

/// Whether the end of a request waits to be taken.
pub(crate) fn has_ends() -> bool {
    QUEUES.with(|queues| !queues.ends.is_empty())
}

/// Whether there is something to take.
fn is_waiting() -> bool {
    QUEUES.with(|queues| {
        !queues.ends.is_empty()
            || !queues.requests.is_empty()
            || (!queues.pnp.is_empty() && !queues.is_pnp_busy)
    })
}

/// Does what there is to do, for good. PASSIVE_LEVEL; every processor ends here.
pub(crate) fn run() -> ! {
    let bit = 1 << cpu::current_processor();
    loop {
        server::receive();
        if power::queue::run_one() {
            continue;
        }
        match take() {
            Some(Work::Request(frame)) => server::handle(frame),
            Some(Work::Finish(irp)) => io_manager::finish(&irp),
            Some(Work::Pnp(work)) => {
                server::handle_pnp(&work);
                QUEUES.with(|queues| queues.is_pnp_busy = false);
            }
            None => {
                IDLE.fetch_or(bit, Ordering::AcqRel);
                cpu::wait_for_interrupt_unless(|| {
                    is_waiting() || server::has_input() || power::queue::has_work()
                });
                IDLE.fetch_and(!bit, Ordering::AcqRel);
            }
        }
    }
}
