//! A thread of a run: keeps its lanes busy, and looks after those that have ended.

use std::{thread, time::Duration};

use fastrand::Rng;

use super::{
    lane::Lane,
    mix::{ByKind, Kind},
    run::Run,
    slice::Slice,
};
use crate::{commands::CommandError, transport::Transport};

/// How long a thread whose lanes all wait looks at one of them.
const LOOK: Duration = Duration::from_millis(1);

/// Keeps one lane for each of `slices` busy until the run is over, and ends all that is
/// under way then.
pub(super) fn work(
    run: &Run<'_>,
    transport: &dyn Transport,
    slices: Vec<Slice>,
    random: &mut Rng,
) -> Result<(), CommandError> {
    let mut lanes: Vec<_> = slices.into_iter().map(Lane::new).collect();
    let mut at = 0;
    while !run.is_over() {
        let mut waits = true;
        for index in 0..lanes.len() {
            lanes[index].cancel_in_time()?;
            if lanes[index].kind().is_none() {
                let under_way = under_way(&lanes);
                if let Some(kind) = run.plan.mix.choose(random, &under_way, lanes.len()) {
                    lanes[index].start(transport, kind, run.plan.cancel_percent, random)?;
                }
            }
            waits &= !lanes[index].ends_within(Duration::ZERO, &run.tally)?;
        }
        if waits {
            at = (at + 1) % lanes.len();
            if lanes[at].kind().is_some() {
                lanes[at].ends_within(LOOK, &run.tally)?;
            } else {
                thread::sleep(LOOK);
            }
        }
    }
    for lane in &mut lanes {
        // Nothing may happen any more that one who waits for events waits for.
        if run.has_failed() || lane.kind() == Some(Kind::Events) {
            lane.cancel()?;
        }
    }
    lanes.iter_mut().try_for_each(|lane| lane.take(&run.tally))
}

fn under_way(lanes: &[Lane<'_>]) -> ByKind<usize> {
    let mut under_way = ByKind::default();
    for kind in lanes.iter().filter_map(Lane::kind) {
        *under_way.of_mut(kind) += 1;
    }
    under_way
}
