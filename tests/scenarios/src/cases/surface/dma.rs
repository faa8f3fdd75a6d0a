//! Row 6: AdapterControl and scatter/gather list routines, common buffers, direct I/O.

use anyhow::{Context as _, ensure};
use eductl::{
    NtStatus,
    rig::{PendingControl, Rig},
};
use rig_protocol::Action;
use test_protocol::{COPY_IN, COPY_OUT, LIST_READ, LIST_WRITE};

use super::{
    super::{
        support::fails_with,
        transfers::{finish_read, pattern, read, write},
    },
    List, Subject, machine, on_1_and_4, with_device,
};
use crate::{artifacts::Artifacts, machine::Machine};

/// Bytes of the device's buffer that the driver lets be reached.
const WHOLE: usize = 4095;

pub(super) fn add(list: &mut List) {
    on_1_and_4(list, "06-adapter-control", adapter_control);
    on_1_and_4(list, "06-one-map-register", one_map_register);
    on_1_and_4(list, "06-scatter-gather", scatter_gather);
    on_1_and_4(list, "06-stop-under-way", stop_under_way);
    on_1_and_4(list, "06-removal-under-way", removal_under_way);
}

fn dma(artifacts: &Artifacts, processors: u32, registers: u32) -> anyhow::Result<Machine> {
    Ok(machine(artifacts, "dma", processors)?
        .with_option(&format!("dma-map-registers={registers}")))
}

/// What the driver counted.
struct Counts {
    packets: u64,
    parts: u64,
    lists: u64,
    pieces: u64,
    waited: u64,
    stopped: u64,
    granted: u64,
}

fn counts(subject: &Subject) -> anyhow::Result<Counts> {
    let [packets, parts, lists, pieces, waited, stopped, granted, _] = subject.check(2, &[])?;
    Ok(Counts {
        packets,
        parts,
        lists,
        pieces,
        waited,
        stopped,
        granted,
    })
}

/// Reads and writes by AdapterControl, the common buffer, and the processor's copies.
fn adapter_control(artifacts: &Artifacts, processors: u32) -> anyhow::Result<()> {
    with_device(&dma(artifacts, processors, 8)?, |_, subject| {
        let data = pattern(1, WHOLE);
        write(&subject.handle, 0, &data)?;
        ensure!(
            read(&subject.handle, 0, WHOLE)? == data,
            "the device gave back something else than was written to it"
        );
        let seen = counts(subject)?;
        ensure!(
            (seen.packets, seen.parts) == (2, 4),
            "{} requests took {} parts: a full buffer takes two each",
            seen.packets,
            seen.parts
        );
        // A part in the middle, and several requests that line up.
        let middle = pattern(2, 100);
        write(&subject.handle, 1000, &middle)?;
        let pending = [(1000, 100), (999, 1), (1100, 50)].map(|(offset, length)| {
            subject
                .handle
                .start_read(offset, length)
                .map(|one| (one, offset, length))
        });
        let mut expected = data;
        expected
            .get_mut(1000..1100)
            .context("the buffer is longer")?
            .copy_from_slice(&middle);
        for one in pending {
            let (one, offset, length) = one?;
            let offset = usize::try_from(offset)?;
            ensure!(
                finish_read(one, length)?
                    == expected.get(offset..offset + length).context("inside")?,
                "the bytes at {offset} are not those that were written"
            );
        }
        empty_and_wrong(subject)?;
        copies(subject)?;
        subject.check(1, &[])?;
        subject.check(3, &[])?;
        Ok(())
    })
}

/// Requests with an empty buffer succeed with nothing; what is not inside the device's
/// buffer is refused.
fn empty_and_wrong(subject: &Subject) -> anyhow::Result<()> {
    write(&subject.handle, 0, &[])?;
    read(&subject.handle, 4095, 0)?;
    for code in [LIST_WRITE, LIST_READ] {
        let (done, _) = subject
            .handle
            .start_direct_control(code, &0_u32.to_le_bytes(), &[])?
            .wait_transfer()?;
        ensure!(done == 0, "an empty buffer transferred {done} bytes");
    }
    for (offset, length) in [(4095, 1), (0, 4096), (u64::MAX, 1)] {
        let answer = subject.handle.start_read(offset, length)?.wait_transfer();
        ensure!(
            answer.is_err(),
            "a read of {length} bytes at {offset} should have been refused"
        );
    }
    Ok(())
}

/// The processor copies from and to a locked buffer.
fn copies(subject: &Subject) -> anyhow::Result<()> {
    let data = pattern(3, 3000);
    let sum = data.iter().fold(0_u32, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u32::from(*byte))
    });
    let (copied, _) = subject
        .handle
        .start_direct_control(COPY_IN, &sum.to_le_bytes(), &data)?
        .wait_transfer()?;
    ensure!(copied == 3000, "{copied} of 3000 bytes were added up");
    let (copied, output) = subject
        .handle
        .start_direct_control(COPY_OUT, &7_u32.to_le_bytes(), &[0; 500])?
        .wait_transfer()?;
    let row: Vec<u8> = (7..507_u32).map(|value| value.to_le_bytes()[0]).collect();
    ensure!(
        copied == 500 && output == row,
        "the row that the driver copied is not the one that came"
    );
    Ok(())
}

