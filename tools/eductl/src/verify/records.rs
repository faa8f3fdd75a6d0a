//! The flight recorder: on, it tells what was done; off, which it is left, nothing.

use std::{
    thread,
    time::{Duration, Instant},
};

use edu_interface::{FACTORIAL, RAISE_INTERRUPT, Record, RecordKind, RecordsHeader, Section};

use super::{Bench, Check, counters::at_least, transfers::random_bytes};
use crate::{
    commands::CommandError,
    device::{BATCH_BYTES, Device, DeviceError, Records},
    stress::Slice,
    transport::Operation,
};

/// How long a record may take that is written when what it is of has ended, which the
/// answer to a request may overtake.
const LIMIT: Duration = Duration::from_secs(20);

/// How long nothing must be recorded until nothing is under way.
const QUIET: Duration = Duration::from_millis(30);

const RAISES: usize = 3;
const FACTORIALS: [u32; 2] = [5, 12];
const TRANSFER: usize = 16;

/// Records that one reply has room for.
const MOST_AT_ONCE: usize = (BATCH_BYTES - size_of::<RecordsHeader>()) / size_of::<Record>();

pub(super) fn records(bench: &Bench<'_>, check: &mut Check) -> Result<(), CommandError> {
    let device = &bench.device;
    device.switch_recorder(false)?;
    let next = quiet(device)?;
    bench.raise(1, check)?;
    let reply = device.read_records(next)?;
    check.equal("whether the recorder is on", &reply.on, &false);
    check.equal(
        "records while the recorder is off",
        &reply.records.len(),
        &0,
    );

    device.switch_recorder(true)?;
    check.equal(
        "whether the recorder is on",
        &device.read_records(next)?.on,
        &true,
    );
    let mut random = bench.random();
    let masks: Vec<u32> = (0..RAISES).map(|_| random.u32(1..)).collect();
    for mask in &masks {
        bench.raise(*mask, check)?;
    }
    for n in FACTORIALS {
        bench.factorial(n, check)?;
    }
    bench.liveness(random.u32(..), check)?;
    let mut held = Slice::unknown(0..TRANSFER);
    bench.write(0, &random_bytes(&mut random, TRANSFER), &mut held, check)?;
    let records = collect(device, next, check)?;
    judge(bench, &masks, &records, check)?;
    device.switch_recorder(false)?;
    let next = quiet(device)?;
    bench.liveness(1, check)?;
    let reply = device.read_records(next)?;
    check.equal(
        "records after it was switched off",
        &reply.records.len(),
        &0,
    );
    Ok(())
}

/// The next record's number, when the last thing has been recorded.
fn quiet(device: &Device<'_>) -> Result<u64, DeviceError> {
    let mut next = latest(device)?;
    let began = Instant::now();
    loop {
        thread::sleep(QUIET);
        let now = latest(device)?;
        // Whoever records all the time is found by what comes next.
        if now == next || began.elapsed() > LIMIT {
            return Ok(now);
        }
        next = now;
    }
}

fn latest(device: &Device<'_>) -> Result<u64, DeviceError> {
    let mut next = 0;
    loop {
        let reply = device.read_records(next)?;
        next = reply.next;
        if reply.records.len() < MOST_AT_ONCE {
            return Ok(next);
        }
    }
}

/// All records from `next` on, when those are there that must be, or never come.
fn collect(
    device: &Device<'_>,
    mut next: u64,
    check: &mut Check,
) -> Result<Vec<Record>, DeviceError> {
    let mut records: Vec<Record> = Vec::new();
    let began = Instant::now();
    loop {
        let reply = device.read_records(next)?;
        if !reply.records.is_empty() || reply.lost > 0 {
            check.record(in_order(&reply, next));
        }
        next = reply.next;
        records.extend(reply.records);
        let last_is_there = of(&records, RecordKind::CustomDpc).next().is_some()
            && of(&records, RecordKind::AdapterControl).next().is_some()
            && sum(&records, RecordKind::DpcForIsr) >= RAISES + FACTORIALS.len()
            && of(&records, RecordKind::StartIo).count() >= RAISES + FACTORIALS.len();
        if last_is_there || began.elapsed() > LIMIT {
            return Ok(records);
        }
        thread::sleep(QUIET);
    }
}

