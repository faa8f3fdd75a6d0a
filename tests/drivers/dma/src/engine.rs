//! The device's DMA engine, and what lines up for it.
//!
//! A job owns its request by way of the transfer that is mapped. It is in one of three
//! places: in the engine's hands (`current`), waiting, or in the hands of the DPC that ends
//! one of its steps. So whoever takes it out is the one who completes it.

use dirql::{
    device::Device,
    dma::{LogicalAddress, Mapped, ScatterGatherList},
    driver::Stop,
    irp::PendingIrp,
    irql::{Dispatch, Passive, at_dispatch},
    start_io::Packet,
    status::NtError,
    wait,
};
use test_driver::DmaCommand;

use crate::{Dma, channel, list};

/// Jobs that may wait: more than there are map registers for in the scenarios.
const CAPACITY: usize = 6;
/// Bytes that the engine takes in one step: its count must be less than its buffer is long.
pub(crate) const STEP: u32 = 2048;

/// Something for the engine to do.
#[derive(Debug)]
pub(crate) enum Job {
    /// A part of a read or a write.
    Part {
        mapped: Mapped<Packet>,
        position: u32,
    },
    /// A scatter/gather list, of which `done` bytes are through.
    List {
        list: ScatterGatherList<PendingIrp>,
        position: u32,
        done: u32,
    },
    /// The common buffer; somebody waits for it.
    Common(DmaCommand),
}

/// What the engine did, for the checks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) packets: u64,
    pub(crate) parts: u64,
    pub(crate) lists: u64,
    pub(crate) pieces: u64,
    /// Most jobs that waited at one time.
    pub(crate) waited: u64,
    /// Jobs that a stop took away.
    pub(crate) stopped: u64,
}

/// The engine.
#[derive(Debug)]
pub(crate) struct Engine {
    is_open: bool,
    granted: u32,
    current: Option<Job>,
    /// DPCs that end a step, whose job is in their hands.
    stepping: u32,
    waiting: [Option<Job>; CAPACITY],
    /// The common buffer's turn has come and gone.
    common_done: bool,
    /// A packet that a stop took back.
    returned: Option<Packet>,
    pub(crate) counts: Counts,
}

impl Engine {
    pub(crate) const fn new() -> Self {
        Self {
            is_open: false,
            granted: 0,
            current: None,
            stepping: 0,
            waiting: [const { None }; CAPACITY],
            common_done: false,
            returned: None,
            counts: Counts {
                packets: 0,
                parts: 0,
                lists: 0,
                pieces: 0,
                waited: 0,
                stopped: 0,
            },
        }
    }

    pub(crate) fn open(&mut self, granted: u32) {
        self.is_open = true;
        self.granted = granted;
    }

    pub(crate) const fn granted(&self) -> u32 {
        self.granted
    }

    pub(crate) fn take_common_done(&mut self) -> bool {
        core::mem::take(&mut self.common_done)
    }

    /// A place for a job that waits.
    fn push(&mut self, job: Job) -> Result<(), Job> {
        let waited = self.waiting.iter().flatten().count();
        let Some(place) = self.waiting.iter_mut().find(|place| place.is_none()) else {
            return Err(job);
        };
        *place = Some(job);
        let waited = u64::try_from(waited).unwrap_or(u64::MAX).saturating_add(1);
        self.counts.waited = self.counts.waited.max(waited);
        Ok(())
    }

    /// The job that has waited longest.
    fn pop(&mut self) -> Option<Job> {
        let job = self.waiting.first_mut()?.take();
        self.waiting.rotate_left(1);
        job
    }
}

impl Job {
    /// What the engine is told to do next for this job; `None` if nothing is left.
    fn next_command(&self) -> Option<DmaCommand> {
        match self {
            Self::Part { mapped, position } => Some(DmaCommand {
                memory: mapped.address(),
                position: *position,
                count: mapped.length(),
                to_device: mapped.is_to_device(),
            }),
            Self::List {
                list,
                position,
                done,
            } => {
                let (memory, left) = piece_at(list, *done)?;
                Some(DmaCommand {
                    memory,
                    position: position.checked_add(*done)?,
                    count: left.min(STEP),
                    to_device: list.is_to_device(),
                })
            }
            Self::Common(command) => Some(*command),
        }
    }
}

/// Where the byte that comes after `done` others is, and how many follow in its piece.
fn piece_at(list: &ScatterGatherList<PendingIrp>, done: u32) -> Option<(LogicalAddress, u32)> {
    let mut before = done;
    for element in list.elements() {
        match element.length.checked_sub(before) {
            Some(left) if left > 0 => return Some((element.address.advanced(before), left)),
            _ => before = before.checked_sub(element.length)?,
        }
    }
    None
}

