//! What a run that makes no progress says before it ends.

use core::fmt;

use crate::nt::violation::fatal;
use crate::nt::{dpc, node, start_io, thread, timer, work_item};

/// What is not over after so long never will be.
pub(crate) const HANG_100NS: u64 = 90 * 10_000_000;

/// Ends the run because something takes for ever, after writing what there is to
/// know about who waits for what. Any IRQL.
pub(crate) fn hang(routine: &str, text: fmt::Arguments<'_>) -> ! {
    node::describe();
    start_io::describe();
    timer::describe();
    dpc::describe();
    work_item::describe();
    thread::describe();
    fatal("HANG", routine, text)
}