/// Nothing is lost, no number is left out, and no stamp is of a time to come.
fn in_order(reply: &Records, from: u64) -> Result<(), String> {
    if reply.lost != 0 {
        return Err(format!(
            "{} records are lost that were just written",
            reply.lost
        ));
    }
    for (sequence, record) in (from..).zip(&reply.records) {
        if record.sequence != sequence {
            return Err(format!(
                "record {} came where {sequence} was due",
                record.sequence
            ));
        }
        let times = reply.clock.first.stamp..=reply.clock.now.stamp;
        if !times.contains(&record.start) {
            return Err(format!(
                "record {sequence} is of {}, which is not between {} and {}",
                record.start,
                times.start(),
                times.end()
            ));
        }
    }
    Ok(())
}

fn of(records: &[Record], kind: RecordKind) -> impl Iterator<Item = &Record> {
    records
        .iter()
        .filter(move |record| RecordKind::from_value(record.kind) == Some(kind))
}

fn sections(records: &[Record], section: Section) -> usize {
    of(records, RecordKind::CriticalSection)
        .filter(|record| Section::from_value(record.section) == Some(section))
        .count()
}

fn sum(records: &[Record], kind: RecordKind) -> usize {
    of(records, kind).map(|record| record.detail as usize).sum()
}

/// Compares the records with what was done.
fn judge(
    bench: &Bench<'_>,
    masks: &[u32],
    records: &[Record],
    check: &mut Check,
) -> Result<(), DeviceError> {
    let processors = bench.device.identify()?.processors;
    for record in records {
        let is_section = RecordKind::from_value(record.kind) == Some(RecordKind::CriticalSection);
        let makes_sense = RecordKind::from_value(record.kind).is_some()
            && u32::from(record.processor) < processors
            && Section::from_value(record.section).is_some() == is_section;
        check.record(if makes_sense {
            Ok(())
        } else {
            Err(format!("a record makes no sense: {record:?}"))
        });
    }
    let operations = RAISES + FACTORIALS.len();
    let interrupts: Vec<u32> = of(records, RecordKind::Isr)
        .map(|record| record.detail)
        .filter(|causes| *causes != 0)
        .collect();
    check.equal("interrupts recorded", &interrupts.len(), &(operations + 1));
    for (mask, causes) in masks.iter().zip(&interrupts) {
        check.equal("the causes of a recorded interrupt", causes, mask);
    }
    for (code, wanted) in [(RAISE_INTERRUPT, RAISES), (FACTORIAL, FACTORIALS.len())] {
        // In any order: one is recorded when it returns, which the next may overtake.
        let count = of(records, RecordKind::StartIo)
            .filter(|record| record.detail == code.value())
            .count();
        check.equal(
            format_args!("{} recorded in StartIo", Operation::from(code)),
            &count,
            &wanted,
        );
    }
    for (what, got, wanted) in [
        (
            "results that DpcForIsr drained",
            sum(records, RecordKind::DpcForIsr),
            operations,
        ),
        (
            "bytes in AdapterControl",
            sum(records, RecordKind::AdapterControl),
            TRANSFER,
        ),
        (
            "critical sections of StartIo",
            sections(records, Section::StartIo),
            operations,
        ),
    ] {
        check.equal(what, &got, &wanted);
    }
    // The DPCs may also run for those who wait for events, and where the caller's memory is
    // in pieces, the transfer has several ends.
    for (what, got, least) in [
        (
            "critical sections of DpcForIsr",
            sections(records, Section::DpcForIsr),
            operations,
        ),
        (
            "ends of transfers in the CustomDpc",
            sum(records, RecordKind::CustomDpc),
            1,
        ),
        (
            "completions",
            of(records, RecordKind::Completion).count(),
            operations + 1,
        ),
    ] {
        check.record(at_least(what, got as u64, least as u64));
    }
    let failed = of(records, RecordKind::Completion)
        .filter(|record| record.detail != 0)
        .count();
    check.equal("completions that failed", &failed, &0);
    Ok(())
}
