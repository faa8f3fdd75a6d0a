//! The life of a device under a driver of which nothing else is known: what the PnP
//! manager and the power manager send to every device, in the orders that they may.

use anyhow::Context as _;
use rig_protocol::{Action, Resources};

use crate::running::Running;

/// What happens to a device, in turn.
const LIFE: &[(&str, Action)] = &[
    ("every request that changes no state", Action::Ask),
    ("a stop that is called off", Action::QueryStopAndCancel),
    ("stop", Action::Stop),
    ("start", Action::Start),
    ("stop", Action::Stop),
    (
        "start with other resources",
        Action::StartWith(Resources::Moved),
    ),
    ("a removal that is called off", Action::QueryRemoveAndCancel),
    ("the device sleeps", Action::DeviceSleep),
    ("the device wakes up", Action::DeviceWake),
    ("the machine sleeps", Action::Sleep),
    ("the machine wakes up", Action::Wake),
    ("removal", Action::Remove),
    ("added and started again", Action::Start),
    ("surprise removal", Action::SurpriseRemoval),
];

/// Takes all devices of a rig through it; `say` is told before each step what follows.
///
/// # Errors
/// When the driver refuses what it may not refuse. A broken rule ends the rig instead.
pub(crate) fn run(running: &Running, devices: u32, say: impl Fn(&str)) -> anyhow::Result<()> {
    let rig = running.connect()?;
    for device in 0..devices {
        for (what, action) in LIFE {
            say(&format!("device {device}: {what}"));
            rig.pnp(device, *action)
                .with_context(|| format!("device {device}: {what}"))?;
        }
    }
    Ok(())
}
