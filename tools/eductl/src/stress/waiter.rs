//! One who follows the events through a whole run and must miss none.

use std::time::{Duration, Instant};

use super::{follower::Follower, lane::is_cancelled, run::Run};
use crate::{commands::CommandError, device::Device, transport::Transport};

/// How long one who waits goes without a look at whether the run is over.
const LOOK: Duration = Duration::from_millis(20);

/// How long an event may take when its operation has long been completed.
const LIMIT: Duration = Duration::from_secs(20);

/// Follows the events of a run until all interrupts are accounted for that it caused.
pub(super) fn wait(
    run: &Run<'_>,
    transport: &dyn Transport,
    mut follower: Follower,
) -> Result<Follower, CommandError> {
    let device = Device::new(transport);
    let mut over = None;
    let mut is_last = false;
    while !is_last {
        let mut pending = device.start_wait_events(follower.after())?;
        while !is_last && !pending.ends_within(LOOK) {
            is_last = run.has_failed()
                || run.interrupts().is_some_and(|interrupts| {
                    let since = *over.get_or_insert_with(Instant::now);
                    // Those that are missing then are found by who compares the counters.
                    follower.accounted() >= interrupts || since.elapsed() > LIMIT
                });
        }
        if is_last {
            pending.cancel()?;
        }
        match pending.wait() {
            Ok(events) => follower.take(&events).map_err(CommandError::WrongAnswer)?,
            Err(error) if is_last && is_cancelled(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(follower)
}
