//! The flight recorder: its records are what the rig and the driver have counted.

mod recording;

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use edu_interface::{
    DEVICE_BUFFER_BYTES, READ_RECORDS, Record, RecordKind, RecorderRequest, RecordsHeader,
    RecordsRequest, SWITCH_RECORDER, Section,
};
use eductl::{
    Device, NtStatus, Open, Transport as _,
    rig::{Rig, RigHandle},
};
use rig_protocol::Request;
use zerocopy::IntoBytes as _;

use super::{
    List,
    pending::{LONG_MS, start_factorial, started},
    support::{fails_with, in_rig},
    transfers::{pattern, read, write},
};
use crate::machine::{Interrupts, Machine};
use recording::{Recording, read_all};

/// Threads that raise interrupts at the same time, and how many each.
const THREADS: u32 = 4;
const EACH: u32 = 25;
/// Records that the driver keeps.
const KEPT: u64 = 2_048;
const LIMIT: Duration = Duration::from_secs(20);

pub(super) fn add(list: &mut List) {
    for (processors, interrupts) in [
        (1, Interrupts::Msi),
        (4, Interrupts::Msi),
        (2, Interrupts::Intx),
    ] {
        list.add(
            format!("recorder/{processors}-processors-{interrupts}"),
            move |artifacts| {
                let machine = Machine::new(artifacts)
                    .with_processors(processors)
                    .with_interrupts(interrupts);
                in_rig(&machine, |rig| {
                    let handle = rig.open_handle(&Open::read_write(0))?;
                    off_records_nothing(rig, &handle)?;
                    everything_is_recorded(rig, &handle, processors)?;
                    refused(rig, &handle)?;
                    overrun(rig, &handle)?;
                    switched_under_load(rig, &handle)?;
                    cancelled(rig, &handle)?;
                    Box::new(handle).close()?;
                    Ok(())
                })?;
                Ok(())
            },
        );
    }
}

/// Switches the recorder off, and lets what is under way come to its end: it is recorded still.
fn switch_off(device: &Device<'_>) -> anyhow::Result<()> {
    device.switch_recorder(false)?;
    thread::sleep(Duration::from_millis(50));
    Ok(())
}

/// Raises interrupts from several threads; how many.
fn raise(rig: &Rig, each: u32) -> anyhow::Result<u64> {
    let handles: Vec<RigHandle> = (0..THREADS)
        .map(|_| rig.open_handle(&Open::read_write(0)))
        .collect::<Result<_, _>>()?;
    raise_on(&handles, each)?;
    for handle in handles {
        Box::new(handle).close()?;
    }
    Ok(u64::from(THREADS * each))
}

fn raise_on(handles: &[RigHandle], each: u32) -> anyhow::Result<()> {
    thread::scope(|scope| {
        let threads: Vec<_> = handles
            .iter()
            .map(|handle| {
                scope.spawn(move || -> anyhow::Result<()> {
                    for _ in 0..each {
                        let causes = Device::new(handle).raise(0x2, LONG_MS)?;
                        ensure!(causes == 0x2, "raised {causes:#x}");
                    }
                    Ok(())
                })
            })
            .collect();
        for thread in threads {
            thread.join().ok().context("a thread panicked")??;
        }
        Ok(())
    })
}

fn off_records_nothing(rig: &Rig, handle: &RigHandle) -> anyhow::Result<()> {
    let device = Device::new(handle);
    let before = device.read_records(0)?;
    raise(rig, EACH)?;
    let after = device.read_records(0)?;
    ensure!(
        !after.on && after.records.is_empty() && (before.next, after.next, after.lost) == (0, 0, 0),
        "a recorder that was never on has recorded: {after:?}"
    );
    Ok(())
}

