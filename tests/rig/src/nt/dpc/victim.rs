//! DPCs that bad luck may have cost something, for a run that hangs.
//!
//! What an ISR has to say is lost to a driver in error when the DPC that is to hear it was
//! queued already, or has run too early; and what waits for it waits for ever, if nothing
//! queues that DPC again. So only the last time that a DPC was to be queued counts. It is
//! evidence and no proof: something else may have stopped a driver just then.

use alloc::collections::BTreeMap;
use core::ops::Range;

use wdk_sys::PRKDPC;

use crate::machine::sync::IrqLock;
use crate::nt::address;
use crate::nt::mishap::Mishap;

/// What happened when a DPC was to be queued the last time, by its address.
static VICTIMS: IrqLock<BTreeMap<usize, Mishap>> = IrqLock::new(BTreeMap::new());

/// This has happened to a DPC that was to be queued. Any IRQL.
pub(super) fn note(dpc: PRKDPC, mishap: Mishap) {
    VICTIMS.with(|victims| victims.insert(address::of(dpc), mishap));
}

/// A DPC is to be queued once more. Any IRQL.
pub(super) fn forget(dpc: PRKDPC) {
    VICTIMS.with(|victims| victims.remove(&address::of(dpc)));
}

/// Forgets those in memory that goes away.
pub(super) fn forget_within(memory: &Range<usize>) {
    VICTIMS.with(|victims| victims.retain(|dpc, _| !memory.contains(dpc)));
}

/// A DPC that has been a victim and was not queued since, and of what; none when there are
/// several of different things, of which none can be told from the others.
pub(crate) fn find() -> Option<(usize, Mishap)> {
    VICTIMS.with(|victims| {
        let (dpc, mishap) = victims.iter().next()?;
        victims
            .values()
            .all(|other| other == mishap)
            .then_some((*dpc, *mishap))
    })
}
