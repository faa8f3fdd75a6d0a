//! Waiting for the host where nothing has happened yet: what the firmware does takes
//! longer than most runs of the rig, and is the same in all of them.
//!
//! The host saves the machine while it waits here, and begins runs with what it saved.
//! To the rig a run that begins so is one in which the host took long to answer, except
//! that the functions on the PCI bus are as after power-on where QEMU saves no more of
//! them; those get back what the firmware gave them.

use alloc::vec::Vec;

use crate::machine::fw_cfg;
use crate::machine::log::record;
use crate::machine::pci::{self, Assignment};

/// The file's name.
const FILE: &str = "opt/dirql/hold";
/// What it holds as long as the rig is to wait.
const HOLD: &[u8] = b"hold";

/// Waits for as long as the host says so. Interrupts are disabled, and the heap is there.
pub(crate) fn wait() {
    if !is_asked_for() {
        return;
    }
    let assignments: Vec<_> = pci::endpoints().into_iter().map(Assignment::of).collect();
    record(format_args!("@held"));
    while is_asked_for() {
        core::hint::spin_loop();
    }
    for assignment in &assignments {
        assignment.restore();
    }
}

/// Whether the host wants the rig to wait.
fn is_asked_for() -> bool {
    fw_cfg::file(FILE).is_some_and(|contents| contents == HOLD)
}
