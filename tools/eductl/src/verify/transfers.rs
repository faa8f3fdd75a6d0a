//! Transfers: what was written is what is read, everywhere in the device's buffer, and
//! what does not fit is refused and changes nothing.

use std::ops::Range;

use edu_interface::DEVICE_BUFFER_BYTES;
use fastrand::Rng;

use super::{Bench, Check, bad_requests::changing_nothing};
use crate::{
    commands::CommandError,
    device::DeviceError,
    status::NtStatus,
    stress::Slice,
    transport::{Open, Operation},
};

/// Bytes that can be reached.
const SIZE: usize = DEVICE_BUFFER_BYTES as usize;

/// Where a range begins or ends another way than elsewhere.
const EDGES: [Range<usize>; 5] = [0..1, SIZE - 1..SIZE, 0..SIZE - 1, 1..SIZE, 7..8];

/// Transfers of chosen lengths at chosen offsets beside those at the edges.
const RANDOM: usize = 3;

impl Bench<'_> {
    /// One write: asked, counted, remembered.
    pub(super) fn write(
        &self,
        offset: usize,
        data: &[u8],
        held: &mut Slice,
        check: &mut Check,
    ) -> Result<(), DeviceError> {
        let written = self.device.transport().write_at(offset as u64, data)?;
        self.tally.count_write(written);
        held.written(offset, data);
        check.equal(
            Operation::Write(offset as u64, data.len()),
            &written,
            &data.len(),
        );
        Ok(())
    }

    /// One read: asked, counted, judged.
    pub(super) fn read(
        &self,
        range: Range<usize>,
        held: &mut Slice,
        check: &mut Check,
    ) -> Result<(), DeviceError> {
        let offset = range.start;
        let data = self
            .device
            .transport()
            .read_at(offset as u64, range.len())?;
        self.tally.count_read(data.len());
        check.equal(
            Operation::Read(offset as u64, range.len()),
            &data.len(),
            &range.len(),
        );
        check.record(held.read(offset, &data));
        Ok(())
    }
}

pub(super) fn random_bytes(random: &mut Rng, length: usize) -> Vec<u8> {
    let mut data = vec![0; length];
    random.fill(&mut data);
    data
}

/// Random data, the whole buffer, at its edges and anywhere in it.
pub(super) fn round_trips(bench: &Bench<'_>, check: &mut Check) -> Result<(), CommandError> {
    let mut random = bench.random();
    let mut held = Slice::unknown(0..SIZE);
    bench.write(0, &random_bytes(&mut random, SIZE), &mut held, check)?;
    bench.read(0..SIZE, &mut held, check)?;
    let anywhere: Vec<_> = (0..RANDOM).map(|_| held.choose(&mut random)).collect();
    for range in EDGES.into_iter().chain(anywhere) {
        bench.write(
            range.start,
            &random_bytes(&mut random, range.len()),
            &mut held,
            check,
        )?;
    }
    bench.read(0..SIZE, &mut held, check)?;
    for range in [0..1, SIZE - 1..SIZE, held.choose(&mut random)] {
        bench.read(range, &mut held, check)?;
    }
    // Nothing is to be done, and nothing is done.
    let before = bench.device.statistics()?;
    bench.write(0, &[], &mut held, check)?;
    bench.read(0..0, &mut held, check)?;
    let after = bench.device.statistics()?;
    check.equal(
        "transfers started for no bytes",
        &(after.dma_started - before.dma_started),
        &0,
    );
    Ok(())
}

/// Reads and writes of which a part, or all, is outside.
pub(super) fn bounds(bench: &Bench<'_>, check: &mut Check) -> Result<(), CommandError> {
    const END: u64 = DEVICE_BUFFER_BYTES as u64;
    let transport = bench.device.transport();
    let mut random = bench.random();
    let mut held = Slice::unknown(0..SIZE);
    bench.write(0, &random_bytes(&mut random, SIZE), &mut held, check)?;
    changing_nothing(bench, check, |check| {
        for offset in [END, END + 1, 1 << 20, 1 << 31, 1 << 32, 1 << 62] {
            let operation = Operation::Read(offset, 1);
            check.refused(
                operation,
                transport.read_at(offset, 1),
                NtStatus::END_OF_FILE,
            )?;
        }
        for (offset, length) in [(0, SIZE + 1), (1, SIZE), (END - 1, 2), (END - 1, SIZE)] {
            let operation = Operation::Read(offset, length);
            let answer = transport.read_at(offset, length);
            check.refused(operation, answer, NtStatus::INVALID_PARAMETER)?;
        }
        for (offset, length) in [
            (0, SIZE + 1),
            (1, SIZE),
            (END - 1, 2),
            (END, 1),
            (END + 1, SIZE),
            (1 << 31, 1),
            (1 << 32, 1),
            (1 << 62, 1),
        ] {
            let operation = Operation::Write(offset, length);
            let answer = transport.write_at(offset, &random_bytes(&mut random, length));
            check.refused(operation, answer, NtStatus::INVALID_PARAMETER)?;
        }
        wrong_access(bench, check)
    })?;
    bench.read(0..SIZE, &mut held, check)?;
    Ok(())
}

/// Handles that were opened for the other direction.
fn wrong_access(bench: &Bench<'_>, check: &mut Check) -> Result<(), DeviceError> {
    let open = |read, write| {
        bench.system.open(&Open {
            device: bench.number,
            read,
            write,
            trailing_name: "",
        })
    };
    let readable = open(true, false)?;
    check.refused(
        "writing on a handle for reading only",
        readable.write_at(0, &[0]),
        NtStatus::ACCESS_DENIED,
    )?;
    readable.close()?;
    let writable = open(false, true)?;
    check.refused(
        "reading on a handle for writing only",
        writable.read_at(0, 1),
        NtStatus::ACCESS_DENIED,
    )?;
    writable.close()?;
    Ok(())
}
