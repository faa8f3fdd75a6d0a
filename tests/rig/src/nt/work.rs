//! What there is to do at PASSIVE_LEVEL, and which threads do it.
//!
//! # Model
//! Three queues: requests, ends of requests, PnP actions. One thread takes in what
//! comes on the command channel, one does the PnP actions, in order. The rest is
//! for the workers, which stand for a program's threads. As with an I/O completion
//! port, as many of them are at work as there are processors, and one that waits
//! does not count: another goes on meanwhile. So on one processor requests reach
//! the driver in their order, unless one of them blocks.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use rig_protocol::{Action, Frame, Request};

use crate::machine::cpu;
use crate::machine::sync::IrqLock;
use crate::nt::dispatcher::wake_waiters;
use crate::nt::file::File;
use crate::nt::irp::Irp;
use crate::nt::node::NodeRef;
use crate::nt::thread::{self, ThreadRef, WaitQueue};
use crate::nt::{io_manager, power, server};

/// Priority of the threads that are not to wait for the workers.
const AHEAD_OF_WORKERS: u8 = 12;

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
    /// A device is gone, whatever it is doing.
    SurpriseRemoval(NodeRef),
    /// Remove everything and power off.
    Shutdown {
        /// The request's number.
        number: u32,
    },
}

/// Threads that send power IRPs: one may be in a driver while the next is sent.
const POWER_WORKERS: usize = 2;
/// Workers that there are: more than requests that tests let wait at once.
const WORKERS: usize = 16;

/// The queues.
struct Queues {
    requests: VecDeque<Frame<Request>>,
    ends: VecDeque<Irp>,
    pnp: VecDeque<PnpWork>,
    /// Workers that do something and do not wait.
    at_work: usize,
}

static QUEUES: IrqLock<Queues> = IrqLock::new(Queues {
    requests: VecDeque::new(),
    ends: VecDeque::new(),
    pnp: VecDeque::new(),
    at_work: 0,
});

/// Workers that have nothing to do.
static WORKER_QUEUE: WaitQueue = WaitQueue::new();
/// The PnP manager's thread, when it has nothing to do.
static PNP_QUEUE: WaitQueue = WaitQueue::new();
/// The command channel's thread, once it runs.
static CHANNEL: spin::Once<ThreadRef> = spin::Once::new();

/// Name of the PnP manager's thread.
pub(crate) const PNP_MANAGER: &str = "PnP manager";
/// Name of the workers, by which they are told from other threads.
const WORKER: &str = "request worker";

/// Adds something to do. Any IRQL.
pub(crate) fn push(work: Work) {
    let is_pnp = matches!(work, Work::Pnp(_));
    QUEUES.with(|queues| match work {
        Work::Request(frame) => queues.requests.push_back(frame),
        Work::Finish(irp) => queues.ends.push_back(irp),
        Work::Pnp(work) => queues.pnp.push_back(work),
    });
    if is_pnp {
        PNP_QUEUE.tell_one();
    } else {
        WORKER_QUEUE.tell_one();
        // Whoever waits for the ends of requests takes them from the same queue.
        wake_waiters();
    }
}

/// Bytes have come on the command channel. Any IRQL.
pub(crate) fn input_arrived() {
    if let Some(thread) = CHANNEL.get() {
        thread.unpark();
    }
}

/// Takes something to do, for a worker, if one more may be at work.
fn take() -> Option<Work> {
    QUEUES.with(|queues| {
        if queues.at_work >= cpu::processor_count() {
            return None;
        }
        let work = match queues.ends.pop_front() {
            Some(irp) => Work::Finish(irp),
            None => Work::Request(queues.requests.pop_front()?),
        };
        queues.at_work += 1;
        Some(work)
    })
}

/// Takes the end of a request, for a thread that waits for those.
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

/// Runs `wait`, in which the current thread waits; if it is a worker, another may be at
/// work meanwhile. At most APC_LEVEL.
pub(crate) fn while_waiting<R>(wait: impl FnOnce() -> R) -> R {
    if thread::current().name() != WORKER {
        return wait();
    }
    let is_needed = QUEUES.with(|queues| {
        queues.at_work -= 1;
        !queues.ends.is_empty() || !queues.requests.is_empty()
    });
    if is_needed {
        WORKER_QUEUE.tell_one();
    }
    let result = wait();
    QUEUES.with(|queues| queues.at_work += 1);
    result
}

/// Begins the threads. PASSIVE_LEVEL, once.
pub(crate) fn start() {
    thread::spawn("command channel", AHEAD_OF_WORKERS, None, || {
        // Before the first look, so that whoever comes after it is heard.
        CHANNEL.call_once(thread::current);
        loop {
            server::receive();
            thread::park("a request");
        }
    });
    thread::spawn(PNP_MANAGER, thread::NORMAL_PRIORITY, None, || {
        loop {
            server::handle_pnp(&PNP_QUEUE.wait_for("a PnP action", take_pnp));
        }
    });
    for _ in 0..POWER_WORKERS {
        thread::spawn("power worker", AHEAD_OF_WORKERS, None, power::queue::run);
    }
    for _ in 0..WORKERS {
        thread::spawn(WORKER, thread::NORMAL_PRIORITY, None, || {
            loop {
                match WORKER_QUEUE.wait_for("something to do", take) {
                    Work::Request(frame) => server::handle(frame),
                    Work::Finish(irp) => io_manager::finish(&irp),
                    Work::Pnp(work) => server::handle_pnp(&work),
                }
                QUEUES.with(|queues| queues.at_work -= 1);
            }
        });
    }
}
