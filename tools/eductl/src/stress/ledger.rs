//! Do the driver's counters agree with what was done?
//!
//! Requests that were cancelled may have been begun, and may have been done; so much
//! play the counters have, and no more.

use std::ops::RangeInclusive;

use edu_interface::Statistics;

use super::{follower::Follower, mix::Kind, tally::Counts};

/// What the driver counted between two snapshots.
///
/// # Errors
/// A sentence when a counter went backwards: somebody has set it to zero.
pub(super) fn difference(before: &Statistics, after: &Statistics) -> Result<Statistics, String> {
    let since = |before: u64, after: u64| {
        after.checked_sub(before).ok_or_else(|| {
            format!(
                "a counter of the driver fell from {before} to {after}: something else uses the \
                 device"
            )
        })
    };
    macro_rules! since {
        ($($field:ident)*) => {
            Statistics {
                $($field: since(before.$field, after.$field)?,)*
                // No sum but a maximum.
                dpc_most_results: after.dpc_most_results,
            }
        };
    }
    Ok(since! {
        interrupts_claimed interrupts_not_ours interrupts_unasked
        operations_started operations_completed operations_timed_out operations_aborted
        dpc_runs liveness_checks results_refused
        dma_started dma_completed dma_timed_out dma_aborted dma_bytes_read dma_bytes_written
        events_lost
    })
}

/// Compares what the driver counted with what was done, when nothing is under way.
///
/// # Errors
/// A sentence about the first disagreement.
pub(super) fn agree(driver: &Statistics, own: &Counts) -> Result<(), String> {
    let right = |kind| *own.right.of(kind);
    let cancelled = |kind| *own.cancelled.of(kind);
    let operations = right(Kind::Factorial) + right(Kind::Raise);
    let transfers = right(Kind::Read) + right(Kind::Write);
    let up_to = |certain: u64, perhaps: u64| certain..=certain.saturating_add(perhaps);
    let bytes = |kind| up_to(*own.right_bytes.of(kind), *own.cancelled_bytes.of(kind));
    let claimed_at_least = driver.operations_completed.max(driver.dma_completed);
    let claimed_at_most = driver
        .operations_completed
        .saturating_add(driver.dma_completed)
        .saturating_add(driver.interrupts_unasked);
    let ended =
        driver.operations_completed + driver.operations_timed_out + driver.operations_aborted;
    let dma_ended = driver.dma_completed + driver.dma_timed_out + driver.dma_aborted;
    let rows: [(&str, u64, RangeInclusive<u64>); 11] = [
        (
            "operations started",
            driver.operations_started,
            ended..=ended,
        ),
        (
            "operations completed",
            driver.operations_completed,
            operations..=operations,
        ),
        ("operations timed out", driver.operations_timed_out, 0..=0),
        (
            "operations aborted",
            driver.operations_aborted,
            up_to(0, cancelled(Kind::Factorial) + cancelled(Kind::Raise)),
        ),
        (
            "liveness checks",
            driver.liveness_checks,
            up_to(right(Kind::Liveness), cancelled(Kind::Liveness)),
        ),
        (
            "transfers started",
            driver.dma_started,
            dma_ended..=dma_ended,
        ),
        (
            "transfers completed",
            driver.dma_completed,
            transfers..=u64::MAX,
        ),
        ("transfers timed out", driver.dma_timed_out, 0..=0),
        ("bytes read", driver.dma_bytes_read, bytes(Kind::Read)),
        (
            "bytes written",
            driver.dma_bytes_written,
            bytes(Kind::Write),
        ),
        (
            "interrupts claimed",
            driver.interrupts_claimed,
            claimed_at_least..=claimed_at_most,
        ),
    ];
    for (what, counted, fits) in rows {
        if !fits.contains(&counted) {
            return Err(format!(
                "the driver has counted {counted} {what}, where {} right: {driver:?}",
                if fits.start() == fits.end() {
                    format!("{} would be", fits.start())
                } else {
                    format!("{} to {} would be", fits.start(), fits.end())
                }
            ));
        }
    }
    Ok(())
}

