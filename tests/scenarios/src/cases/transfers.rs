//! Reads and writes of a device's buffer.

use std::time::{Duration, Instant};

use anyhow::ensure;
use eductl::{
    Device,
    rig::{PendingControl, RigHandle},
};

/// How long a transfer may take to be started.
const LIMIT: Duration = Duration::from_secs(20);

/// Bytes that no other seed gives, and in which no byte stays for long.
pub(super) fn pattern(seed: u32, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .collect()
}

/// A write that must transfer everything.
pub(super) fn write(handle: &RigHandle, offset: u64, data: &[u8]) -> anyhow::Result<()> {
    finish_write(handle.start_write(offset, data)?, data.len())
}

/// The end of a write that must transfer everything.
pub(super) fn finish_write(pending: PendingControl, length: usize) -> anyhow::Result<()> {
    let (written, output) = pending.wait_transfer()?;
    ensure!(
        written == length as u64 && output.is_empty(),
        "{written} of {length} bytes were written"
    );
    Ok(())
}

/// A read that must transfer everything.
pub(super) fn read(handle: &RigHandle, offset: u64, length: usize) -> anyhow::Result<Vec<u8>> {
    finish_read(handle.start_read(offset, length)?, length)
}

/// The end of a read that must transfer everything.
pub(super) fn finish_read(pending: PendingControl, length: usize) -> anyhow::Result<Vec<u8>> {
    let (read, output) = pending.wait_transfer()?;
    ensure!(
        read == length as u64 && output.len() == length,
        "{read} of {length} bytes were read"
    );
    Ok(output)
}

/// Waits until the driver has started `count` transfers.
pub(super) fn started(device: &Device<'_>, count: u64) -> anyhow::Result<()> {
    let began = Instant::now();
    while device.statistics()?.dma_started < count {
        ensure!(began.elapsed() < LIMIT, "transfer {count} never began");
    }
    Ok(())
}
