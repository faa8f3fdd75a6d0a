//! The machine's options on a command line, the same for every program here.

use clap::Args;

use crate::{
    artifacts::Artifacts,
    machine::{Interrupts, Machine},
};

/// The seed of a run that names none.
const DEFAULT_SEED: u64 = 1;

/// What kind of machine.
#[derive(Args, Clone, Debug)]
pub(crate) struct MachineOptions {
    /// Processors
    #[arg(long, value_name = "N", default_value_t = 4, conflicts_with = "scenarios",
          value_parser = clap::value_parser!(u32).range(1..=8))]
    smp: u32,
    /// Kind of interrupt that the device is given: msi or intx
    #[arg(
        long,
        value_name = "KIND",
        default_value = "msi",
        conflicts_with = "scenarios"
    )]
    irq: Interrupts,
    /// Devices
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "scenarios",
          value_parser = clap::value_parser!(u32).range(0..=4))]
    devices: u32,
    /// Seed of what is left to chance; with it processors are slow and DPCs
    /// and timers have bad luck
    #[arg(long, value_name = "N", conflicts_with = "scenarios")]
    seed: Option<u64>,
    /// One more option for the rig; may be given several times
    #[arg(
        long = "option",
        value_name = "KEY=VALUE",
        conflicts_with = "scenarios"
    )]
    options: Vec<String>,
    /// QEMU's accelerator
    #[arg(
        long,
        value_name = "NAME",
        default_value = "tcg,thread=multi",
        conflicts_with = "scenarios"
    )]
    accel: String,
    /// Print the rig's log as it comes
    #[arg(long, conflicts_with = "scenarios")]
    log: bool,
    /// Wait before the driver's first instruction for gdb, and say how to start it; no time
    /// limit
    #[arg(long, conflicts_with = "scenarios")]
    gdb: bool,
}

impl MachineOptions {
    /// The machine that these options describe.
    #[must_use]
    pub(crate) fn machine(&self, artifacts: &Artifacts) -> Machine {
        let mut machine = Machine::new(artifacts)
            .with_processors(self.smp)
            .with_interrupts(self.irq)
            .with_devices(self.devices)
            .with_accelerator(&self.accel);
        if let Some(seed) = self.seed {
            machine = machine
                .with_option(&format!("delays={seed}"))
                .with_option("mishaps=all");
        }
        for option in &self.options {
            machine = machine.with_option(option);
        }
        if self.log {
            machine = machine.echoing_log();
        }
        if self.gdb {
            machine = machine.waiting_for_debugger();
        }
        machine
    }

    /// The seed of what is left to chance.
    #[must_use]
    pub(crate) fn seed(&self) -> u64 {
        self.seed.unwrap_or(DEFAULT_SEED)
    }

    /// Whether the rig waits for a debugger.
    #[must_use]
    pub(crate) const fn waits_for_debugger(&self) -> bool {
        self.gdb
    }
}
