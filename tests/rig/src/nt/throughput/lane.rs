//! A lane of a load: one thread, on one processor, with some requests outstanding.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use rig_protocol::{Ask, Reply};
use wdk_sys::{IRP_MJ_READ, IRP_MJ_WRITE};

use super::Shared;
use crate::machine::cpu::MAX_PROCESSORS;
use crate::machine::sync::IrqLock;
use crate::machine::time::counter;
use crate::nt::irp::{Irp, Recipient};
use crate::nt::status::is_success;
use crate::nt::thread::WaitQueue;
use crate::nt::{direct_io, io_manager};

/// Requests of each lane that have ended and that its thread has not seen.
static ENDED: [IrqLock<VecDeque<End>>; MAX_PROCESSORS] =
    [const { IrqLock::new(VecDeque::new()) }; MAX_PROCESSORS];
/// The lanes' threads, when they wait for one.
static LANES: [WaitQueue; MAX_PROCESSORS] = [const { WaitQueue::new() }; MAX_PROCESSORS];

/// The end of a request.
struct End {
    irp: Irp,
    began: u64,
    ended: u64,
}

/// What a lane found.
pub(super) struct Found {
    /// Of each of its requests, in counts.
    pub(super) latencies: Vec<u64>,
    /// Its first request's begin and its last one's end, if it had any.
    pub(super) span: Option<(u64, u64)>,
    /// What the first of its requests that failed was answered.
    pub(super) failure: Option<Box<Reply>>,
}

/// A request of a lane has ended, which began at `began`. Any IRQL.
pub(crate) fn ended(lane: usize, began: u64, irp: &Irp) {
    let end = End {
        irp: irp.clone(),
        began,
        ended: counter(),
    };
    if let (Some(queue), Some(waiter)) = (ENDED.get(lane), LANES.get(lane)) {
        queue.with(|queue| queue.push_back(end));
        waiter.tell_one();
    }
}

/// Keeps `share` requests outstanding for as long as there are any to send, and waits for
/// their ends. PASSIVE_LEVEL, on the lane's processor.
pub(super) fn run(shared: &Shared, lane: usize, share: usize) -> Found {
    let mut found = Found {
        // Room for twice a fair share, so that none is made while time is taken.
        latencies: Vec::with_capacity(2 * shared.load.requests as usize / MAX_PROCESSORS),
        span: None,
        failure: None,
    };
    let mut outstanding = 0_usize;
    while outstanding < share && send_next(shared, lane, &mut found) {
        outstanding += 1;
    }
    while outstanding > 0 {
        let end = LANES[lane].wait_for("the end of a request of a load", || {
            ENDED[lane].with(VecDeque::pop_front)
        });
        outstanding -= 1;
        found.note(shared, &end);
        if found.failure.is_none() && send_next(shared, lane, &mut found) {
            outstanding += 1;
        }
    }
    found
}

impl Found {
    /// Notes how a request ended.
    fn note(&mut self, shared: &Shared, end: &End) {
        let first = self
            .span
            .map_or(end.began, |(first, _)| first.min(end.began));
        let last = self.span.map_or(end.ended, |(_, last)| last.max(end.ended));
        self.span = Some((first, last));
        self.latencies.push(end.ended.saturating_sub(end.began));
        let answer = io_manager::settle(&shared.file, &end.irp);
        if let Some((status, answer)) = answer
            && !is_success(status)
        {
            self.failure.get_or_insert_with(|| Box::new(answer));
        }
    }
}

/// Sends one more request; `false` when there is none to send, or it cannot be.
fn send_next(shared: &Shared, lane: usize, found: &mut Found) -> bool {
    let Some(number) = shared.take() else {
        return false;
    };
    let asks = &shared.load.asks;
    let Some(ask) = asks.get(number as usize % asks.len()) else {
        return false;
    };
    let file = &shared.file;
    let recipient = Recipient::Lane {
        lane,
        began: counter(),
    };
    let irp = match ask {
        Ask::Control {
            code,
            input,
            output_length,
        } => io_manager::prepare_control(recipient, file, *code, input, *output_length),
        Ask::Read { offset, length } => {
            let length = *length as usize;
            direct_io::prepare(recipient, file, IRP_MJ_READ, *offset, length, &[])
        }
        Ask::Write { offset, data } => {
            direct_io::prepare(recipient, file, IRP_MJ_WRITE, *offset, data.len(), data)
        }
    };
    match irp {
        Ok(irp) => {
            io_manager::send_prepared(file, &irp);
            true
        }
        Err(reply) => {
            found.failure.get_or_insert(reply);
            false
        }
    }
}