/// Compares a recording, read while it is made, with what rig and driver have counted.
fn everything_is_recorded(rig: &Rig, handle: &RigHandle, processors: u32) -> anyhow::Result<()> {
    let device = Device::new(handle);
    let handles: Vec<RigHandle> = (0..THREADS)
        .map(|_| rig.open_handle(&Open::read_write(0)))
        .collect::<Result<_, _>>()?;
    let counted = device.statistics()?;
    let outside = rig.report()?;
    device.switch_recorder(true)?;
    let inside = rig.report()?;

    let done = AtomicBool::new(false);
    let (worked, recording) = thread::scope(|scope| {
        let reader = scope.spawn(|| Recording::of(handle, 0, &done));
        let worked = work(&handles);
        done.store(true, Ordering::Release);
        (worked, reader.join())
    });
    let requests = worked?;
    let mut recording = recording.ok().context("the reader panicked")??;

    let inside_end = rig.report()?;
    switch_off(&device)?;
    let outside_end = rig.report()?;
    let counted_end = device.statistics()?;
    recording.read_on(handle)?;
    for handle in handles {
        Box::new(handle).close()?;
    }

    recording.is_whole(processors)?;
    // The request that switched it on is one of those whose end is recorded.
    recording.has(
        "completions",
        RecordKind::Completion,
        1 + requests + recording.reads,
    )?;
    let refused = recording.count(|record| {
        record.kind == RecordKind::Completion as u8
            && record.detail == NtStatus::INVALID_PARAMETER.0
    });
    ensure!(
        refused == 1,
        "one request was refused, and {refused} are recorded"
    );
    let claimed = counted_end.interrupts_claimed - counted.interrupts_claimed;
    let not_ours = counted_end.interrupts_not_ours - counted.interrupts_not_ours;
    recording.has("calls of the ISR", RecordKind::Isr, claimed + not_ours)?;
    let others =
        recording.count(|record| record.kind == RecordKind::Isr as u8 && record.detail == 0);
    ensure!(
        others == not_ours,
        "{not_ours} interrupts of others, and {others} are recorded"
    );
    for (processor, (after, before)) in outside_end
        .isr_calls_by_processor
        .iter()
        .zip(outside.isr_calls_by_processor)
        .enumerate()
    {
        let recorded = recording.count(|record| {
            record.kind == RecordKind::Isr as u8 && usize::from(record.processor) == processor
        });
        ensure!(
            recorded == after - before,
            "processor {processor} had {} calls of the ISR, and {recorded} are recorded",
            after - before
        );
    }
    let started = counted_end.operations_started - counted.operations_started;
    recording.has("StartIo", RecordKind::StartIo, started)?;
    let completed = counted_end.operations_completed - counted.operations_completed;
    ensure!(
        recording.sum(RecordKind::DpcForIsr) == completed,
        "{completed} operations, but DpcForIsr drained {}",
        recording.sum(RecordKind::DpcForIsr)
    );
    let transfers = counted_end.dma_completed - counted.dma_completed;
    recording.has("AdapterControl", RecordKind::AdapterControl, transfers)?;
    ensure!(
        recording.sum(RecordKind::AdapterControl) == transfers * u64::from(DEVICE_BUFFER_BYTES)
            && recording.sum(RecordKind::CustomDpc) == transfers,
        "{transfers} transfers of the whole buffer are recorded otherwise"
    );
    recording.has_some(RecordKind::Timer)?;
    // The watchdog ticks while the recorder is switched, so there are two bounds, a few apart.
    let sections = recording.count(|record| record.kind == RecordKind::CriticalSection as u8);
    let least = inside_end.critical_sections - inside.critical_sections;
    let most = outside_end.critical_sections - outside.critical_sections;
    ensure!(
        (least..=most).contains(&sections),
        "the rig saw {least} to {most} critical sections, and {sections} are recorded"
    );
    recording.sections_exclude_each_other()
}

/// Has both engines work; how many requests that took.
fn work(handles: &[RigHandle]) -> anyhow::Result<u64> {
    let (first, _) = handles.split_first().context("there are handles")?;
    raise_on(handles, EACH)?;
    let device = Device::new(first);
    for value in 0..3 {
        ensure!(device.liveness(value)? == !value, "the device is not alive");
    }
    let data = pattern(7, DEVICE_BUFFER_BYTES as usize);
    write(first, 0, &data)?;
    ensure!(
        read(first, 0, data.len())? == data,
        "the device's buffer holds something else"
    );
    fails_with(
        "a raise of nothing",
        device.raise(0, LONG_MS),
        &[NtStatus::INVALID_PARAMETER],
    )?;
    Ok(u64::from(THREADS * EACH) + 3 + 2 + 1)
}

/// Requests that must be refused change nothing.
fn refused(rig: &Rig, handle: &RigHandle) -> anyhow::Result<()> {
    let device = Device::new(handle);
    let next = read_all(handle, 0)?.next;
    let switch = |on: u32| handle.device_io_control(SWITCH_RECORDER.value(), on.as_bytes(), 0);
    for on in [2, u32::MAX] {
        fails_with(
            "a switch that is no switch",
            switch(on),
            &[NtStatus::INVALID_PARAMETER],
        )?;
    }
    fails_with(
        "a short switch",
        handle.device_io_control(SWITCH_RECORDER.value(), &[1; 3], 0),
        &[NtStatus::INFO_LENGTH_MISMATCH],
    )?;
    let shortest = size_of::<RecordsHeader>() + size_of::<Record>();
    let read = |after: u64, input: usize, output: usize| {
        let request = RecordsRequest { after };
        let input = request.as_bytes().get(..input).unwrap_or_default();
        handle.device_io_control(READ_RECORDS.value(), input, output)
    };
    fails_with(
        "a short request",
        read(0, 7, shortest),
        &[NtStatus::INFO_LENGTH_MISMATCH],
    )?;
    fails_with(
        "no room for a record",
        read(0, 8, shortest - 1),
        &[NtStatus::BUFFER_TOO_SMALL],
    )?;
    for ahead in [next + 1, u64::MAX] {
        fails_with(
            "records to come",
            read(ahead, 8, shortest),
            &[NtStatus::INVALID_PARAMETER],
        )?;
    }
    ensure!(
        read(0, 8, shortest)?.len() == shortest,
        "the shortest reply does not hold one record"
    );
    let reader = rig.open_handle(&Open {
        write: false,
        ..Open::read_write(0)
    })?;
    let on = RecorderRequest { on: 1 };
    fails_with(
        "a switch through a handle for reading",
        reader.device_io_control(SWITCH_RECORDER.value(), on.as_bytes(), 0),
        &[NtStatus::ACCESS_DENIED],
    )?;
    ensure!(
        Device::new(&reader).read_records(next)?.next == next,
        "something was recorded"
    );
    Box::new(reader).close()?;
    let after = device.read_records(next)?;
    ensure!(
        !after.on && after.next == next,
        "a refused request has changed something: {after:?}"
    );
    Ok(())
}

