//! The machine's options on a command line, the same for every program here.

use std::path::PathBuf;

use clap::Args;

use crate::{
    artifacts::Artifacts,
    machine::{Interrupts, Machine},
};

/// What kind of machine.
#[derive(Args, Clone, Debug)]
pub(crate) struct MachineOptions {
    /// Processors
    #[arg(long, value_name = "N", default_value_t = 4,
          value_parser = clap::value_parser!(u32).range(1..=8))]
    smp: u32,
    /// Kind of interrupt that the device is given: msi or intx
    #[arg(long, value_name = "KIND", default_value = "msi")]
    irq: Interrupts,
    /// Devices
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(0..=4))]
    devices: u32,
    /// Another driver image than the one that was built
    #[arg(long, value_name = "FILE")]
    driver: Option<PathBuf>,
    /// One more option for the rig; may be given several times
    #[arg(long = "option", value_name = "KEY=VALUE")]
    options: Vec<String>,
    /// QEMU's accelerator
    #[arg(long, value_name = "NAME", default_value = "tcg,thread=multi")]
    accel: String,
    /// Print the rig's log as it comes
    #[arg(long)]
    log: bool,
    /// Wait at the first instruction for gdb, at port 1234; no time limit
    #[arg(long)]
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
        if let Some(driver) = &self.driver {
            machine = machine.with_driver(driver);
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

    /// Whether the rig waits for a debugger.
    #[must_use]
    pub(crate) const fn waits_for_debugger(&self) -> bool {
        self.gdb
    }
}
