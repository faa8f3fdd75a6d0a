//! What an ISR does with an interrupt that is not its device's.
//!
//! It returns FALSE and does nothing else. That it queues no DPC then is looked at around
//! every call. That it does not claim what is not its own shows on a line alone: a message
//! is no other device's. Nor is it the device's own when all that it reads as is ones: then it
//! is gone, and holds no line.

use core::sync::atomic::{AtomicU32, Ordering};

use rig_protocol::IrqKind;

use crate::machine::cpu::{self, MAX_PROCESSORS};
use crate::nt::callout::Callback;
use crate::nt::interrupt::{Connection, Occasion};
use crate::nt::register_access::absence;
use crate::nt::violation::check;

/// How often in a row an ISR must claim the interrupt of a device that has no cause. Once may
/// be right: the cause came between the executive's look and the ISR's. But nobody programs
/// the device while the ISR has the lock, so what it still does can explain fewer than these.
const CLAIMS: u32 = 4;

/// How often a processor's ISR has queued a DPC; the ISR's that runs there now.
static REQUESTS: [AtomicU32; MAX_PROCESSORS] = [const { AtomicU32::new(0) }; MAX_PROCESSORS];

/// The driver queues a DPC. Any IRQL.
pub(crate) fn note_dpc() {
    if let Some(requests) = REQUESTS.get(cpu::current_processor()) {
        requests.fetch_add(1, Ordering::Relaxed);
    }
}

/// Calls an ISR at DIRQL, where it stays on its processor; whether it claimed the interrupt,
/// and how often it queued a DPC.
fn counted(call: &impl Fn() -> bool) -> (bool, u32) {
    let Some(requests) = REQUESTS.get(cpu::current_processor()) else {
        return (call(), 0);
    };
    // It may have interrupted another one, of a lower IRQL.
    let outer = requests.swap(0, Ordering::Relaxed);
    let claimed = call();
    (claimed, requests.swap(outer, Ordering::Relaxed))
}

impl Connection {
    /// Calls the ISR, whose lock is held, and checks what it makes of an interrupt that is not
    /// its device's; the device had these causes before.
    pub(super) fn judged(
        &self,
        occasion: Occasion,
        causes: Option<u32>,
        call: impl Fn() -> bool,
    ) -> bool {
        if occasion == Occasion::Connecting {
            return call();
        }
        let is_line = self.node.interrupt().kind == IrqKind::Intx;
        let was_absent = absence::is_absent(&self.node);
        let (claimed, requests) = if self.is_passive() {
            // A thread, which a processor may leave for another.
            (call(), 0)
        } else {
            counted(&call)
        };
        check!(
            Int08,
            Callback::Isr,
            claimed || requests == 0,
            "The ISR of device {} returned FALSE and queued a DPC.",
            self.node.index()
        );
        if is_line {
            check!(
                Pnp15,
                Callback::Isr,
                !(claimed && was_absent),
                "The ISR claimed an interrupt of device {}, whose registers read as all ones.",
                self.node.index()
            );
            let is_unfounded = claimed
                && causes == Some(0)
                && (1..CLAIMS).all(|_| self.node.causes() == Some(0) && call());
            check!(
                Int08,
                Callback::Isr,
                !is_unfounded,
                "The ISR claimed {CLAIMS} interrupts in a row that device {} did not cause.",
                self.node.index()
            );
        }
        claimed
    }
}