/// More records than are kept: the oldest are lost, each is counted, the others are there.
fn overrun(rig: &Rig, handle: &RigHandle) -> anyhow::Result<()> {
    let device = Device::new(handle);
    let begin = read_all(handle, 0)?.next;
    device.switch_recorder(true)?;
    // Each makes six records at least: StartIo and its section, the ISR, the DPC and its
    // section, the completion.
    raise(rig, 120)?;
    switch_off(&device)?;
    let recording = read_all(handle, begin)?;
    let written = recording.next - begin;
    ensure!(
        written >= 2_880,
        "480 operations made {written} records only"
    );
    ensure!(
        recording.records.len() as u64 == KEPT && recording.lost == written - KEPT,
        "of {written} records {} are there and {} lost; {KEPT} are kept",
        recording.records.len(),
        recording.lost
    );
    let consecutive = recording.records.iter().map(|record| record.sequence);
    ensure!(
        consecutive.eq(recording.next - KEPT..recording.next),
        "the last {KEPT} records are not those that are there"
    );
    recording.sections_exclude_each_other()
}

/// The recorder is switched while everything happens: nothing else notices, and what is read
/// meanwhile is whole.
fn switched_under_load(rig: &Rig, handle: &RigHandle) -> anyhow::Result<()> {
    let device = Device::new(handle);
    let begin = read_all(handle, 0)?.next;
    let processors = rig.hello().processors;
    let done = AtomicBool::new(false);
    let (raised, recording, switched) = thread::scope(|scope| {
        let reader = scope.spawn(|| Recording::of(handle, begin, &done));
        let switcher = scope.spawn(|| -> anyhow::Result<()> {
            loop {
                device.switch_recorder(true)?;
                // So that something is recorded, however slow the others are.
                device.raise(0x2, LONG_MS)?;
                switch_off(&device)?;
                if done.load(Ordering::Acquire) {
                    return Ok(());
                }
            }
        });
        let raised = raise(rig, EACH);
        done.store(true, Ordering::Release);
        (raised, reader.join(), switcher.join())
    });
    raised?;
    switched.ok().context("the switcher panicked")??;
    let mut recording = recording.ok().context("the reader panicked")??;
    switch_off(&device)?;
    recording.read_on(handle)?;
    recording.is_well_formed(processors)?;
    recording.sections_exclude_each_other()?;
    ensure!(
        !recording.records.is_empty(),
        "switched on many times, and nothing is recorded"
    );
    raise(rig, 2)?;
    let after = device.read_records(recording.next)?;
    ensure!(
        after.next == recording.next,
        "a recorder that is off again has recorded: {after:?}"
    );
    Ok(())
}

/// A request that is cancelled while the device works on it.
fn cancelled(rig: &Rig, handle: &RigHandle) -> anyhow::Result<()> {
    let device = Device::new(handle);
    let begin = read_all(handle, 0)?.next;
    let started_before = device.statistics()?.operations_started;
    device.switch_recorder(true)?;
    let pending = start_factorial(handle, u32::MAX)?;
    started(&device, started_before + 1)?;
    let number = pending.number();
    rig.send(Request::Cancel { number })?.wait(LIMIT)?;
    fails_with(
        "a cancelled factorial",
        pending.wait(),
        &[NtStatus::CANCELLED],
    )?;
    switch_off(&device)?;
    let recording = read_all(handle, begin)?;
    recording.has("cancellations", RecordKind::Cancel, 1)?;
    let cancelled = recording.count(|record| {
        record.kind == RecordKind::Completion as u8 && record.detail == NtStatus::CANCELLED.0
    });
    let sections = recording.count(|record| record.section == Section::Cancel as u8);
    ensure!(
        cancelled == 1 && sections >= 1,
        "one request was cancelled; recorded are {cancelled} completions and {sections} sections"
    );
    Ok(())
}
