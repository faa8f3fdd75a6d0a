//! The order in which spin locks are acquired.
//!
//! # Model
//! A graph: an edge leads from each lock that was ever held to each that was acquired
//! meanwhile. While it has no cycle there is an order that all acquisitions follow, and no
//! two processors can wait for each other; an acquisition that would close a cycle ends
//! the run, whether or not anybody waits that time. Interrupt locks and the cancel spin
//! lock take part.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use core::ops::Range;

use crate::machine::sync::IrqLock;
use crate::nt::processor::{self, LockKind};
use crate::nt::violation::check;

/// For each lock, by address, those that were acquired while it was held.
static AFTER: IrqLock<BTreeMap<usize, BTreeSet<usize>>> = IrqLock::new(BTreeMap::new());

/// Notes that this processor is about to acquire a lock, and checks that none of those
/// that it holds was ever acquired inside that one.
pub(crate) fn assert_after_held(lock: usize, kind: LockKind) {
    for held in processor::held().into_iter().flatten() {
        let is_in_order = AFTER.with(|after| {
            let edges = after.entry(held.lock).or_default();
            !edges.insert(lock) || !leads_to(after, lock, held.lock)
        });
        check!(
            Spl03,
            kind,
            is_in_order,
            "The spin lock at {lock:#x} is acquired inside that at {:#x}, which was acquired inside it before.",
            held.lock
        );
    }
}

/// Whether a way leads from one lock to another.
fn leads_to(after: &BTreeMap<usize, BTreeSet<usize>>, from: usize, to: usize) -> bool {
    let mut seen = BTreeSet::from([from]);
    let mut open = vec![from];
    while let Some(lock) = open.pop() {
        if lock == to {
            return true;
        }
        for &next in after.get(&lock).into_iter().flatten() {
            if seen.insert(next) {
                open.push(next);
            }
        }
    }
    false
}

/// Forgets the locks in memory that goes away.
pub(crate) fn forget_within(memory: &Range<usize>) {
    AFTER.with(|after| {
        after.retain(|lock, _| !memory.contains(lock));
        for edges in after.values_mut() {
            edges.retain(|lock| !memory.contains(lock));
        }
    });
}
