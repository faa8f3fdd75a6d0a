//! One of the threads that send requests: some at a time, on handles of its own, and each
//! answer is judged.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use eductl::{
    CONTROL_LIMIT, Failure, NtStatus, Transport as _, TransportError,
    rig::{PendingControl, Rig, RigHandle},
};
use fastrand::Rng;
use rig_protocol::Request as RigRequest;

use super::{
    draw::{self, Opened, Request},
    judge::{Circumstances, Ended, judge, passes_the_io_manager},
};
use crate::cases::support::fails_with;

/// Requests that a lane has under way at most.
const WINDOW: usize = 24;
/// Handles of a lane.
const HANDLES: usize = 3;
/// One in so many requests that may take a while is cancelled as soon as it is sent, ...
const CANCELLED_ONE_IN: u32 = 6;
/// ... and at one in so many requests, whichever is under way.
const ANY_CANCELLED_ONE_IN: u32 = 40;
/// How long a request may wait for an event before it is cancelled: it holds a place.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long an answer is waited for before the others are looked at.
const MOMENT: Duration = Duration::from_millis(2);

/// What was sent, and how it ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    /// Requests.
    pub(super) sent: u64,
    /// Of those, what the I/O manager did not refuse.
    pub(super) to_driver: u64,
    /// Of those, control requests.
    pub(super) device_controls: u64,
    /// Cancellations that found their request.
    pub(super) cancellations: u64,
    /// How they ended.
    pub(super) statuses: BTreeMap<NtStatusOrder, u64>,
}

/// A status, in the order of the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NtStatusOrder(pub(super) u32);

impl Totals {
    pub(super) fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.to_driver += other.to_driver;
        self.device_controls += other.device_controls;
        self.cancellations += other.cancellations;
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
    }

    fn count(&mut self, status: NtStatus) {
        *self.statuses.entry(NtStatusOrder(status.0)).or_default() += 1;
    }
}

/// A request under way.
struct Sent {
    request: Request,
    pending: PendingControl,
    /// Which of the handles.
    handle: usize,
    opened: Opened,
    at: Instant,
    was_cancelled: bool,
}

/// A thread's requests.
pub(super) struct Lane<'a> {
    rig: &'a Rig,
    random: Rng,
    handles: Vec<(RigHandle, Opened)>,
    under_way: Vec<Sent>,
    /// The part of the device's buffer that this lane alone writes.
    region: (u64, usize),
    /// What is in it, if that is known.
    contents: Option<Vec<u8>>,
    totals: Totals,
}

