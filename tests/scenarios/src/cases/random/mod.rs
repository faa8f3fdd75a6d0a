//! Requests by chance at the shipped driver, from several threads and handles at once: control
//! codes of all methods, lengths, bytes, reads and writes anywhere, major functions that it
//! does not have, cancellations, handles that are closed with requests under way.
//!
//! Each answer is judged by a second opinion on what the request is worth
//! (`fuzz::requests::documented`): what is in order must be done, and rightly; everything
//! else must be refused with the status that the documentation names.

mod draw;
mod judge;
mod lane;

use std::{fmt, thread};

use anyhow::{Context as _, ensure};
use eductl::{NtStatus, rig::Rig, verify};

use lane::Lane;
pub(crate) use lane::Totals;

use super::{
    List,
    support::{in_rig, passed},
};
use crate::{
    artifacts::Artifacts,
    machine::{Interrupts, Machine},
};

/// Threads that send requests.
const LANES: u64 = 4;
/// Bytes of the device's buffer that each lane has for itself.
const REGION: usize = 96;
/// Requests of a scenario.
const EVERYDAY: u64 = 2_500;
/// The seed of a scenario.
const SEED: u64 = 6;
/// Processors.
const PROCESSORS: u32 = 4;

pub(super) fn add(list: &mut List) {
    for interrupts in [Interrupts::Msi, Interrupts::Intx] {
        list.add(
            format!("random/{PROCESSORS}-processors-{interrupts}"),
            move |artifacts| everyday(artifacts, interrupts),
        );
    }
}

fn everyday(artifacts: &Artifacts, interrupts: Interrupts) -> anyhow::Result<()> {
    let machine = Machine::new(artifacts)
        .with_processors(PROCESSORS)
        .with_interrupts(interrupts);
    in_rig(&machine, |rig| {
        let totals = run(rig, EVERYDAY, SEED)?;
        println!("{totals}");
        Ok(())
    })?;
    Ok(())
}

/// Sends requests of `seed` to the first device until `count` have come to the driver, which
/// must keep all its promises afterwards.
///
/// # Errors
/// When an answer is wrong, none comes, or the rig has stopped.
pub(crate) fn run(rig: &Rig, count: u64, seed: u64) -> anyhow::Result<Totals> {
    let before = rig.report()?;
    let lanes: Vec<anyhow::Result<Totals>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..LANES)
            .map(|number| scope.spawn(move || lane(rig, number, count, seed)))
            .collect();
        let ended = threads.into_iter().map(|thread| {
            let panicked = || Err(anyhow::anyhow!("a thread of this program panicked"));
            thread.join().unwrap_or_else(|_| panicked())
        });
        ended.collect()
    });
    let mut totals = Totals::default();
    for lane in lanes {
        totals.add(&lane?);
    }
    let after = rig.report()?;
    ensure!(
        after.device_controls - before.device_controls == totals.device_controls,
        "{} control requests were sent to the driver, and the rig counted {}",
        totals.device_controls,
        after.device_controls - before.device_controls
    );
    passed(&verify::run(rig, 0)?)?;
    Ok(totals)
}

/// One thread's share.
fn lane(rig: &Rig, number: u64, count: u64, seed: u64) -> anyhow::Result<Totals> {
    let share = count / LANES + u64::from(number < count % LANES);
    let begin = u64::try_from(REGION)? * number;
    // Neighbouring seeds have nothing in common.
    let seed = seed.wrapping_mul(LANES).wrapping_add(number);
    Lane::new(rig, seed, (begin, REGION))?
        .run(share)
        .with_context(|| format!("in lane {number} of seed {seed}"))
}

impl fmt::Display for Totals {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} requests by chance, of which {} came to the driver, {} of them control requests; {} \
             cancellations:",
            self.sent, self.to_driver, self.device_controls, self.cancellations
        )?;
        for (status, count) in &self.statuses {
            match status.0 {
                0 => write!(formatter, " {count} done,")?,
                status => write!(formatter, " {count} {},", NtStatus(status))?,
            }
        }
        formatter.write_str(" every one as it should be")
    }
}
