//! Every way in which the documentation lets code reach interrupt-shared state: the
//! drivers under `tests/drivers`, each in the rig on one processor and on four.
//!
//! A driver's checks run inside the kernel, one for each control code; see
//! `test-protocol`. All checks of a driver share one boot.

mod basics;
mod bug_checks;
mod controller;
mod dma;
mod dpc;
mod interrupt;
mod leaks;
mod messages;
mod passive;
mod power;
mod queues;
mod timers;
mod waits;

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use eductl::{
    Open, Transport as _,
    rig::{PendingControl, Rig, RigHandle},
};
use test_protocol::{Arguments, Findings, control_code};
use zerocopy::{FromBytes as _, IntoBytes as _};

use super::{List, support::in_rig};
use crate::{artifacts::Artifacts, machine::Machine};

/// One processor, where nothing runs at the same time, and several, where it does.
const PROCESSORS: [u32; 2] = [1, 4];

pub(super) fn add(list: &mut List) {
    basics::add(list);
    bug_checks::add(list);
    controller::add(list);
    dma::add(list);
    dpc::add(list);
    interrupt::add(list);
    leaks::add(list);
    messages::add(list);
    passive::add(list);
    power::add(list);
    queues::add(list);
    timers::add(list);
    waits::add(list);
}

/// Adds the scenario `surface/NAME` for one and for four processors.
fn on_1_and_4(
    list: &mut List,
    name: &'static str,
    case: impl Fn(&Artifacts, u32) -> anyhow::Result<()> + Send + Sync + Copy + 'static,
) {
    for processors in PROCESSORS {
        list.add(format!("surface/{name}/{processors}"), move |artifacts| {
            case(artifacts, processors)
        });
    }
}

/// A machine with the test driver `driver`.
fn machine(artifacts: &Artifacts, driver: &str, processors: u32) -> anyhow::Result<Machine> {
    let driver = artifacts.test_driver(driver)?;
    Ok(Machine::new(artifacts)
        .with_driver(&driver)
        .with_processors(processors))
}

/// Boots `machine`, opens its device and runs `case`; removal and unloading follow,
/// and nothing may be left over.
fn with_device(
    machine: &Machine,
    case: impl FnOnce(&Rig, &Subject) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    in_rig(machine, |rig| {
        let subject = Subject::open(rig, 0)?;
        case(rig, &subject)?;
        subject.close()
    })?;
    Ok(())
}

/// A handle to a test driver's device.
struct Subject {
    handle: RigHandle,
}

impl Subject {
    fn open(rig: &Rig, device: usize) -> anyhow::Result<Self> {
        let handle = rig.open_handle(&Open::read_write(device))?;
        Ok(Self { handle })
    }

    fn close(self) -> anyhow::Result<()> {
        Box::new(self.handle).close()?;
        Ok(())
    }

    /// Runs check `number` and waits for what it finds.
    fn check(&self, number: u32, arguments: &[u64]) -> anyhow::Result<[u64; 8]> {
        self.start(number, arguments)?.wait()
    }

    /// Starts check `number`, whose request may pend.
    fn start(&self, number: u32, arguments: &[u64]) -> anyhow::Result<Running> {
        let mut values = [0; 4];
        ensure!(arguments.len() <= values.len(), "too many arguments");
        for (place, argument) in values.iter_mut().zip(arguments) {
            *place = *argument;
        }
        let request = self.handle.start_control(
            control_code(number),
            Arguments { values }.as_bytes(),
            size_of::<Findings>(),
        )?;
        Ok(Running { number, request })
    }
}

/// A check that runs.
struct Running {
    number: u32,
    request: PendingControl,
}

impl Running {
    /// Whether the check answers within `limit`; the answer is kept.
    fn answers_within(&mut self, limit: Duration) -> bool {
        self.request.answers_within(limit)
    }

    /// The check's figures; where it failed, as an error.
    fn wait(self) -> anyhow::Result<[u64; 8]> {
        let number = self.number;
        let reply = self
            .request
            .wait()
            .with_context(|| format!("check {number}"))?;
        let Ok(findings) = Findings::read_from_bytes(&reply) else {
            bail!("check {number} answered {} bytes", reply.len());
        };
        ensure!(
            findings.failed_line == 0,
            "check {number} failed in line {} of the driver, with status {:#010x}",
            findings.failed_line,
            findings.status
        );
        Ok(findings.values)
    }
}
