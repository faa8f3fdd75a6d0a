//! Requests by chance at the shipped driver, on four processors, with messages and with a line.

use crate::{
    build, command,
    test::counting::{Failure, Tally},
    toolchain::host_cargo,
    workspace::Workspace,
};

/// Requests, with each kind of interrupt.
const REQUESTS: &str = "100000";
/// Their seed.
const SEED: &str = "6";

/// Sends them all, twice.
pub(super) fn run(workspace: &Workspace) -> anyhow::Result<Tally> {
    build::all()?;
    let mut tally = Tally::default();
    for interrupts in ["msi", "intx"] {
        let options = [
            "--smp", "4", "--irq", interrupts, "--random", REQUESTS, "--seed", SEED,
        ];
        let mut cargo = host_cargo(workspace);
        cargo
            .args(["run", "--quiet", "--package", "scenarios"])
            .args(["--bin", "rig-run", "--"])
            .args(options);
        match command::run(&mut cargo) {
            Ok(()) => tally.add(Tally::one()),
            Err(error) => tally.failures.push(Failure {
                what: format!("fuzz: {REQUESTS} requests by chance with {interrupts}: {error:#}"),
                rerun: format!("cargo xtask rig {}", options.join(" ")),
            }),
        }
    }
    Ok(tally)
}
