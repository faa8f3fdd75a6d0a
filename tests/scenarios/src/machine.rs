//! What a run is to be: processors, interrupts, devices, driver, time.

use std::{
    ffi::OsStr,
    fmt, fs,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use crate::{
    artifacts::Artifacts,
    log::Log,
    qemu::{self, Beginning, Files, Qemu},
    running::Running,
    saved_state,
};

/// Kind of interrupt that the rig gives the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupts {
    /// Messages.
    Msi,
    /// A line.
    Intx,
}

impl fmt::Display for Interrupts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Msi => "msi",
            Self::Intx => "intx",
        })
    }
}

impl FromStr for Interrupts {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match text {
            "msi" => Ok(Self::Msi),
            "intx" => Ok(Self::Intx),
            _ => bail!("{text} is no kind of interrupt: choose msi or intx"),
        }
    }
}

/// What a run executes first.
#[derive(Clone, Copy, Debug)]
enum FirstCode {
    /// The rig, behind the firmware that ran before.
    Rig,
    /// The firmware.
    Firmware,
    /// The firmware, once a debugger says so.
    FirmwareInDebugger,
}

/// A machine to be started: the defaults are one processor, messages, one
/// device, the driver that ships.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    artifacts: Artifacts,
    processors: u32,
    interrupts: Interrupts,
    devices: u32,
    driver: PathBuf,
    more_options: Vec<String>,
    time_limit: Duration,
    accelerator: String,
    first_code: FirstCode,
    echoes_log: bool,
    can_unplug: bool,
    is_apart: bool,
    script: Option<Vec<u8>>,
    instructions: Option<Instructions>,
}

/// Where QEMU writes each instruction that the processors execute in the driver's image.
#[derive(Clone, Debug)]
pub(crate) struct Instructions {
    /// The file.
    pub(crate) file: PathBuf,
    /// With the processor's registers before each.
    pub(crate) has_registers: bool,
}

/// The command that boots such a machine for a person.
impl fmt::Display for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "cargo xtask rig --smp {} --irq {} --devices {}",
            self.processors, self.interrupts, self.devices
        )?;
        if self.driver != self.artifacts.driver() {
            write!(formatter, " --driver {}", self.driver.display())?;
        }
        for option in &self.more_options {
            write!(formatter, " --option {option}")?;
        }
        Ok(())
    }
}

impl Machine {
    /// Longest run, unless [`Machine::with_time_limit`] says otherwise. It is
    /// several times what the slowest scenario takes on two busy cores.
    pub(crate) const TIME_LIMIT: Duration = Duration::from_mins(10);

    /// With the files in `artifacts`.
    #[must_use]
    pub(crate) fn new(artifacts: &Artifacts) -> Self {
        Self {
            artifacts: artifacts.clone(),
            processors: 1,
            interrupts: Interrupts::Msi,
            devices: 1,
            driver: artifacts.driver(),
            more_options: Vec::new(),
            time_limit: Self::TIME_LIMIT,
            accelerator: "tcg,thread=multi".to_owned(),
            first_code: FirstCode::Rig,
            echoes_log: false,
            can_unplug: false,
            is_apart: false,
            script: None,
            instructions: None,
        }
    }

    /// With this many processors.
    #[must_use]
    pub(crate) fn with_processors(mut self, processors: u32) -> Self {
        self.processors = processors;
        self
    }

    /// With this kind of interrupt.
    #[must_use]
    pub(crate) fn with_interrupts(mut self, interrupts: Interrupts) -> Self {
        self.interrupts = interrupts;
        self
    }

    /// With this many edu devices.
    #[must_use]
    pub(crate) fn with_devices(mut self, devices: u32) -> Self {
        self.devices = devices;
        self
    }

    /// With another driver image.
    #[must_use]
    pub(crate) fn with_driver(mut self, driver: &Path) -> Self {
        driver.clone_into(&mut self.driver);
        self
    }

    /// With one more option for the rig, `key=value`.
    #[must_use]
    pub(crate) fn with_option(mut self, option: &str) -> Self {
        self.more_options.push(option.to_owned());
        self
    }

    /// Ends by itself after this time; zero means never.
    #[must_use]
    pub(crate) fn with_time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// With another of QEMU's accelerators.
    #[must_use]
    pub(crate) fn with_accelerator(mut self, accelerator: &str) -> Self {
        accelerator.clone_into(&mut self.accelerator);
        self
    }

    /// With the firmware in each run.
    #[must_use]
    pub(crate) fn with_firmware(mut self) -> Self {
        self.first_code = FirstCode::Firmware;
        self
    }

    /// Counts instructions, and time by them, and does what the script says in place of
    /// what somebody asks for: two runs are the same. Several processors take turns on one
    /// of the host's.
    #[must_use]
    pub(crate) fn with_script(mut self, script: Vec<u8>) -> Self {
        self.script = Some(script);
        self.with_firmware().with_accelerator("tcg,thread=single")
    }

