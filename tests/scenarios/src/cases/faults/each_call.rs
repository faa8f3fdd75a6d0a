//! Each call that may fail, of those that a driver makes in a life, fails once.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, ensure};
use eductl::{NtStatus, rig::Rig, verify};
use rig_protocol::{Calls, Reply, Request};

use super::life::{Life, is_well};
use crate::{
    cases::support::{in_rig, passed},
    machine::Machine,
};

const LIMIT: Duration = Duration::from_secs(30);
/// More calls than a life can make.
const MANY: u32 = 400;

/// How that may show: what failed says so, and if it was the start, the device is gone.
const MAY_FAIL: [NtStatus; 3] = [
    NtStatus::INSUFFICIENT_RESOURCES,
    NtStatus::DELETE_PENDING,
    NtStatus::NO_SUCH_DEVICE,
];

/// Routines that a life calls, and that this test must therefore have seen fail.
const IN_EACH_LIFE: [&str; 6] = [
    "PoRequestPowerIrp",
    "MmMapIoSpaceEx",
    "IoGetDmaAdapter",
    "IoConnectInterruptEx",
    "IoForwardIrpSynchronously",
    "pci.sys",
];

/// Has the call with this number fail, of those that count from now on; the routine whose call has
/// failed before.
pub(in crate::cases) fn fail_call(rig: &Rig, call: u32, calls: Calls) -> anyhow::Result<String> {
    match rig.send(Request::FailCall { call, calls })?.wait(LIMIT)? {
        Reply::Completed { output, .. } => Ok(String::from_utf8(output)?),
        other => anyhow::bail!("the rig answered with {other:?}"),
    }
}

pub(super) fn fails(machine: &Machine) -> anyhow::Result<()> {
    in_rig(machine, |rig| {
        let mut failed = BTreeMap::<String, u32>::new();
        for call in 1.. {
            ensure!(
                call < MANY,
                "a life makes {MANY} calls that may fail, or more"
            );
            match live_with(rig, call)? {
                Some(routine) => *failed.entry(routine).or_default() += 1,
                None => break,
            }
        }
        println!("calls that failed: {failed:?}");
        for routine in IN_EACH_LIFE {
            ensure!(
                failed.contains_key(routine),
                "no call of {routine} has failed, but of {failed:?}"
            );
        }
        passed(&verify::run(rig, 0)?)
    })?;
    Ok(())
}

/// A life in which this call fails; the routine, if there were so many calls. The device
/// is well afterwards.
fn live_with(rig: &Rig, call: u32) -> anyhow::Result<Option<String>> {
    ensure!(fail_call(rig, call, Calls::Any)?.is_empty());
    let life = Life {
        rig,
        may_fail: &MAY_FAIL,
    };
    let lived = life.live(call);
    let routine = fail_call(rig, 0, Calls::Any)?;
    lived
        .and_then(|()| is_well(rig))
        .with_context(|| format!("call {call} of a life failed, of {routine}"))?;
    Ok((!routine.is_empty()).then_some(routine))
}
