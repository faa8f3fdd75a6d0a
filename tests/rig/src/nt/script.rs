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

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rig_protocol::{Deframer, Frame, Reply, Request};

use crate::machine::fw_cfg;
use crate::machine::log::log;
use crate::machine::stop::refuse;
use crate::machine::time::counter;
use crate::nt::dispatcher::{wait_until, wake_waiters};
use crate::nt::{server, thread};

/// The file with the requests, as they would come over the channel.
const FILE: &str = "opt/dirql/script";

/// There is a script.
static IS_SCRIPTED: AtomicBool = AtomicBool::new(false);
/// Requests that were answered.
static ANSWERED: AtomicU32 = AtomicU32::new(0);

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
        let mut frames = frames.into_iter();
        while let Some(frame) = frames.next() {
            match frame.body {
                Request::Together { count } => {
                    let together = usize::try_from(count).unwrap_or(usize::MAX);
                    run(frames.by_ref().take(together));
                }
                _ => run(core::iter::once(frame)),
            }
        }
        // Threads of the executive do not end.
        loop {
            thread::park("the end of the run");
        }
    });
}

/// Sends requests and waits until all of them are answered.
fn run(frames: impl Iterator<Item = Frame<Request>>) {
    let frames: Vec<_> = frames.collect();
    let sent = u32::try_from(frames.len()).unwrap_or(u32::MAX);
    let answered = ANSWERED.load(Ordering::Acquire);
    frames.into_iter().for_each(server::take);
    // Without a deadline the wait ends in one way only.
    let _answered = wait_until("a request of the script", None, || {
        ANSWERED.load(Ordering::Acquire).wrapping_sub(answered) == sent
    });
}

/// Takes the answer to a request, if it is one of a script. Any IRQL.
pub(crate) fn take_answer(number: u32, body: &Reply) -> bool {
    if !IS_SCRIPTED.load(Ordering::Acquire) {
        return false;
    }
    log!("Request {number} at {}: {body:?}", counter());
    ANSWERED.fetch_add(1, Ordering::AcqRel);
    wake_waiters();
    true
}
