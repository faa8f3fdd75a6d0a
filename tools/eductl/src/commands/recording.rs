//! Taking a recording: the flight recorder is switched on, read while it is written, and
//! left as it was found. `trace` and `stats --histograms` make their results of it.

mod load;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use edu_interface::{Clock, Record, RecordsHeader};

use super::CommandError;
use crate::{
    device::{BATCH_BYTES, Device},
    stop::Stop,
    timeline::Timeline,
};

pub use load::{Load, LoadOptions};

/// Records that fit into one reply.
const AT_ONCE: usize = (BATCH_BYTES - size_of::<RecordsHeader>()) / size_of::<Record>();
/// How long the recorder is left alone when there was nothing more to read.
const PAUSE: Duration = Duration::from_millis(5);
/// Replies that are read and thrown away at most before the recording begins.
const CATCH_UP: u32 = 256;
/// Records that are kept at most; they take 32 MiB.
const MOST: usize = 1 << 20;

/// What is to be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How long.
    pub length: Duration,
    /// What this program has the device do meanwhile, if anything.
    pub load: Option<Load>,
}

/// Records until the time is over, `stop` is requested, or there is no more room.
///
/// # Errors
/// [`CommandError`]; a wrong answer to the load's requests is one.
pub fn record(device: &Device<'_>, plan: Plan, stop: &Stop) -> Result<Timeline, CommandError> {
    // What was begun is brought to an end even when the user wishes to stop.
    let recorder = device.for_cleanup();
    let (mut reader, was_on) = Reader::from_now(&recorder)?;
    recorder.switch_recorder(true)?;
    let outcome = under_load(device, plan, stop, &mut reader);
    let restored = recorder.switch_recorder(was_on);
    let loaded = outcome?;
    restored?;
    if !was_on {
        reader.read_all()?;
    }
    loaded?;
    Ok(reader.timeline())
}

/// Reads while the load runs. The inner result is the load's.
fn under_load(
    device: &Device<'_>,
    plan: Plan,
    stop: &Stop,
    reader: &mut Reader<'_>,
) -> Result<Result<(), CommandError>, CommandError> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let workers: Vec<_> = plan
            .load
            .into_iter()
            .flat_map(Load::threads)
            .map(|work| {
                let over = &over;
                scope.spawn(move || work.repeat(device, over))
            })
            .collect();
        let read = reader.read_for(plan.length, stop, &|| {
            // A load ends before its time when something is wrong.
            workers.iter().any(thread::ScopedJoinHandle::is_finished)
        });
        over.store(true, Ordering::Relaxed);
        let mut worked = Ok(());
        for worker in workers {
            let ended = worker.join().unwrap_or_else(|_| {
                Err(CommandError::WrongAnswer(
                    "a thread of this program panicked".to_owned(),
                ))
            });
            worked = worked.and(ended);
        }
        read.map(|()| worked)
    })
}

/// Reads the recorder on from where it stopped.
struct Reader<'a> {
    device: &'a Device<'a>,
    next: u64,
    clock: Clock,
    lost: u64,
    records: Vec<Record>,
}

impl<'a> Reader<'a> {
    /// One that begins after all that is there, and whether the recorder is on.
    fn from_now(device: &'a Device<'a>) -> Result<(Self, bool), CommandError> {
        let mut reader = Self {
            device,
            next: 0,
            clock: Clock::default(),
            lost: 0,
            records: Vec::new(),
        };
        // One that is on and has much to record may never come to an end.
        let mut on = false;
        for _ in 0..CATCH_UP {
            let batch = device.read_records(reader.next)?;
            reader.next = batch.next;
            on = batch.on;
            if batch.records.len() < AT_ONCE {
                break;
            }
        }
        Ok((reader, on))
    }

    /// Reads for `length`, or until `stop`, or until `ended`, or until there is no room.
    fn read_for(
        &mut self,
        length: Duration,
        stop: &Stop,
        ended: &dyn Fn() -> bool,
    ) -> Result<(), CommandError> {
        let begin = Instant::now();
        while begin.elapsed() < length && self.records.len() < MOST && !ended() {
            let read = self.read()?;
            let pause = if read < AT_ONCE {
                PAUSE
            } else {
                Duration::ZERO
            };
            if stop.comes_within(pause.min(length)) {
                break;
            }
        }
        Ok(())
    }

    /// Reads all that there is, of a recorder that is off.
    fn read_all(&mut self) -> Result<(), CommandError> {
        while self.read()? > 0 {}
        Ok(())
    }

    fn read(&mut self) -> Result<usize, CommandError> {
        let batch = self.device.read_records(self.next)?;
        self.next = batch.next;
        self.clock = batch.clock;
        self.lost = self.lost.saturating_add(batch.lost);
        self.records.extend_from_slice(&batch.records);
        Ok(batch.records.len())
    }

    fn timeline(&self) -> Timeline {
        Timeline::new(&self.records, &self.clock, self.lost)
    }
}
