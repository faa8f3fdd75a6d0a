//! What the answers of a measured run say.

use std::{collections::BTreeMap, ops::RangeInclusive};

use anyhow::{Context as _, ensure};
use edu_interface::{Record, RecordKind, RecordsHeader, Section};
use zerocopy::FromBytes as _;

use super::{plan::Recorded, script::Script};
use crate::counted;

/// `STATUS_SUCCESS`, and what a driver says of records that do not exist yet.
const SUCCESS: u32 = 0;
const INVALID_PARAMETER: u32 = 0xc000_000d;

/// An answer, as the rig's log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    /// The time stamp counter.
    stamp: u64,
    status: u32,
    output: Vec<u8>,
}

/// Fills in how much was recorded in each phase.
///
/// # Errors
/// When a request failed, or the log is not what it should be.
pub(super) fn judge(script: &mut Script, log: &[String]) -> anyhow::Result<()> {
    let mut answers = BTreeMap::new();
    for line in counted::lines_of_answers(log) {
        if let Some((number, answer)) = read(line)? {
            let may_fail = script.readings.contains(&number);
            ensure!(
                answer.status == SUCCESS || may_fail && answer.status == INVALID_PARAMETER,
                "a request of the benchmark failed: {line}"
            );
            answers.insert(number, answer);
        }
    }
    let mut records = BTreeMap::new();
    for number in &script.readings {
        let answer = answers
            .get(number)
            .with_context(|| format!("request {number}, for the records, has no answer"))?;
        if answer.status == SUCCESS {
            for record in records_of(&answer.output)? {
                records.insert(record.sequence, record);
            }
        }
    }
    let stamp = |number: u32| {
        answers
            .get(&number)
            .map(|answer| answer.stamp)
            .with_context(|| format!("request {number} has no answer"))
    };
    for recorded in &script.recorded {
        let time = stamp(recorded.before)?..=stamp(recorded.end)?;
        if let Some(phase) = script.phases.get_mut(recorded.phase) {
            phase.recorded = Some(count(records.values(), &time));
        }
    }
    Ok(())
}

/// Records within that time, but for those of the watchdog.
fn count<'a>(records: impl Iterator<Item = &'a Record>, time: &RangeInclusive<u64>) -> Recorded {
    let of_the_watchdog = |record: &Record| {
        record.kind == RecordKind::Timer as u8 || record.section == Section::Timer as u8
    };
    let mut recorded = Recorded::default();
    for record in records {
        if time.contains(&record.start) && !of_the_watchdog(record) {
            recorded.records += 1;
            recorded.places += match RecordKind::from_value(record.kind) {
                // The ISR takes the time for its event anyway; the others take no time.
                Some(RecordKind::Isr | RecordKind::Cancel | RecordKind::Completion) => 1,
                _ => 2,
            };
        }
    }
    recorded
}

/// The records in a reply.
fn records_of(output: &[u8]) -> anyhow::Result<Vec<Record>> {
    let (header, rest) = RecordsHeader::read_from_prefix(output)
        .ok()
        .context("a reply with records has no head")?;
    let mut records = Vec::new();
    let mut rest = rest;
    for _ in 0..header.count {
        let (record, behind) = Record::read_from_prefix(rest)
            .ok()
            .context("a reply has fewer records than it says")?;
        records.push(record);
        rest = behind;
    }
    Ok(records)
}

/// A line of the log: the request's number and its answer; none if it has no status.
fn read(line: &str) -> anyhow::Result<Option<(u32, Answer)>> {
    let parse = || -> Option<Option<(u32, Answer)>> {
        let rest = line.strip_prefix(counted::ANSWER)?;
        let (number, rest) = rest.split_once(" at ")?;
        let (stamp, body) = rest.split_once(": ")?;
        let Some(body) = body.strip_prefix("Completed { status: ") else {
            let has_none = ["Opened", "Report"]
                .iter()
                .any(|answer| body.starts_with(answer));
            return has_none.then_some(None);
        };
        let (status, body) = body.split_once(',')?;
        let (_, output) = body.split_once("output: [")?;
        let (output, _) = output.split_once(']')?;
        let output = output
            .split(", ")
            .filter(|byte| !byte.is_empty())
            .map(str::parse)
            .collect::<Result<Vec<u8>, _>>()
            .ok()?;
        let answer = Answer {
            stamp: stamp.parse().ok()?,
            status: status.parse().ok()?,
            output,
        };
        Some(Some((number.parse().ok()?, answer)))
    };
    parse().with_context(|| format!("an answer in the rig's log cannot be read: {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measured::script::Extent;

    #[test]
    fn answers_are_read() {
        let line =
            "Request 7 at 1234: Completed { status: 3221225485, information: 2, output: [1, 255] }";
        let (number, answer) = read(line).unwrap().unwrap();
        assert_eq!(number, 7);
        assert_eq!(
            answer,
            Answer {
                stamp: 1234,
                status: INVALID_PARAMETER,
                output: vec![1, 255],
            }
        );
        assert_eq!(read("Request 1 at 5: Opened { handle: 1 }").unwrap(), None);
        for line in [
            "Request 7 at 12: Refused { reason: \"no\" }",
            "Request 7 at 12: Completed { status: 0, information: 2, output: [1, 256] }",
            "Request x at 12: Completed { status: 0, information: 2, output: [] }",
        ] {
            let error = read(line).unwrap_err().to_string();
            assert!(error.contains(line), "{error}");
        }
    }

    #[test]
    fn a_request_that_failed_fails_the_run() {
        let mut script = Script::new(Extent::Everything { units: 1 });
        let log = ["Request 9 at 5: Completed { status: 3221225485, information: 0, output: [] }"]
            .map(str::to_owned);
        let error = judge(&mut script, &log).unwrap_err().to_string();
        assert!(error.contains("Request 9"), "{error}");
    }

    #[test]
    fn the_watchdog_and_other_times_are_not_counted() {
        let record = |start, kind: RecordKind, section: u8| Record {
            start,
            kind: kind as u8,
            section,
            ..Record::default()
        };
        let records = [
            record(9, RecordKind::Isr, 0),
            record(10, RecordKind::Isr, 0),
            record(15, RecordKind::Timer, 0),
            record(15, RecordKind::CriticalSection, Section::Timer as u8),
            record(20, RecordKind::CriticalSection, Section::StartIo as u8),
            record(21, RecordKind::Completion, 0),
        ];
        assert_eq!(
            count(records.iter(), &(10..=20)),
            Recorded {
                records: 2,
                places: 3,
            }
        );
    }
}
