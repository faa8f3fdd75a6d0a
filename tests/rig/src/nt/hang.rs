//! What a run that makes no progress says before it ends.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::nt::violation::{fatal, violation};
use crate::nt::{cancel_watch, dpc, mishap, node, start_io, thread, timer, work_item};

/// Units of 100 ns in a second.
const SECOND: u64 = 10_000_000;

static LIMIT_100NS: AtomicU64 = AtomicU64::new(90 * SECOND);

/// What is not over after so long never will be.
pub(crate) fn limit_100ns() -> u64 {
    LIMIT_100NS.load(Ordering::Relaxed)
}

/// [`limit_100ns`], in seconds.
pub(crate) fn limit_seconds() -> u64 {
    limit_100ns() / SECOND
}

/// Has less patience, or more: with a hang, and with an IRP that was cancelled.
pub(crate) fn set_limit_seconds(seconds: u64) {
    let limit = seconds.saturating_mul(SECOND);
    LIMIT_100NS.store(limit, Ordering::Relaxed);
    cancel_watch::set_limit_100ns(limit);
}

/// Ends the run because something takes for ever, after writing what there is to
/// know about who waits for what. Any IRQL.
pub(crate) fn hang(routine: &str, text: fmt::Arguments<'_>) -> ! {
    node::describe();
    start_io::describe();
    timer::describe();
    dpc::describe();
    work_item::describe();
    thread::describe();
    let mishaps = mishap::describe();
    if let Some((victim, mishap)) = dpc::victim::find() {
        violation(
            mishap.rule(),
            routine,
            format_args!(
                "{text} {mishap} has happened to the DPC at {victim:#x}, which was not queued since: what its ISR had to say then may be what is missing.{mishaps}"
            ),
        );
    }
    fatal("HANG", routine, format_args!("{text}{mishaps}"))
}
