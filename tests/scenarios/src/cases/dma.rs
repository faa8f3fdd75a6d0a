//! Reads and writes of edu.sys's device: every byte comes back, whatever else is going on.

mod interrupted;

use std::thread;

use anyhow::{Context as _, ensure};
use edu_interface::DEVICE_BUFFER_BYTES;
use eductl::{
    Device, NtStatus, Open,
    rig::{Rig, RigHandle},
};

use super::{
    List,
    pending::LONG_MS,
    support::{computes, fails_with, in_rig},
    transfers::{finish_read, finish_write, pattern, read, write},
};
use crate::machine::{Interrupts, Machine};

/// All of the device's buffer that can be reached.
const WHOLE: usize = DEVICE_BUFFER_BYTES as usize;

pub(super) fn add(list: &mut List) {
    interrupted::add(list);
    for (processors, interrupts) in [
        (1, Interrupts::Msi),
        (2, Interrupts::Intx),
        (4, Interrupts::Msi),
        (4, Interrupts::Intx),
    ] {
        list.add(
            format!("dma/reads-and-writes/{processors}-processors-{interrupts}"),
            move |artifacts| {
                let machine = Machine::new(artifacts)
                    .with_processors(processors)
                    .with_interrupts(interrupts);
                reads_and_writes(&machine)
            },
        );
    }
}

fn reads_and_writes(machine: &Machine) -> anyhow::Result<()> {
    in_rig(machine, |rig| {
        let handle = rig.open_handle(&Open::read_write(0))?;
        let transfers = round_trips(&handle)?;
        let counted = Device::new(&handle).statistics()?;
        ensure!(
            (counted.dma_started, counted.dma_completed) == (transfers, transfers)
                && counted.dma_timed_out + counted.dma_aborted == 0,
            "{transfers} reads and writes of one transfer each, but: {counted:?}"
        );
        outside(&handle)?;
        let after = Device::new(&handle).statistics()?;
        ensure!(
            after.dma_started == counted.dma_started,
            "a request that is refused started a transfer"
        );
        both_engines(rig, &handle)
    })?;
    Ok(())
}

/// Writes parts of the buffer and reads parts of it; how many transfers that took.
fn round_trips(handle: &RigHandle) -> anyhow::Result<u64> {
    const PARTS: [(usize, usize); 8] = [
        (0, 1),
        (WHOLE - 1, 1),
        (1, WHOLE - 1),
        (0, WHOLE - 1),
        (WHOLE - 2, 2),
        (511, 1026),
        (2047, 3),
        (0, WHOLE),
    ];
    let mut expected = pattern(1, WHOLE);
    write(handle, 0, &expected)?;
    let mut transfers = 1;
    for (seed, (offset, length)) in (2..).zip(PARTS) {
        let data = pattern(seed, length);
        write(handle, offset as u64, &data)?;
        expected
            .get_mut(offset..offset + length)
            .context("the part is inside")?
            .copy_from_slice(&data);
        // Two at once, which line up.
        let again = handle.start_read(offset as u64, length)?;
        let rest = handle.start_read(0, WHOLE)?;
        ensure!(
            finish_read(again, length)? == data,
            "what was read at {offset} is not what was written"
        );
        ensure!(
            finish_read(rest, WHOLE)? == expected,
            "after {length} bytes were written at {offset} the buffer is not what it should be"
        );
        transfers += 3;
    }
    Ok(transfers)
}

/// What is not inside the buffer is refused, and nothing of it is done.
fn outside(handle: &RigHandle) -> anyhow::Result<()> {
    const WRONG: NtStatus = NtStatus::INVALID_PARAMETER;
    const END: NtStatus = NtStatus::END_OF_FILE;
    let whole = u64::from(DEVICE_BUFFER_BYTES);
    for (offset, length, reading) in [
        (0, WHOLE + 1, WRONG),
        (7, WHOLE + 1, WRONG),
        (whole - 1, 2, WRONG),
        (1, WHOLE, WRONG),
        (whole, 1, END),
        (whole, 4096, END),
        (1 << 32, 1, END),
        (i64::MAX as u64, 1, END),
        // Negative, as a LARGE_INTEGER; what asks Windows to write at the end, and where the
        // last one ended.
        (u64::MAX, 1, WRONG),
        (u64::MAX - 1, 1, WRONG),
    ] {
        let what = format!("{length} bytes at {offset:#x}");
        fails_with(
            &format!("reading {what}"),
            handle.start_read(offset, length)?.wait_transfer(),
            &[reading],
        )?;
        fails_with(
            &format!("writing {what}"),
            handle
                .start_write(offset, &vec![0xa5; length])?
                .wait_transfer(),
            &[WRONG],
        )?;
    }
    for offset in [0, 1, whole, u64::MAX] {
        finish_read(handle.start_read(offset, 0)?, 0)?;
        finish_write(handle.start_write(offset, &[])?, 0)?;
    }
    Ok(())
}

/// Factorials and interrupts, that of DMA too, beside transfers: each has its own result,
/// and they do work at the same time.
fn both_engines(rig: &Rig, handle: &RigHandle) -> anyhow::Result<()> {
    const TRANSFERS: u32 = 8;
    let device = Device::new(handle);
    let before = device.statistics()?;
    let operations = thread::scope(|scope| {
        let copies = scope.spawn(|| {
            (0..TRANSFERS).try_for_each(|seed| {
                let data = pattern(100 + seed, WHOLE);
                write(handle, 0, &data)?;
                ensure!(
                    read(handle, 0, WHOLE)? == data,
                    "the device gave back something else than was written to it"
                );
                anyhow::Ok(())
            })
        });
        let mut operations = 0;
        while !copies.is_finished() {
            computes(&device, operations % 40, LONG_MS)?;
            let mask = 0x100 | operations;
            let causes = device.raise(mask, LONG_MS)?;
            ensure!(
                causes & mask == mask,
                "raised {mask:#x}, and the ISR read {causes:#x}"
            );
            operations += 1;
        }
        copies.join().ok().context("a thread panicked")??;
        anyhow::Ok(operations)
    })?;
    let after = device.statistics()?;
    let transfers = after.dma_completed - before.dma_completed;
    ensure!(
        transfers == u64::from(2 * TRANSFERS),
        "{transfers} transfers instead of {}",
        2 * TRANSFERS
    );
    // A transfer takes a tenth of a second. With one engine at a time there would be at most
    // one factorial and one raise for each.
    ensure!(
        operations > 4 * TRANSFERS,
        "{operations} operations beside {transfers} transfers: the engines wait for each other"
    );
    let violations = rig.report()?.violations;
    ensure!(violations == 0, "{violations} violations");
    Ok(())
}