/// Lines a job up; it comes back, with an error, if that cannot be.
pub(crate) fn submit(
    device: &Device<Dma>,
    irql: &mut Dispatch,
    job: Job,
) -> Result<(), (Job, NtError)> {
    device.engine.with(irql, |irql, engine| {
        if !engine.is_open {
            return Err((job, NtError::STATUS_DEVICE_NOT_READY));
        }
        if engine.current.is_some() {
            return engine
                .push(job)
                .map_err(|job| (job, NtError::STATUS_DEVICE_BUSY));
        }
        launch(device, irql, engine, job)
    })
}

/// Programs the device for a job's next step, in one critical section.
fn launch(
    device: &Device<Dma>,
    irql: &mut Dispatch,
    engine: &mut Engine,
    job: Job,
) -> Result<(), (Job, NtError)> {
    let Some(command) = job.next_command() else {
        return Err((job, NtError::STATUS_INVALID_PARAMETER));
    };
    engine.current = Some(job);
    let started = device
        .interrupt
        .synchronize(irql, |_, shared| shared.start(command));
    match (started, engine.current.take()) {
        (Some(()), job) => {
            engine.current = job;
            Ok(())
        }
        (None, Some(job)) => Err((job, NtError::STATUS_DEVICE_NOT_READY)),
        (None, None) => Ok(()),
    }
}

/// The engine has done a step: ends it and goes on.
pub(crate) fn step_done(device: &Device<Dma>, irql: &mut Dispatch) {
    let job = device.engine.with(irql, |_, engine| {
        let job = engine.current.take()?;
        engine.stepping = engine.stepping.saturating_add(1);
        Some(job)
    });
    // None: a stop has taken it.
    let Some(job) = job else { return };
    let next = match job {
        Job::Part { mapped, position } => channel::part_done(device, irql, mapped, position),
        Job::List {
            list,
            position,
            done,
        } => list::piece_done(device, irql, list, position, done),
        Job::Common(_) => {
            device
                .engine
                .with(irql, |_, engine| engine.common_done = true);
            None
        }
    };
    let left_over = device.engine.with(irql, |irql, engine| {
        engine.stepping = engine.stepping.saturating_sub(1);
        let job = match next {
            Some(job) => job,
            None => engine.pop()?,
        };
        if engine.is_open && engine.current.is_none() {
            return launch(device, irql, engine, job).err();
        }
        engine
            .push(job)
            .err()
            .map(|job| (job, NtError::STATUS_DEVICE_BUSY))
    });
    if let Some((job, error)) = left_over {
        give_up(irql, job, error);
    }
}

/// Ends a job that the engine does not work on, with an error.
pub(crate) fn give_up(irql: &mut Dispatch, job: Job, error: NtError) {
    match job {
        Job::Part { mapped, .. } => {
            let packet = mapped.abort(irql).free(irql);
            packet.fail(irql, error);
        }
        Job::List { list, .. } => {
            let request = list.put(irql);
            request.complete(irql, Err(error));
        }
        Job::Common(_) => {}
    }
}

/// Notes a packet that came back after the engine was closed.
pub(crate) fn return_packet(device: &Device<Dma>, irql: &mut Dispatch, packet: Packet) {
    let second = device
        .engine
        .with(irql, |_, engine| engine.returned.replace(packet));
    if let Some(packet) = second {
        packet.fail(irql, NtError::STATUS_DEVICE_NOT_READY);
    }
}

/// Takes the engine out of service: waits for the step that it is in, and takes every
/// job away from it. The packet among them is to be [`take_returned`].
pub(crate) fn stop(device: &Device<Dma>, irql: &mut Passive, why: Stop) {
    device.engine.with(irql, |_, engine| engine.is_open = false);
    // The engine cannot be stopped; memory is not taken from it while it runs.
    while device
        .interrupt
        .synchronize(irql, |_, shared| shared.is_running())
        == Some(true)
    {
        wait::delay(irql, 1);
    }
    let error = match why {
        Stop::Rebalance => NtError::STATUS_DEVICE_NOT_READY,
        Stop::Remove | Stop::SurpriseRemoval => NtError::STATUS_DELETE_PENDING,
    };
    loop {
        let (job, stepping) = device.engine.with(irql, |_, engine| {
            let job = engine.current.take().or_else(|| engine.pop());
            if job.is_some() {
                engine.counts.stopped = engine.counts.stopped.saturating_add(1);
            }
            (job, engine.stepping)
        });
        match job {
            None if stepping == 0 => break,
            None => wait::delay(irql, 1),
            Some(Job::Part { mapped, .. }) => at_dispatch(irql, |irql| {
                let packet = mapped.abort(irql).free(irql);
                return_packet(device, irql, packet);
            }),
            Some(job) => at_dispatch(irql, |irql| give_up(irql, job, error)),
        }
    }
}

/// The packet that came back, once nothing runs that could return another.
pub(crate) fn take_returned(device: &Device<Dma>, irql: &mut Passive) -> Option<Packet> {
    device.engine.with(irql, |_, engine| engine.returned.take())
}
