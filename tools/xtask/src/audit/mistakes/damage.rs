//! An image or a PDB that is damaged: whatever is in it, the audit ends, and with a sentence if it
//! cannot say anything.

use std::{
    panic::{self, AssertUnwindSafe},
    thread,
};

use anyhow::{Context as _, ensure};
use fastrand::Rng;

use super::audited;

/// An image or a PDB that ends too early is an error, wherever it ends.
pub(super) fn cut_off(bytes: &[u8], pdb: &[u8]) -> anyhow::Result<String> {
    const PIECES: usize = 24;
    for piece in 0..PIECES {
        let image = &bytes[..bytes.len() * piece / PIECES];
        ensure!(
            audited(image, pdb).is_err(),
            "{} of the image's bytes are taken for all of it",
            image.len()
        );
        let symbols = &pdb[..pdb.len() * piece / PIECES];
        ensure!(
            audited(bytes, symbols).is_err(),
            "{} of the PDB's bytes are taken for all of it",
            symbols.len()
        );
    }
    Ok(format!("in {} places", 2 * PIECES))
}

/// Bits that are turned over at random are found, or change nothing, or make another driver of it;
/// nothing that they do makes the audit panic. Each case is made of its number alone, so one that
/// fails fails again.
pub(super) fn flipped(bytes: &[u8], pdb: &[u8], is_long: bool) -> anyhow::Result<String> {
    let cases: u64 = if is_long { LONG } else { EVERYDAY };
    let workers = thread::available_parallelism()?.get();
    let refused = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers)
            .map(|worker| {
                scope.spawn(move || {
                    let mine = (0..cases).skip(worker).step_by(workers);
                    mine.map(|case| flip(bytes, pdb, case)).sum()
                })
            })
            .collect();
        let mut refused = 0;
        for worker in workers {
            let mine: anyhow::Result<u64> = worker
                .join()
                .map_err(|_| anyhow::anyhow!("a thread of this check panicked"))?;
            refused += mine?;
        }
        anyhow::Ok(refused)
    })?;
    Ok(format!("{refused} of {cases} refused, none a panic"))
}

/// How many are damaged.
const EVERYDAY: u64 = 60;
const LONG: u64 = 1_000;
/// Bits of one.
const BITS: usize = 12;

/// How many of this one were refused: none or one.
fn flip(bytes: &[u8], pdb: &[u8], case: u64) -> anyhow::Result<u64> {
    let mut random = Rng::with_seed(case);
    let (mut image, mut symbols) = (bytes.to_vec(), pdb.to_vec());
    let damaged = if case.is_multiple_of(2) {
        &mut image
    } else {
        &mut symbols
    };
    for _ in 0..BITS {
        // Headers and tables are at the beginning, and few.
        let end = random.choice([4096, damaged.len()]).unwrap_or_default();
        let at = random.usize(..end.min(damaged.len()));
        let byte = damaged.get_mut(at).context("it is empty")?;
        *byte ^= 1 << random.u8(..8);
    }
    match panic::catch_unwind(AssertUnwindSafe(|| audited(&image, &symbols))) {
        Ok(audit) => Ok(audit.is_err().into()),
        Err(_) => Err(anyhow::anyhow!("case {case} made the audit panic")),
    }
}
