//! `stress`: everything at once, for as long as wanted, and every answer checked.
//!
//! Threads keep some requests of random kinds under way and cancel some of them at
//! random. Each knows what its answers must be: factorials and inverses are computed
//! here too, a raised interrupt must have been seen, and every lane owns a part of the
//! device's buffer and knows what it holds. Beside them some follow the events, and must
//! miss none. In the end the driver's counters must be just what was done.

mod follower;
mod lane;
mod ledger;
mod mix;
mod options;
mod progress;
mod request;
mod run;
mod slice;
mod tally;
mod totals;
mod waiter;
mod worker;

use std::{
    ops::RangeInclusive,
    thread,
    time::{Duration, Instant},
};

use edu_interface::{DEVICE_BUFFER_BYTES, Statistics};
use fastrand::Rng;

use crate::{
    commands::CommandError,
    device::{Device, DeviceError},
    transport::{Open, System, Transport},
    verify::goes_on,
};

pub(crate) use follower::Follower;
pub use mix::{Kind, Mix, MixError};
pub use options::Options;
pub use progress::{Bar, Progress};
pub(crate) use request::contains;
use run::Run;
pub(crate) use slice::Slice;
pub use totals::{Ended, Followed, KindTotals, Totals};

/// How often the progress is shown.
const TICK: Duration = Duration::from_millis(100);

/// What a run is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Threads that send requests, at least one.
    pub threads: usize,
    /// Requests that each has under way, at least one.
    pub outstanding: usize,
    /// Threads that follow the events.
    pub waiters: usize,
    /// How long to go on.
    pub length: Duration,
    /// Which requests.
    pub mix: Mix,
    /// How many requests of a hundred are cancelled.
    pub cancel_percent: u8,
    /// What chooses the requests. The order in which they end has its say too, so the
    /// same seed gives a similar run, not the same.
    pub seed: u64,
}

/// Runs `plan` on device `number` of `system`, until `is_stopped` says that it is enough.
///
/// # Errors
/// [`CommandError`] when the run cannot go on; what is merely wrong is in the result.
pub fn run(
    system: &dyn System,
    number: usize,
    plan: &Plan,
    is_stopped: &dyn Fn() -> bool,
    show: &mut dyn FnMut(&Progress),
) -> Result<Totals, CommandError> {
    let open = || {
        system
            .open(&Open::read_write(number))
            .map_err(DeviceError::from)
    };
    let own = open()?;
    // Ctrl-C ends the run, not its requests: these end as they should.
    let device = Device::new(own.for_cleanup());
    let handles: Vec<Box<dyn Transport>> = (0..plan.threads + plan.waiters)
        .map(|_| open())
        .collect::<Result<_, _>>()?;
    let (workers, waiters) = handles.split_at(plan.threads);
    let from = start(&device, plan.waiters)?;
    let run = Run::new(plan);
    let began = Instant::now();
    let mut was_stopped = false;
    let followed = thread::scope(|scope| {
        let run = &run;
        let mut random = Rng::with_seed(plan.seed);
        let mut slices = Slice::cut(
            DEVICE_BUFFER_BYTES as usize,
            plan.threads * plan.outstanding,
        );
        let waiters: Vec<_> = waiters
            .iter()
            .map(|handle| {
                let follower = from.follower;
                scope.spawn(move || run.keep(waiter::wait(run, handle.for_cleanup(), follower)))
            })
            .collect();
        let workers: Vec<_> = workers
            .iter()
            .map(|handle| {
                let slices = slices.by_ref().take(plan.outstanding).collect();
                let mut random = random.fork();
                scope.spawn(move || {
                    run.keep(worker::work(run, handle.for_cleanup(), slices, &mut random))
                })
            })
            .collect();
        while workers.iter().any(|worker| !worker.is_finished()) {
            thread::sleep(TICK.min(plan.length));
            let elapsed = began.elapsed();
            was_stopped = is_stopped();
            if was_stopped || elapsed >= plan.length {
                run.end();
            }
            let counts = run.tally.counts();
            show(&Progress {
                elapsed,
                length: plan.length,
                operations: counts.all_right(),
                cancelled: counts.all_cancelled(),
            });
        }
        for worker in workers {
            run.keep(joined(worker.join()));
        }
        let claimed = run.keep(from.interrupts(&device)).unwrap_or_default();
        run.set_interrupts(claimed);
        let followed: Vec<_> = waiters
            .into_iter()
            .filter_map(|waiter| run.keep(joined(waiter.join())).flatten())
            .collect();
        (claimed, followed)
    });
    let length = began.elapsed();
    let (claimed, followers) = followed;
    let counts = run.tally.counts();
    let mut totals = Totals::of(plan, &counts, length);
    totals.waiters = followers.iter().copied().map(Into::into).collect();
    if was_stopped {
        totals.ended = Ended::Interrupted;
    }
    match run.failure() {
        None => {
            let driver = from.difference(&device)?;
            let interrupts = claimed..=driver.interrupts_claimed;
            totals.driver = Some(driver.into());
            totals.wrong = compare(&driver, &counts, &followers, &interrupts).err();
        }
        Some(error) if goes_on(&error) => totals.wrong = Some(error.to_string()),
        Some(error) => return Err(error),
    }
    if totals.wrong.is_some() {
        totals.ended = Ended::Wrong;
    }
    for handle in handles.into_iter().chain([own]) {
        handle.close().map_err(DeviceError::from)?;
    }
    Ok(totals)
}

fn compare(
    driver: &Statistics,
    own: &tally::Counts,
    followers: &[Follower],
    interrupts: &RangeInclusive<u64>,
) -> Result<(), String> {
    ledger::agree(driver, own)?;
    followers
        .iter()
        .try_for_each(|follower| ledger::all_seen(follower, interrupts))
}

/// Where a run starts from.
struct From {
    follower: Follower,
    statistics: Statistics,
}

/// The driver's counters, and its events for those who follow them, at one moment, at
/// which nothing happens.
fn start(device: &Device<'_>, waiters: usize) -> Result<From, CommandError> {
    // Afterwards there is an event, so that who asks for all need not wait for one.
    let mask = 1;
    contains(mask, device.raise(mask, 0)?).map_err(CommandError::WrongAnswer)?;
    loop {
        let statistics = device.statistics()?;
        let follower = match waiters {
            0 => Follower::default(),
            _ => latest(device)?,
        };
        if device.statistics()? == statistics {
            return Ok(From {
                follower,
                statistics,
            });
        }
    }
}

impl From {
    /// What the driver has counted since then.
    fn difference(&self, device: &Device<'_>) -> Result<Statistics, CommandError> {
        ledger::difference(&self.statistics, &device.statistics()?)
            .map_err(CommandError::WrongAnswer)
    }

    /// Interrupts since then.
    fn interrupts(&self, device: &Device<'_>) -> Result<u64, CommandError> {
        Ok(self.difference(device)?.interrupts_claimed)
    }
}

fn joined<T>(result: thread::Result<T>) -> Result<T, CommandError> {
    result.map_err(|_| CommandError::WrongAnswer("a thread of this program panicked".to_owned()))
}

/// One who has seen all events that there are. There must be one.
pub(crate) fn latest(device: &Device<'_>) -> Result<Follower, CommandError> {
    let mut next = 0;
    loop {
        let reply = device.wait_events(next)?;
        next = reply.next;
        if reply.events.len() < follower::MOST_AT_ONCE {
            return Ok(Follower::at(next));
        }
    }
}

#[cfg(all(test, unix))]
mod tests;