impl<'a> Lane<'a> {
    pub(super) fn new(rig: &'a Rig, seed: u64, region: (u64, usize)) -> anyhow::Result<Self> {
        let handles = (0..HANDLES)
            .map(|_| Ok((rig.open_handle(&Opened::BOTH.open())?, Opened::BOTH)))
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            rig,
            random: Rng::with_seed(seed),
            handles,
            under_way: Vec::new(),
            region,
            contents: None,
            totals: Totals::default(),
        })
    }

    /// Sends requests until so many have come to the driver, and has all of them end.
    pub(super) fn run(mut self, count: u64) -> anyhow::Result<Totals> {
        while self.totals.to_driver < count {
            self.make_room()?;
            let request = self.draw();
            let takes_a_while = self.is_own(&request) || draw::may_pend(&request);
            self.send(request)?;
            if takes_a_while && self.random.u32(0..CANCELLED_ONE_IN) == 0 {
                self.cancel(self.under_way.len().saturating_sub(1))?;
            }
            if self.random.u32(0..ANY_CANCELLED_ONE_IN) == 0 {
                let index = self.random.usize(0..WINDOW);
                self.cancel(index)?;
            }
        }
        for index in 0..self.under_way.len() {
            self.cancel(index)?;
        }
        while !self.under_way.is_empty() {
            self.take_answers()?;
        }
        for (handle, _) in self.handles {
            Box::new(handle).close()?;
        }
        Ok(self.totals)
    }

    fn draw(&mut self) -> Request {
        // Two transfers at a time would leave open what is in the buffer.
        let may_transfer = !self.under_way.iter().any(|sent| self.is_own(&sent.request));
        draw::request(&mut self.random, may_transfer, self.region)
    }

    fn is_own(&self, request: &Request) -> bool {
        let (begin, length) = self.region;
        match request {
            Request::Read {
                offset,
                length: asked,
            } => (*offset, *asked) == (begin, length),
            Request::Write { offset, data } => (*offset, data.len()) == (begin, length),
            _ => false,
        }
    }

    fn send(&mut self, request: Request) -> anyhow::Result<()> {
        self.totals.sent += 1;
        let index = self.random.usize(0..self.handles.len());
        let (handle, opened) = self.handles.get(index).context("a lane has its handles")?;
        let opened = *opened;
        let pending = match &request {
            Request::Control(control) => {
                let length = control.output_length;
                if matches!(control.code & 3, 1 | 2) {
                    let buffer = vec![0; length];
                    handle.start_direct_control(control.code, &control.input, &buffer)?
                } else {
                    handle.start_control(control.code, &control.input, length)?
                }
            }
            Request::Read { offset, length } => handle.start_read(*offset, *length)?,
            Request::Write { offset, data } => handle.start_write(*offset, data)?,
            Request::Major(major) => {
                // The rig checks that it is refused, with two control codes that nobody has.
                let refused = handle.probe(&[], &[*major])?;
                ensure!(refused == 3, "{refused} of 3 requests were refused");
                self.totals.to_driver += 1;
                self.totals.count(NtStatus::INVALID_DEVICE_REQUEST);
                return Ok(());
            }
            Request::Reopen(opened) => return self.reopen(index, *opened),
            Request::OpenInside => {
                let mut open = Opened::BOTH.open();
                open.trailing_name = "inside";
                let answer = self.rig.open_handle(&open);
                let answer = answer.map(|_| ());
                let wanted = NtStatus::OBJECT_NAME_NOT_FOUND;
                fails_with("a name inside the device", answer, &[wanted])?;
                self.totals.to_driver += 1;
                self.totals.count(wanted);
                return Ok(());
            }
        };
        if passes_the_io_manager(&request, opened) {
            self.totals.to_driver += 1;
            if matches!(request, Request::Control(_)) {
                self.totals.device_controls += 1;
            }
        }
        self.under_way.push(Sent {
            request,
            pending,
            handle: index,
            opened,
            at: Instant::now(),
            was_cancelled: false,
        });
        Ok(())
    }

    /// Closes a handle, with whatever is under way on it, and opens another one.
    fn reopen(&mut self, index: usize, opened: Opened) -> anyhow::Result<()> {
        let other = self.rig.open_handle(&opened.open())?;
        let place = self
            .handles
            .get_mut(index)
            .context("a lane has its handles")?;
        let (handle, _) = std::mem::replace(place, (other, opened));
        for sent in &mut self.under_way {
            sent.was_cancelled |= sent.handle == index;
        }
        Box::new(handle).close()?;
        self.totals.to_driver += 1;
        self.totals.count(NtStatus(0));
        Ok(())
    }

    fn cancel(&mut self, index: usize) -> anyhow::Result<()> {
        let Some(sent) = self.under_way.get_mut(index) else {
            return Ok(());
        };
        sent.was_cancelled = true;
        let number = sent.pending.number();
        let answer = self.rig.send(RigRequest::Cancel { number })?;
        match answer.wait(CONTROL_LIMIT)? {
            rig_protocol::Reply::Completed { status: 0, .. } => self.totals.cancellations += 1,
            // It has ended already, or has not come to the rig's table yet.
            rig_protocol::Reply::Completed { status, .. } if status == NtStatus::NOT_FOUND.0 => {}
            other => bail!("a cancellation was answered with {other:?}"),
        }
        Ok(())
    }

    fn make_room(&mut self) -> anyhow::Result<()> {
        while self.under_way.len() >= WINDOW {
            self.take_answers()?;
        }
        Ok(())
    }

    /// Judges what has been answered; waits a moment if that is nothing.
    fn take_answers(&mut self) -> anyhow::Result<()> {
        let before = self.under_way.len();
        let mut index = 0;
        while let Some(sent) = self.under_way.get_mut(index) {
            if sent.pending.answers_within(Duration::ZERO) {
                let sent = self.under_way.swap_remove(index);
                self.has_ended(sent)?;
            } else {
                index += 1;
            }
        }
        if self.under_way.len() < before {
            return Ok(());
        }
        let Some(oldest) = self.under_way.iter_mut().min_by_key(|sent| sent.at) else {
            return Ok(());
        };
        let answered = oldest.pending.answers_within(MOMENT);
        let waits_for = oldest.at.elapsed();
        ensure!(
            answered || waits_for < CONTROL_LIMIT,
            "no answer to {:?} within {} s",
            oldest.request,
            waits_for.as_secs()
        );
        if !answered && waits_for > PATIENCE {
            self.cancel_those_that_wait()?;
        }
        Ok(())
    }

    /// Cancels what waits for an event that may never come, and once more what was cancelled
    /// before the rig had it.
    fn cancel_those_that_wait(&mut self) -> anyhow::Result<()> {
        for index in 0..self.under_way.len() {
            let waits = self.under_way.get(index).is_some_and(|sent| {
                let is_event_wait = matches!(&sent.request, Request::Control(control)
                    if control.code == edu_interface::WAIT_EVENTS.value());
                sent.at.elapsed() > PATIENCE && (is_event_wait || sent.was_cancelled)
            });
            if waits {
                self.cancel(index)?;
            }
        }
        Ok(())
    }

    fn has_ended(&mut self, sent: Sent) -> anyhow::Result<()> {
        let ended = match sent.pending.wait_transfer() {
            Ok((information, output)) => Ended {
                status: NtStatus(0),
                information,
                output,
            },
            Err(TransportError::Failed {
                failure: Failure::Nt(status),
                ..
            }) => Ended {
                status,
                information: 0,
                output: Vec::new(),
            },
            Err(error) => return Err(error.into()),
        };
        self.totals.count(ended.status);
        let how = Circumstances {
            opened: sent.opened,
            was_cancelled: sent.was_cancelled,
            took: sent.at.elapsed(),
        };
        judge(&sent.request, &ended, how)
            .and_then(|()| self.compare(&sent.request, &ended))
            .with_context(|| format!("{:?}, {how:?}", sent.request))
    }

    /// What is read from the lane's own part of the buffer is what was written there.
    fn compare(&mut self, request: &Request, ended: &Ended) -> anyhow::Result<()> {
        if !self.is_own(request) {
            return Ok(());
        }
        let is_done = ended.status == NtStatus(0);
        if let Request::Write { data, .. } = request {
            // One that was cancelled may have been done, wholly or in part.
            if ended.status != NtStatus::ACCESS_DENIED {
                self.contents = is_done.then(|| data.clone());
            }
        } else if let Some(contents) = self.contents.as_ref().filter(|_| is_done) {
            ensure!(
                *contents == ended.output,
                "what was read is not what was written"
            );
        }
        Ok(())
    }
}
