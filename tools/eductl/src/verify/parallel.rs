//! The same good requests from several threads at once: they meet in the
//! driver's queue, its critical sections and its DPC on different processors.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use edu_interface::DEVICE_BUFFER_BYTES;
use fastrand::Rng;

use super::{Bench, Check, transfers::random_bytes};
use crate::{
    commands::CommandError,
    device::DeviceError,
    stress::{Slice, contains},
};

const THREADS: u32 = 8;

const ROUNDS: u32 = 12;

/// Threads that transfer while others have the device interrupt.
const TRANSFERRING: usize = 2;

/// Writes and reads of each of these.
const TRANSFERS: usize = 3;

/// Threads that have the device interrupt meanwhile.
const INTERRUPTING: u32 = 2;

pub(super) fn mixed(bench: &Bench<'_>, check: &mut Check) -> Result<(), CommandError> {
    let outcomes: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || one_thread(bench, thread)))
            .collect();
        workers.into_iter().map(joined).collect()
    });
    for outcome in outcomes {
        check.merge(outcome?);
    }
    Ok(())
}

/// Transfers on one engine, and operations on the other for as long as they take.
pub(super) fn both_engines(bench: &Bench<'_>, check: &mut Check) -> Result<(), CommandError> {
    let size = DEVICE_BUFFER_BYTES as usize;
    let (is_over, operations) = (&AtomicBool::new(false), &AtomicU64::new(0));
    let outcomes: Vec<_> = thread::scope(|scope| {
        let interrupting: Vec<_> = (0..INTERRUPTING)
            .map(|_| {
                let random = bench.random();
                scope.spawn(move || interrupt(bench, random, is_over, operations))
            })
            .collect();
        let transferring: Vec<_> = Slice::cut(size, TRANSFERRING)
            .map(|slice| {
                let random = bench.random();
                scope.spawn(move || transfer(bench, random, slice))
            })
            .collect();
        let transferred: Vec<_> = transferring.into_iter().map(joined).collect();
        is_over.store(true, Ordering::Release);
        let interrupted = interrupting.into_iter().map(joined);
        transferred.into_iter().chain(interrupted).collect()
    });
    for outcome in outcomes {
        check.merge(outcome?);
    }
    check.record(match operations.load(Ordering::Relaxed) {
        0 => Err("no operation ended while transfers were under way".to_owned()),
        _ => Ok(()),
    });
    Ok(())
}

fn joined(
    worker: thread::ScopedJoinHandle<'_, Result<Check, CommandError>>,
) -> Result<Check, CommandError> {
    worker.join().unwrap_or_else(|_| {
        Err(CommandError::WrongAnswer(
            "a worker thread panicked".to_owned(),
        ))
    })
}

/// Writes and reads parts of its slice.
fn transfer(bench: &Bench<'_>, mut random: Rng, mut held: Slice) -> Result<Check, CommandError> {
    let mut check = Check::new("one thread");
    for _ in 0..TRANSFERS {
        let range = held.choose(&mut random);
        let data = random_bytes(&mut random, range.len());
        bench.write(range.start, &data, &mut held, &mut check)?;
        bench.read(range, &mut held, &mut check)?;
    }
    Ok(check)
}

/// Factorials and raised interrupts, until the transfers are over. The causes that the
/// ISR read may be both engines'.
fn interrupt(
    bench: &Bench<'_>,
    mut random: Rng,
    is_over: &AtomicBool,
    operations: &AtomicU64,
) -> Result<Check, CommandError> {
    let mut check = Check::new("one thread");
    while !is_over.load(Ordering::Acquire) {
        bench.factorial(random.u32(0..40), &mut check)?;
        let mask = random.u32(1..);
        let causes = bench.device.raise(mask, 0)?;
        bench.tally.count_operation();
        check.record(contains(mask, causes));
        operations.fetch_add(1, Ordering::Relaxed);
    }
    Ok(check)
}

fn one_thread(bench: &Bench<'_>, thread: u32) -> Result<Check, CommandError> {
    let mut check = Check::new("one thread");
    for round in 0..ROUNDS {
        request(bench, thread, round, &mut check)?;
    }
    Ok(check)
}

/// Every thread asks for something else at the same time, and for its own value.
fn request(
    bench: &Bench<'_>,
    thread: u32,
    round: u32,
    check: &mut Check,
) -> Result<(), DeviceError> {
    let value = thread * ROUNDS + round;
    match (thread + round) % 3 {
        0 => bench.factorial(value % 40, check),
        1 => bench.raise(1 << (value % u32::BITS), check),
        _ => bench.liveness(value.wrapping_mul(0x9e37_79b9), check),
    }
}
