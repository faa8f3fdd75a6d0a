//! How a run begins: nearly all begin behind the firmware, in a state that was saved
//! there; one runs the firmware itself, and must not differ.

use anyhow::ensure;
use eductl::{Device, Open, System as _};

use super::{
    List,
    support::{computes, in_rig},
};
use crate::{artifacts::Artifacts, machine::Machine, saved_state};

/// A factorial that the device computes at once, and its time limit in milliseconds.
const N: u32 = 12;
const TIMEOUT_MS: u32 = 10_000;

pub(super) fn add(list: &mut List) {
    list.add("boot/with-the-firmware", with_firmware);
    list.add("boot/in-the-same-state-again", in_the_same_state);
}

fn with_firmware(artifacts: &Artifacts) -> anyhow::Result<()> {
    starts(&Machine::new(artifacts).with_processors(2).with_firmware())
}

/// A state is made once, and used by every run of a machine of that kind.
fn in_the_same_state(artifacts: &Artifacts) -> anyhow::Result<()> {
    let machine = Machine::new(artifacts).with_processors(2);
    starts(&machine)?;
    let state = saved_state::of(&machine)?;
    let made = state.metadata()?.modified()?;
    starts(&machine)?;
    ensure!(
        saved_state::of(&machine)? == state && state.metadata()?.modified()? == made,
        "the state was saved once more"
    );
    let others = [
        machine.clone().with_processors(1),
        machine.clone().with_devices(2),
        machine.with_unplugging(),
    ];
    for other in others {
        ensure!(
            saved_state::of(&other)? != state,
            "another machine would begin in this one's state"
        );
    }
    Ok(())
}

fn starts(machine: &Machine) -> anyhow::Result<()> {
    in_rig(machine, |rig| {
        let handle = rig.open(&Open::read_write(0))?;
        computes(&Device::new(handle.as_ref()), N, TIMEOUT_MS)?;
        handle.close()?;
        Ok(())
    })?;
    Ok(())
}
