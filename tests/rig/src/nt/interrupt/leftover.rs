//! What an ISR has left of what its device had to say, after a message.
//!
//! A device sends a message for each event, and messages may be merged: the one that came
//! can stand for several events. So an ISR that serves one event for each message leaves
//! the others, and no message will come for them. A line would come in again at once.

use alloc::collections::BTreeMap;
use core::sync::atomic::{AtomicU32, Ordering};

use rig_protocol::IrqKind;

use crate::machine::sync::IrqLock;
use crate::nt::callout::Callback;
use crate::nt::interrupt::Connection;
use crate::nt::node;
use crate::nt::patience::Patience;
use crate::nt::violation::check;

/// How long the driver has for it otherwise, say in its DPC, when no interrupt comes, in
/// milliseconds.
const LIMIT: u64 = 2_000;
/// Clock interrupts of processor 0 between two looks.
const INTERVAL: u32 = 256;

/// Causes that were there before an ISR and after it, and what began when it returned.
#[derive(Clone, Copy)]
struct Left {
    causes: u32,
    since: Patience,
}

/// What was left, by the device's number.
static LEFT: IrqLock<BTreeMap<u32, Left>> = IrqLock::new(BTreeMap::new());

/// An ISR has claimed a message; its device had these causes before.
pub(super) fn look(connection: &Connection, before: Option<u32>) {
    let node = &connection.node;
    if node.interrupt().kind == IrqKind::Intx {
        return;
    }
    let causes = before.unwrap_or(0) & node.causes().unwrap_or(0);
    LEFT.with(|left| {
        if causes == 0 {
            left.remove(&node.index());
        } else {
            let since = Patience::begin();
            left.insert(node.index(), Left { causes, since });
        }
    });
}

/// Looks whether what was left is there still. Processor 0's clock.
pub(super) fn clock() {
    static TICKS: AtomicU32 = AtomicU32::new(0);
    if !TICKS
        .fetch_add(1, Ordering::Relaxed)
        .is_multiple_of(INTERVAL)
    {
        return;
    }
    let all = LEFT.with(|left| left.clone());
    for (index, left) in all {
        let causes = node::by_index(index).and_then(|node| node.causes());
        let causes = causes.unwrap_or(0) & left.causes;
        if causes == 0 {
            LEFT.with(|left| left.remove(&index));
            continue;
        }
        check!(
            Int10,
            Callback::Isr,
            !left.since.has_lasted(LIMIT),
            "The ISR of device {index} left the causes {causes:#x}, which it had when its message came, and no message has come since."
        );
    }
}
