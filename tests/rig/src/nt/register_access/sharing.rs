//! Registers that the ISR uses are touched under its lock alone.
//!
//! Some registers are one thing to the device, and to touch one is to touch the others:
//! its [`Part`]s. A part is shared with the ISR as soon as the ISR is seen to touch it, and
//! then whoever touches it holds the ISR's lock. What came before is remembered, so that
//! it does not matter who is first. Who is alone, because no interrupt is connected and
//! active, needs no lock.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::registers::{Part, Register};
use crate::machine::image;
use crate::machine::interrupts::RegisterAccess;
use crate::machine::sync::IrqLock;
use crate::nt::interrupt::exclusion::Exclusion;
use crate::nt::node::Node;
use crate::nt::violation::check_access;

/// Who touched a part.
#[derive(Clone, Copy)]
struct Touch {
    register: &'static Register,
    rip: u64,
}

/// Who has touched a part since the interrupt was connected.
#[derive(Default)]
struct History {
    /// Without a lock, first.
    bare: Option<Touch>,
    /// With a lock, first for each.
    locked: Vec<(usize, Touch)>,
    /// The ISR, first, and its lock.
    isr: Option<(usize, Touch)>,
}

/// The histories, by the device's number and the part.
static HISTORIES: IrqLock<BTreeMap<(u32, Part), History>> = IrqLock::new(BTreeMap::new());

/// What two who touched a part do not have in common.
struct Conflict {
    /// Whoever is not the ISR; `None` if it is the one who comes now.
    other: Option<Touch>,
    /// They have a lock, and it is another one.
    has_lock: bool,
}

impl History {
    /// Notes a touch; what it is in conflict with.
    fn note(&mut self, touch: Touch, exclusion: &Exclusion) -> Option<Conflict> {
        match exclusion {
            Exclusion::Alone => None,
            Exclusion::None => {
                self.bare.get_or_insert(touch);
                self.isr.map(|_| Conflict {
                    other: None,
                    has_lock: false,
                })
            }
            Exclusion::Lock(lock) => {
                self.note_locked(*lock, touch);
                let is_other = self.isr.is_some_and(|(of_isr, _)| of_isr != *lock);
                is_other.then_some(Conflict {
                    other: None,
                    has_lock: true,
                })
            }
            Exclusion::Isr(isr) => {
                let own = isr.lock();
                self.isr.get_or_insert((own, touch));
                self.note_locked(own, touch);
                let bare = self.bare.map(|other| Conflict {
                    other: Some(other),
                    has_lock: false,
                });
                bare.or_else(|| {
                    let (_, other) = self.locked.iter().find(|(lock, _)| *lock != own)?;
                    Some(Conflict {
                        other: Some(*other),
                        has_lock: true,
                    })
                })
            }
        }
    }

    fn note_locked(&mut self, lock: usize, touch: Touch) {
        if self.locked.iter().all(|(known, _)| *known != lock) {
            self.locked.push((lock, touch));
        }
    }
}

/// Checks that whoever touches a register keeps the ISR out, if the ISR uses it too.
pub(super) fn assert_excluded(
    access: &RegisterAccess<'_>,
    node: &Node,
    register: &'static Register,
    exclusion: &Exclusion,
) {
    let (Some(part), false) = (register.part(), matches!(exclusion, Exclusion::Alone)) else {
        return;
    };
    let touch = Touch {
        register,
        rip: access.context.rip,
    };
    let conflict = HISTORIES.with(|histories| {
        let history = histories.entry((node.index(), part)).or_default();
        history.note(touch, exclusion)
    });
    let is_bare = conflict.as_ref().is_some_and(|found| !found.has_lock);
    let is_under_other = conflict.as_ref().is_some_and(|found| found.has_lock);
    let other = conflict.and_then(|found| found.other).unwrap_or(touch);
    check_access!(
        Syn03,
        access,
        !is_bare,
        "The {} was touched at {} while the interrupt was connected, without its lock, and the ISR uses the device's {part:?} registers.",
        other.register,
        image::Location(other.rip)
    );
    check_access!(
        Syn04,
        access,
        !is_under_other,
        "The {} was touched at {} under another lock than that of the ISR that uses the device's {part:?} registers.",
        other.register,
        image::Location(other.rip)
    );
}

/// Forgets who touched a device's registers: its interrupt is being disconnected.
pub(crate) fn forget(node: &Node) {
    HISTORIES.with(|histories| histories.retain(|(device, _), _| *device != node.index()));
}
