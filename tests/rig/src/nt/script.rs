//! Requests that come with the machine in place of over the command channel.
//!
//! What comes over the channel comes when the host gets round to it, and an interrupt of
//! the port's tells of it: two runs are never the same. The requests of a script are sent
//! one after the other, each when the one before has been answered, or together where the
//! script says so, and the answers go to the log, each with the time-stamp counter. On processors whose instructions QEMU
//! counts (`-icount`), that counter tells how many there were and how long the processors
//! had none to execute, and two runs of the same script write the same log. What does not
//! come from the processor's own doing is left out: the edu device computes factorials in
//! a thread of the host's.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use rig_protocol::{Deframer, Frame, Reply, Request};

use crate::machine::fw_cfg;
use crate::machine::log::log;
use crate::machine::stop::refuse;
use crate::machine::sync::IrqLock;
use crate::machine::time::counter;
use crate::nt::dispatcher::{wait_until, wake_waiters};
use crate::nt::{server, thread};

/// The file with the requests, as they would come over the channel.
const FILE: &str = "opt/dirql/script";

/// There is a script.
static IS_SCRIPTED: AtomicBool = AtomicBool::new(false);
/// Numbers of the requests that were answered.
static ANSWERED: IrqLock<BTreeSet<u32>> = IrqLock::new(BTreeSet::new());

/// Begins the script, if there is one. PASSIVE_LEVEL, once.
pub(crate) fn start() {
    let Some(bytes) = fw_cfg::file(FILE) else {
        return;
    };
    let mut deframer = Deframer::new();
    let frames: Result<Vec<Frame<Request>>, _> = bytes
        .iter()
        .filter_map(|byte| deframer.push::<Request>(*byte))
        .collect();
    let frames =
        frames.unwrap_or_else(|error| refuse(format_args!("The script is damaged: {error}")));
    IS_SCRIPTED.store(true, Ordering::Release);
    thread::spawn("script", thread::NORMAL_PRIORITY, None, move || {
        run(frames);
        // Threads of the executive do not end.
        loop {
            thread::park("the end of the run");
        }
    });
}

/// Sends the requests, in their order.
fn run(frames: Vec<Frame<Request>>) {
    let mut sent = 0;
    let mut frames = frames.into_iter();
    while let Some(frame) = frames.next() {
        let Request::Together { count, are_awaited } = frame.body else {
            let number = frame.number;
            sent += 1;
            server::take(frame);
            wait("a request of the script", |answered| {
                answered.contains(&number)
            });
            continue;
        };
        let together = usize::try_from(count).unwrap_or(usize::MAX);
        for frame in frames.by_ref().take(together) {
            sent += 1;
            server::take(frame);
        }
        if are_awaited {
            wait("the requests of the script", |answered| {
                answered.len() == sent
            });
        }
    }
}

/// Waits for answers.
fn wait(what: &'static str, are_there: impl Fn(&BTreeSet<u32>) -> bool) {
    // Without a deadline the wait ends in one way only.
    let _answered = wait_until(what, None, || ANSWERED.with(|answered| are_there(answered)));
}

/// Takes the answer to a request, if it is one of a script. Any IRQL.
pub(crate) fn take_answer(number: u32, body: &Reply) -> bool {
    if !IS_SCRIPTED.load(Ordering::Acquire) {
        return false;
    }
    log!("Request {number} at {}: {body:?}", counter());
    ANSWERED.with(|answered| answered.insert(number));
    wake_waiters();
    true
}