/// Compares what one who followed the events has seen with the interrupts that the
/// driver had claimed before its last reply, and after it.
///
/// # Errors
/// A sentence when an event is missing, or was made up.
pub(super) fn all_seen(
    follower: &Follower,
    interrupts: &RangeInclusive<u64>,
) -> Result<(), String> {
    if interrupts.contains(&follower.accounted()) {
        return Ok(());
    }
    Err(format!(
        "one who followed the events has {} of them and was told of {} that are lost, where the \
         driver has claimed {} interrupts",
        follower.seen(),
        follower.lost(),
        interrupts.start()
    ))
}

#[cfg(test)]
mod tests {
    use edu_interface::Statistics;

    use super::{agree, all_seen, difference};
    use crate::stress::{
        follower::{Follower, tests::reply},
        mix::Kind,
        tally::Counts,
    };

    fn done() -> (Statistics, Counts) {
        let mut own = Counts::default();
        *own.right.of_mut(Kind::Factorial) = 5;
        *own.right.of_mut(Kind::Raise) = 5;
        *own.right.of_mut(Kind::Liveness) = 2;
        *own.right.of_mut(Kind::Read) = 3;
        *own.right_bytes.of_mut(Kind::Read) = 300;
        *own.cancelled.of_mut(Kind::Raise) = 2;
        *own.cancelled.of_mut(Kind::Write) = 1;
        *own.cancelled_bytes.of_mut(Kind::Write) = 50;
        let driver = Statistics {
            interrupts_claimed: 15,
            interrupts_unasked: 1,
            operations_started: 11,
            operations_completed: 10,
            operations_aborted: 1,
            liveness_checks: 2,
            dma_started: 5,
            dma_completed: 4,
            dma_aborted: 1,
            dma_bytes_read: 300,
            dma_bytes_written: 50,
            ..Statistics::default()
        };
        (driver, own)
    }

    #[test]
    fn a_cancelled_request_may_have_been_done_or_not() {
        let (mut driver, own) = done();
        agree(&driver, &own).unwrap();
        driver.operations_aborted = 0;
        driver.operations_started = 10;
        driver.dma_bytes_written = 0;
        agree(&driver, &own).unwrap();
    }

    #[test]
    fn every_counter_is_compared() {
        type Change = fn(&mut Statistics);
        let changes: [(&str, Change); 11] = [
            ("operations started", |driver| {
                driver.operations_started += 1;
            }),
            ("operations completed", |driver| {
                driver.operations_started += 1;
                driver.operations_completed += 1;
            }),
            ("operations timed out", |driver| {
                driver.operations_started += 1;
                driver.operations_timed_out += 1;
            }),
            ("operations aborted", |driver| {
                driver.operations_started += 2;
                driver.operations_aborted += 2;
            }),
            ("liveness checks", |driver| driver.liveness_checks -= 1),
            ("transfers started", |driver| driver.dma_started -= 1),
            ("transfers completed", |driver| {
                driver.dma_started -= 2;
                driver.dma_completed -= 2;
            }),
            ("transfers timed out", |driver| {
                driver.dma_started += 1;
                driver.dma_timed_out += 1;
            }),
            ("bytes read", |driver| driver.dma_bytes_read += 1),
            ("bytes written", |driver| driver.dma_bytes_written += 1),
            ("interrupts claimed", |driver| {
                driver.interrupts_claimed += 1;
            }),
        ];
        for (what, change) in changes {
            let (mut driver, own) = done();
            change(&mut driver);
            let error = agree(&driver, &own).unwrap_err();
            assert!(error.contains(what), "{what}: {error}");
        }
    }

    #[test]
    fn a_counter_that_falls_is_noticed() {
        let (before, _) = done();
        assert_eq!(difference(&before, &before).unwrap().dma_started, 0);
        let error = difference(&before, &Statistics::default()).unwrap_err();
        assert!(error.contains("something else"), "{error}");
    }

    #[test]
    fn an_event_that_nobody_saw_is_missed() {
        let mut follower = Follower::at(4);
        follower.take(&reply(7, 2, &[6])).unwrap();
        all_seen(&follower, &(3..=3)).unwrap();
        all_seen(&follower, &(2..=4)).unwrap();
        all_seen(&follower, &(4..=4)).unwrap_err();
        all_seen(&follower, &(1..=2)).unwrap_err();
    }
}