    /// Has QEMU write down each instruction that is executed in the range of driver images.
    /// It is slow then, so the firmware is left out.
    #[must_use]
    pub(crate) fn writing_instructions(mut self, instructions: Instructions) -> Self {
        self.instructions = Some(instructions);
        self.first_code = FirstCode::Rig;
        self
    }

    /// The same, and nothing is written down.
    #[must_use]
    pub(crate) fn writing_nothing(mut self) -> Self {
        self.instructions = None;
        self
    }

    /// Whether it counts instructions, and time by them.
    pub(crate) const fn counts_instructions(&self) -> bool {
        self.script.is_some()
    }

    /// Waits before the driver's first instruction for a debugger.
    #[must_use]
    pub(crate) fn waiting_for_debugger(mut self) -> Self {
        self.first_code = FirstCode::FirmwareInDebugger;
        self
    }

    /// Prints the rig's log as it comes.
    #[must_use]
    pub(crate) fn echoing_log(mut self) -> Self {
        self.echoes_log = true;
        self
    }

    /// Out of reach of the terminal's Ctrl-C, which the caller takes and answers by taking
    /// the machine down.
    #[must_use]
    pub(crate) fn apart_from_terminal(mut self) -> Self {
        self.is_apart = true;
        self
    }

    /// With its devices in slots from which they can be unplugged.
    #[must_use]
    pub(crate) fn with_unplugging(mut self) -> Self {
        self.can_unplug = true;
        self
    }

    pub(crate) const fn instructions(&self) -> Option<&Instructions> {
        self.instructions.as_ref()
    }

    pub(crate) const fn is_apart(&self) -> bool {
        self.is_apart
    }

    /// With one more device, which the rig itself has storm on the line of the first.
    #[must_use]
    pub(crate) fn with_neighbour(self, seed: u32) -> Self {
        self.with_option(&format!("neighbour={seed}"))
    }

    /// Whether there is one more device: the rig refuses the option without it.
    pub(crate) fn has_neighbour(&self) -> bool {
        self.more_options
            .iter()
            .any(|option| option.starts_with("neighbour="))
    }

    pub(crate) const fn can_unplug(&self) -> bool {
        self.can_unplug
    }

    pub(crate) const fn processors(&self) -> u32 {
        self.processors
    }

    pub(crate) const fn devices(&self) -> u32 {
        self.devices
    }

    pub(crate) fn driver(&self) -> PathBuf {
        self.driver.clone()
    }

    /// The name of the driver's image.
    pub(crate) fn driver_name(&self) -> &OsStr {
        self.driver.file_name().unwrap_or_default()
    }

    pub(crate) const fn time_limit(&self) -> Duration {
        self.time_limit
    }

    pub(crate) fn accelerator(&self) -> &str {
        &self.accelerator
    }

    pub(crate) const fn waits_for_debugger(&self) -> bool {
        matches!(self.first_code, FirstCode::FirmwareInDebugger)
    }

    pub(crate) const fn artifacts(&self) -> &Artifacts {
        &self.artifacts
    }

    /// The rig's options.
    pub(crate) fn options(&self) -> String {
        let mut options = format!("irq={}", self.interrupts);
        if self.waits_for_debugger() {
            options.push_str(" debugger=on");
        }
        if self.artifacts.book().is_some() {
            options.push_str(" statistics=on");
        }
        for option in &self.more_options {
            options.push(' ');
            options.push_str(option);
        }
        options
    }

    /// Starts it; the rig boots meanwhile.
    ///
    /// # Errors
    /// When QEMU or its firmware is missing or does not start.
    pub(crate) fn start(&self) -> anyhow::Result<Running> {
        match self.first_code {
            FirstCode::Rig => {
                let state = saved_state::of(self)?;
                self.start_in(folder()?, Beginning::State(&state))
            }
            FirstCode::Firmware | FirstCode::FirmwareInDebugger => {
                self.start_in(folder()?, Beginning::Firmware)
            }
        }
    }

    /// Starts it up to where the rig waits for the host.
    ///
    /// # Errors
    /// As [`Machine::start`].
    pub(crate) fn start_held(&self) -> anyhow::Result<Running> {
        self.start_in(folder()?, Beginning::Held)
    }

    fn start_in(&self, folder: TempDir, beginning: Beginning<'_>) -> anyhow::Result<Running> {
        let socket = qemu::socket(folder.path());
        let monitor = qemu::monitor(folder.path());
        let script = folder.path().join("script");
        if let Some(bytes) = &self.script {
            fs::write(&script, bytes).context("cannot write the script")?;
        }
        let files = Files {
            script: self.script.as_ref().map(|_| script.as_path()),
            rig: &self.artifacts.rig(),
            socket: &socket,
            monitor: &monitor,
            beginning,
        };
        let mut qemu = Qemu::start(self, &files)?;
        let log = Log::of(qemu.take_log()?, self.echoes_log);
        let messages = Log::of(qemu.take_messages()?, false);
        Ok(Running::new(self.clone(), qemu, log, messages, folder))
    }
}

/// A folder for a run.
fn folder() -> anyhow::Result<TempDir> {
    tempfile::Builder::new()
        .prefix("rig-")
        .tempdir()
        .context("cannot make a folder for the run")
}
