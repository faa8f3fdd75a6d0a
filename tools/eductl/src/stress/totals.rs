//! What a run has done in the end.

use std::{fmt, time::Duration};

use serde::Serialize;

use super::{
    Plan,
    follower::Follower,
    mix::{Kind, Mix},
    tally::Counts,
};
use crate::commands::stats::Counters;

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ended {
    /// Its time was over.
    Time,
    /// The user did not want any more.
    Interrupted,
    /// Something was wrong.
    Wrong,
}

/// Requests of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KindTotals {
    /// The kind.
    pub kind: Kind,
    /// Requests with the right answer.
    pub right: u64,
    /// Requests that were cancelled and ended so.
    pub cancelled: u64,
}

/// What one who followed the events saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Followed {
    /// Events that came, each once and in order.
    pub seen: u64,
    /// Events that the driver said it did not have any more.
    pub lost: u64,
}

impl From<Follower> for Followed {
    fn from(follower: Follower) -> Self {
        Self {
            seen: follower.seen(),
            lost: follower.lost(),
        }
    }
}

/// What `stress` prints.
#[derive(Clone, Debug, Serialize)]
pub struct Totals {
    /// What chose the requests.
    pub seed: u64,
    /// The weights of the kinds.
    pub mix: Mix,
    /// Threads that sent requests.
    pub threads: usize,
    /// Requests that each had under way.
    pub outstanding: usize,
    /// Of a hundred requests, how many were cancelled.
    pub cancel_percent: u8,
    /// How long it ran.
    pub seconds: f64,
    /// Why it ended.
    pub ended: Ended,
    /// The first thing that was wrong.
    pub wrong: Option<String>,
    /// Requests by kind.
    pub requests: Vec<KindTotals>,
    /// Requests with the right answer.
    pub operations: u64,
    /// Requests that were cancelled and ended so.
    pub cancelled: u64,
    /// Requests with the right answer in a second.
    pub operations_per_second: f64,
    /// Bytes that were read and were right.
    pub bytes_read: u64,
    /// Bytes that were written.
    pub bytes_written: u64,
    /// Those who followed the events.
    pub waiters: Vec<Followed>,
    /// What the driver counted meanwhile; none if it could not be asked.
    pub driver: Option<Counters>,
}

impl Totals {
    pub(super) fn of(plan: &Plan, counts: &Counts, length: Duration) -> Self {
        let seconds = length.as_secs_f64();
        let operations = counts.all_right();
        Self {
            seed: plan.seed,
            mix: plan.mix,
            threads: plan.threads,
            outstanding: plan.outstanding,
            cancel_percent: plan.cancel_percent,
            seconds,
            ended: Ended::Time,
            wrong: None,
            requests: Kind::ALL
                .into_iter()
                .map(|kind| KindTotals {
                    kind,
                    right: *counts.right.of(kind),
                    cancelled: *counts.cancelled.of(kind),
                })
                .collect(),
            operations,
            cancelled: counts.all_cancelled(),
            operations_per_second: rate(operations, length),
            bytes_read: *counts.right_bytes.of(Kind::Read),
            bytes_written: *counts.right_bytes.of(Kind::Write),
            waiters: Vec::new(),
            driver: None,
        }
    }

    /// Whether everything was right.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.wrong.is_none()
    }

    /// Interrupts that the driver claimed meanwhile.
    #[must_use]
    pub fn interrupts(&self) -> u64 {
        self.driver
            .as_ref()
            .map_or(0, |driver| driver.interrupts_claimed)
    }
}

/// How many in a second.
#[expect(
    clippy::cast_precision_loss,
    reason = "a rate is for people, who do not read 15 digits"
)]
pub(super) fn rate(count: u64, time: Duration) -> f64 {
    let seconds = time.as_secs_f64();
    if seconds > 0.0 {
        count as f64 / seconds
    } else {
        0.0
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "{:<12} {:>12} {:>12}",
            "requests", "right", "cancelled"
        )?;
        for requests in &self.requests {
            writeln!(
                formatter,
                "{:<12} {:>12} {:>12}",
                requests.kind.name(),
                requests.right,
                requests.cancelled
            )?;
        }
        writeln!(
            formatter,
            "{:<12} {:>12} {:>12}",
            "together", self.operations, self.cancelled
        )?;
        writeln!(
            formatter,
            "{} bytes written, {} bytes read and compared",
            self.bytes_written, self.bytes_read
        )?;
        for (index, waiter) in self.waiters.iter().enumerate() {
            writeln!(
                formatter,
                "waiter {index} saw {} interrupts in order, and {} were gone when it asked",
                waiter.seen, waiter.lost
            )?;
        }
        if let Some(driver) = &self.driver {
            writeln!(formatter, "\nThe driver has counted meanwhile:\n{driver}\n")?;
        }
        write!(
            formatter,
            "stress: {} operations in {:.1} s ({:.0}/s), {} interrupts, {} cancelled; seed {}; ",
            self.operations,
            self.seconds,
            self.operations_per_second,
            self.interrupts(),
            self.cancelled,
            self.seed
        )?;
        match (&self.wrong, self.ended) {
            (Some(wrong), _) => write!(formatter, "WRONG: {wrong}"),
            (None, Ended::Interrupted) => {
                formatter.write_str("interrupted; every answer until then was right")
            }
            (None, _) => formatter.write_str("every answer was right"),
        }
    }
}
