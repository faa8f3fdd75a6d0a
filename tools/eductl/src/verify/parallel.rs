//! The same good requests from several threads at once: they meet in the
//! driver's queue, its critical sections and its DPC on different processors.

use std::thread;

use super::{Bench, Check};
use crate::{commands::CommandError, device::DeviceError};

const THREADS: u32 = 8;

const ROUNDS: u32 = 12;

pub(super) fn mixed(bench: &Bench<'_>, check: &mut Check) -> Result<(), CommandError> {
    let outcomes: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || one_thread(bench, thread)))
            .collect();
        workers
            .into_iter()
            .map(|worker| {
                worker.join().unwrap_or_else(|_| {
                    Err(CommandError::WrongAnswer(
                        "a worker thread panicked".to_owned(),
                    ))
                })
            })
            .collect()
    });
    for outcome in outcomes {
        check.merge(outcome?);
    }
    Ok(())
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
