//! Requests that wait, in a storm of cancellations.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use eductl::{NtStatus, rig::Rig};
use rig_protocol::Request;

use super::{
    super::{Subject, machine, with_device},
    LIMIT, QUEUE, START, START_AND_END, START_BY_KEY, TAKE_NEXT, counts,
};
use crate::artifacts::Artifacts;

/// The check that has each packet finished as soon as it is started.
const AUTOMATIC: u32 = 6;

/// Hundreds of requests, cancelled at random: by the client, and by the rig between any
/// two steps of the driver's. Each ends once, done or cancelled.
pub(super) fn run(artifacts: &Artifacts, processors: u32, kind: u32) -> anyhow::Result<()> {
    const SEED: u64 = 20_251_122;
    const WORKERS: u64 = 4;
    const REQUESTS: u64 = 120;
    const AT_ONCE: u64 = 12;
    let machine =
        machine(artifacts, "queues", processors)?.with_option(&format!("cancel-storm={SEED}"));
    with_device(&machine, |rig, subject| {
        subject.check(AUTOMATIC, &[1])?;
        let (done, gone) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            let workers: Vec<_> = (0..WORKERS)
                .map(|worker| {
                    let (done, gone) = (&done, &gone);
                    scope.spawn(move || {
                        let mut random = Random(SEED + worker);
                        for round in 0..REQUESTS / AT_ONCE {
                            let tag = worker * REQUESTS + round * AT_ONCE;
                            let ends = burst(rig, subject, kind, tag..tag + AT_ONCE, &mut random)?;
                            done.fetch_add(ends.done, Ordering::Relaxed);
                            gone.fetch_add(ends.cancelled, Ordering::Relaxed);
                        }
                        anyhow::Ok(())
                    })
                })
                .collect();
            workers
                .into_iter()
                .try_for_each(|worker| worker.join().ok().context("a thread panicked")?)
        })?;
        let (done, gone) = (done.into_inner(), gone.into_inner());
        let counts = counts(subject)?;
        ensure!(
            done + gone == WORKERS * REQUESTS && done == counts.ended,
            "{done} requests were done and {gone} cancelled, of {}; the driver has done {}",
            WORKERS * REQUESTS,
            counts.ended
        );
        ensure!(done > 0 && gone > 0, "{done} done and {gone} cancelled");
        Ok(())
    })
}

/// How the requests of a burst ended.
#[derive(Default)]
struct Ends {
    done: u64,
    cancelled: u64,
}

/// Sends requests, cancels about half of them, and has the others done.
fn burst(
    rig: &Rig,
    subject: &Subject,
    kind: u32,
    tags: std::ops::Range<u64>,
    random: &mut Random,
) -> anyhow::Result<Ends> {
    let mut running = Vec::new();
    let mut cancelling = Vec::new();
    for tag in tags {
        let number = match kind {
            START if random.below(4) == 0 => START_BY_KEY,
            START if random.below(4) == 0 => START_AND_END,
            _ => kind,
        };
        let started = subject.start(number, &[tag, random.below(5)])?;
        if random.below(2) == 0 {
            thread::sleep(Duration::from_micros(random.below(2000)));
            let number = started.request.number();
            cancelling.push(rig.send(Request::Cancel { number })?);
        }
        running.push((tag, started));
    }
    for cancelling in cancelling {
        // Whether it came in time is seen at the request.
        let _reply = cancelling.wait(LIMIT)?;
    }
    let mut ends = Ends::default();
    for (tag, mut running) in running {
        let began = Instant::now();
        while !running.request.answers_within(Duration::from_millis(2)) {
            if kind == QUEUE {
                subject.check(TAKE_NEXT, &[])?;
            }
            ensure!(began.elapsed() < LIMIT, "request {tag} never ends");
        }
        match running.wait() {
            Ok([answered, ..]) => {
                ensure!(answered == tag, "request {tag} was answered for {answered}");
                ends.done += 1;
            }
            Err(error) => {
                let failure = error
                    .downcast_ref::<eductl::TransportError>()
                    .and_then(eductl::TransportError::failure);
                ensure!(
                    failure.is_some_and(|failure| failure.is(NtStatus::CANCELLED)),
                    "request {tag}: {error:#}"
                );
                ends.cancelled += 1;
            }
        }
    }
    Ok(ends)
}

/// Numbers that are the same in each run: a linear congruential generator.
struct Random(u64);

impl Random {
    /// A number below `limit`.
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
