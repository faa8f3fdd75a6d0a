//! Which threads are inside a DispatchPower routine, and with which IRP.
//!
//! A dispatch routine that waits for its own power IRP may wait for ever: who would
//! complete it can be waiting for this thread.

use alloc::vec::Vec;

use crate::machine::sync::IrqLock;
use crate::nt::address;
use crate::nt::irp::Irp;
use crate::nt::power::MAJOR;
use crate::nt::routine::Routine;
use crate::nt::thread::{self, ThreadRef};
use crate::nt::violation::check;

/// A thread, by its address, and the IRP whose dispatch routine it is in.
struct Entry {
    thread: usize,
    irp: Irp,
}

static INSIDE: IrqLock<Vec<Entry>> = IrqLock::new(Vec::new());

fn key(thread: ThreadRef) -> usize {
    address::of(core::ptr::from_ref(thread))
}

/// Runs `dispatch`, which calls a dispatch routine with this IRP.
pub(crate) fn inside<R>(irp: &Irp, dispatch: impl FnOnce() -> R) -> R {
    if irp.major() != MAJOR {
        return dispatch();
    }
    // A thread stays itself while it is in a call, on whatever processor.
    let thread = key(thread::current());
    INSIDE.with(|inside| {
        inside.push(Entry {
            thread,
            irp: irp.clone(),
        });
    });
    let result = dispatch();
    INSIDE.with(|inside| {
        let last = inside.iter().rposition(|entry| entry.thread == thread);
        if let Some(last) = last {
            inside.remove(last);
        }
    });
    result
}

/// A driver begins a wait without a limit: not for a power IRP that it has sent on from
/// the dispatch routine that this thread is in.
pub(crate) fn assert_may_wait(routine: Routine) {
    let thread = key(thread::current());
    let own = INSIDE.with(|inside| {
        let mut own = inside.iter().filter(|entry| entry.thread == thread);
        own.find(|entry| entry.irp.progress(|progress| progress.is_under_way_below()))
            .map(|entry| entry.irp.clone())
    });
    check!(
        Pwr02,
        routine,
        own.is_none(),
        "A DispatchPower routine waits without a limit after it has sent its IRP {} on.",
        own.map_or_else(Default::default, |irp| alloc::string::ToString::to_string(
            &irp
        ))
    );
}