/// A single map register: each transfer ends where a page of the buffer does.
fn one_map_register(artifacts: &Artifacts, processors: u32) -> anyhow::Result<()> {
    with_device(&dma(artifacts, processors, 1)?, |_, subject| {
        let data = pattern(4, 3000);
        write(&subject.handle, 50, &data)?;
        ensure!(
            read(&subject.handle, 50, data.len())? == data,
            "the device gave back something else than was written to it"
        );
        let through_lists = list(subject, LIST_READ, 50, &vec![0; data.len()])?;
        ensure!(
            through_lists == data,
            "the lists brought something else than was written"
        );
        let seen = counts(subject)?;
        ensure!(
            seen.granted == 1,
            "{} map registers were granted",
            seen.granted
        );
        ensure!(
            seen.parts >= 4 && seen.lists >= 1 && seen.pieces == seen.lists,
            "{} parts, and {} lists with {} pieces: with one map register there is one of each              for each page",
            seen.parts,
            seen.lists,
            seen.pieces
        );
        Ok(())
    })
}

/// A control request by lists; what came for the caller.
fn list(subject: &Subject, code: u32, position: u32, buffer: &[u8]) -> anyhow::Result<Vec<u8>> {
    finish_list(start_list(subject, code, position, buffer)?, buffer.len())
}

fn start_list(
    subject: &Subject,
    code: u32,
    position: u32,
    buffer: &[u8],
) -> anyhow::Result<PendingControl> {
    Ok(subject
        .handle
        .start_direct_control(code, &position.to_le_bytes(), buffer)?)
}

fn finish_list(pending: PendingControl, length: usize) -> anyhow::Result<Vec<u8>> {
    let (done, output) = pending.wait_transfer()?;
    ensure!(
        done == length as u64,
        "{done} of {length} bytes were transferred"
    );
    Ok(output)
}

/// Scatter/gather lists, many at once, beside reads by the channel.
fn scatter_gather(artifacts: &Artifacts, processors: u32) -> anyhow::Result<()> {
    const MANY: u32 = 8;
    const LENGTH: usize = 500;
    with_device(&dma(artifacts, processors, 4)?, |_, subject| {
        let data = pattern(5, WHOLE);
        list(subject, LIST_WRITE, 0, &data)?;
        let seen = counts(subject)?;
        ensure!(
            seen.lists == 1 && seen.pieces >= 2,
            "{} lists with {} pieces: a buffer that begins inside a page has two",
            seen.lists,
            seen.pieces
        );
        ensure!(
            list(subject, LIST_READ, 0, &vec![0; WHOLE])? == data,
            "the device gave back something else than was written to it"
        );
        // More than there are map registers for: some wait for those, others for the engine.
        let pieces: Vec<Vec<u8>> = (0..MANY)
            .map(|number| pattern(10 + number, LENGTH))
            .collect();
        let mut pending = Vec::new();
        for (piece, position) in pieces.iter().zip((0_u32..).step_by(LENGTH)) {
            pending.push(start_list(subject, LIST_WRITE, position, piece)?);
        }
        for one in pending {
            finish_list(one, LENGTH)?;
        }
        let written = pieces.concat();
        ensure!(
            read(&subject.handle, 0, written.len())? == written,
            "requests that lined up mixed their bytes"
        );
        let seen = counts(subject)?;
        ensure!(
            seen.waited >= 1,
            "{} jobs waited for the engine: nothing lined up",
            seen.waited
        );
        Ok(())
    })
}

/// The device is stopped with transfers under way: a packet starts anew, and a control
/// request may fail. Tried until a stop finds one under way.
fn stop_under_way(artifacts: &Artifacts, processors: u32) -> anyhow::Result<()> {
    const ATTEMPTS: u32 = 20;
    with_device(&dma(artifacts, processors, 1)?, |rig, subject| {
        for attempt in 0..ATTEMPTS {
            let data = pattern(100 + attempt, WHOLE);
            let parts = counts(subject)?.parts;
            let writing = subject.handle.start_write(0, &data)?;
            while counts(subject)?.parts == parts {}
            let listing = start_list(subject, LIST_READ, 0, &[0; 64])?;
            rig.pnp(0, Action::Stop)?;
            match listing.wait_transfer() {
                // It was done before.
                Ok(_) => {}
                stopped => fails_with(
                    "a control request whose device is stopped",
                    stopped,
                    &[NtStatus::DEVICE_NOT_READY],
                )?,
            }
            rig.pnp(0, Action::Start)?;
            let (written, _) = writing.wait_transfer()?;
            ensure!(
                written == WHOLE as u64,
                "{written} bytes were written after the restart"
            );
            ensure!(
                read(&subject.handle, 0, WHOLE)? == data,
                "the device gave back something else than was written to it"
            );
            if counts(subject)?.stopped >= 1 {
                return Ok(());
            }
        }
        anyhow::bail!("no stop in {ATTEMPTS} found a transfer under way")
    })
}

/// The device is gone with transfers under way: all of them fail.
fn removal_under_way(artifacts: &Artifacts, processors: u32) -> anyhow::Result<()> {
    with_device(&dma(artifacts, processors, 2)?, |rig: &Rig, subject| {
        let writing = subject.handle.start_write(0, &pattern(8, WHOLE))?;
        let reading = subject.handle.start_read(0, 100)?;
        let listing = start_list(subject, LIST_READ, 0, &[0; 700])?;
        rig.pnp(0, Action::SurpriseRemoval)?;
        for (what, pending) in [("write", writing), ("read", reading), ("list", listing)] {
            ensure!(
                pending.wait_transfer().is_err(),
                "the {what} should have failed with its device"
            );
        }
        Ok(())
    })
}
