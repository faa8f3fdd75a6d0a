//! The QEMU process: its command line, and its end.
//!
//! QEMU is started under `timeout`, so that it ends even when this program is
//! killed and can end nothing any more.

use std::{
    ffi::OsString,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    debugger,
    firmware::{self, OneAtATime},
    machine::{Instructions, Machine},
    shell,
};

/// How long QEMU may take to end when it is asked to.
const END_LIMIT: Duration = Duration::from_secs(10);

/// The device that shares the line of the first one: QEMU puts that into slot 1, and every
/// fourth slot has the same line.
const NEIGHBOUR: &str = "edu,addr=0x5";

/// Where the rig maps the images of drivers: `machine/memory` has the table of its ranges.
const DRIVER_IMAGES: &str = "0xfffff80000000000+0x10000000";

/// The machine's memory, as QEMU takes it, and in bytes.
const MEMORY: &str = "512";
pub(crate) const MEMORY_BYTES: u64 = 512 << 20;

const POLL: Duration = Duration::from_millis(20);

/// A QEMU that runs; it is ended when this is dropped.
pub(crate) struct Qemu {
    child: Child,
}

/// How a run begins.
#[derive(Clone, Copy)]
pub(crate) enum Beginning<'a> {
    /// With the firmware.
    Firmware,
    /// With the firmware; the rig waits behind it.
    Held,
    /// Behind the firmware, in this state.
    State(&'a Path),
}

/// The files of one run.
pub(crate) struct Files<'a> {
    /// The rig.
    pub(crate) rig: &'a Path,
    /// The command channel's socket.
    pub(crate) socket: &'a Path,
    /// The socket of QEMU's own control, for a machine that needs it.
    pub(crate) monitor: &'a Path,
    /// What the rig is to do, if nobody asks it.
    pub(crate) script: Option<&'a Path>,
    /// How it begins.
    pub(crate) beginning: Beginning<'a>,
}

impl Qemu {
    /// Starts `machine`.
    pub(crate) fn start(machine: &Machine, files: &Files<'_>) -> anyhow::Result<Self> {
        let mut command = command(machine, files)?;
        if machine.is_apart() {
            command.process_group(0);
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start QEMU: {command:?}"))?;
        Ok(Self { child })
    }

    /// The rig's log.
    pub(crate) fn take_log(&mut self) -> anyhow::Result<ChildStdout> {
        self.child.stdout.take().context("QEMU has no output")
    }

    /// What QEMU itself has to say.
    pub(crate) fn take_messages(&mut self) -> anyhow::Result<ChildStderr> {
        self.child.stderr.take().context("QEMU has no messages")
    }

    /// Waits for the end. None when it does not come within `limit`.
    pub(crate) fn wait(&mut self, limit: Duration) -> anyhow::Result<Option<ExitStatus>> {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().context("cannot wait for QEMU")? {
                return Ok(Some(status));
            }
            if Instant::now() >= end {
                return Ok(None);
            }
            thread::sleep(POLL);
        }
    }

    /// Ends QEMU if it still runs.
    pub(crate) fn end(&mut self) -> anyhow::Result<()> {
        if self.wait(Duration::ZERO)?.is_some() {
            return Ok(());
        }
        // `timeout` hands this on to QEMU and ends with it.
        let id = Pid::from_child(&self.child);
        kill_process(id, Signal::TERM).context("cannot end QEMU")?;
        if self.wait(END_LIMIT)?.is_none() {
            self.child.kill().context("cannot end QEMU")?;
            self.child.wait().context("cannot wait for QEMU")?;
        }
        Ok(())
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("warning: {error:#}");
        }
    }
}

fn command(machine: &Machine, files: &Files<'_>) -> anyhow::Result<Command> {
    let mut command = Command::new("timeout");
    command
        .args(["--foreground", "--kill-after=5"])
        .arg(machine.time_limit().as_secs().to_string())
        .arg(firmware::qemu()?)
        .args(hardware(machine)?)
        .arg("-kernel")
        .arg(files.rig)
        .args(["-chardev", "stdio,id=log,signal=off"])
        .args(["-serial", "chardev:log"])
        .arg("-chardev")
        .arg(with_path(
            "socket,id=command,server=on,wait=off,path=",
            files.socket,
        ))
        .args(["-serial", "chardev:command"]);
    if machine.can_unplug() || matches!(files.beginning, Beginning::Held) {
        command
            .arg("-qmp")
            .arg(with_path("unix:", files.monitor) + ",server=on,wait=off");
    }
    command
        .arg("-fw_cfg")
        .arg(with_path("name=opt/dirql/driver,file=", &machine.driver()))
        .arg("-fw_cfg")
        .arg(with_path(
            "name=opt/dirql/driver-name,string=",
            Path::new(machine.driver_name()),
        ))
        .arg("-fw_cfg")
        .arg(format!(
            "name=opt/dirql/options,string={}",
            machine.options().replace(',', ",,")
        ));
    let hold = match files.beginning {
        Beginning::Firmware | Beginning::State(_) => "go",
        Beginning::Held => "hold",
    };
    command
        .arg("-fw_cfg")
        .arg(format!("name=opt/dirql/hold,string={hold}"));
    if let Beginning::State(state) = files.beginning {
        command
            .arg("-incoming")
            .arg(format!("exec:cat {}", in_shell(state)?));
    }
    if let Some(script) = files.script {
        // An instruction takes 16 ns, about what it takes the host, and the wait for an
        // interrupt no time of the host's; the clock and what is random are the machine's own.
        command
            .args(["-icount", "shift=4,sleep=off"])
            .args(["-rtc", "base=2026-01-01,clock=vm"])
            .args(["-seed", "1"])
            .arg("-fw_cfg")
            .arg(with_path("name=opt/dirql/script,file=", script));
    }
    if let Some(instructions) = machine.instructions() {
        command.args(instruction_log(instructions)?);
    }
    if machine.waits_for_debugger() {
        command
            .arg("-gdb")
            .arg(format!("tcp:127.0.0.1:{}", debugger::PORT));
    }
    Ok(command)
}

/// Has QEMU write down each instruction in the range of driver images. Chained, it would write
/// down only where a chain begins.
fn instruction_log(instructions: &Instructions) -> anyhow::Result<Vec<OsString>> {
    let mut arguments = Arguments::default();
    if let OneAtATime::Option(option) = firmware::one_at_a_time()? {
        arguments.arg(option);
    }
    arguments
        .arg("-d")
        .arg(if instructions.has_registers {
            "exec,nochain,cpu"
        } else {
            "exec,nochain"
        })
        .args(["-dfilter", DRIVER_IMAGES])
        .arg("-D")
        .arg(&instructions.file);
    Ok(arguments.0)
}

/// What a saved state fits: processors, memory, firmware, devices.
pub(crate) fn hardware(machine: &Machine) -> anyhow::Result<Vec<OsString>> {
    let firmware = firmware::ovmf()?;
    let mut command = Arguments::default();
    command
        .args(["-nodefaults", "-no-reboot", "-display", "none"])
        .args(["-machine", "q35", "-m", MEMORY, "-cpu", "max,la57=off"])
        .arg("-accel")
        .arg(accelerator(machine)?)
        .arg("-smp")
        .arg(machine.processors().to_string())
        .arg("-drive")
        .arg(pflash(0, &firmware.code, "readonly=on"))
        .arg("-drive")
        .arg(pflash(1, &firmware.variables, "snapshot=on"))
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]);
    for number in 0..machine.devices() {
        if machine.can_unplug() {
            // A q35 machine lets nothing go that is on its first bus.
            command
                .arg("-device")
                .arg(format!("pcie-root-port,id=slot{number},chassis={number}"))
                .arg("-device")
                .arg(format!("edu,id={},bus=slot{number}", device_name(number)));
        } else {
            command.args(["-device", "edu"]);
        }
    }
    if machine.has_neighbour() {
        command.args(["-device", NEIGHBOUR]);
    }
    Ok(command.0)
}

/// The accelerator, with its properties.
fn accelerator(machine: &Machine) -> anyhow::Result<String> {
    let mut accelerator = machine.accelerator().to_owned();
    if machine.instructions().is_some()
        && let OneAtATime::Property(property) = firmware::one_at_a_time()?
    {
        accelerator.push_str(property);
    }
    Ok(accelerator)
}

/// Arguments, given as [`Command`] is given its.
#[derive(Default)]
struct Arguments(Vec<OsString>);

impl Arguments {
    fn arg(&mut self, argument: impl Into<OsString>) -> &mut Self {
        self.0.push(argument.into());
        self
    }

    fn args<const N: usize>(&mut self, arguments: [&str; N]) -> &mut Self {
        self.0.extend(arguments.map(OsString::from));
        self
    }
}

/// A file's path as the shell takes it that QEMU starts for a saved state.
pub(crate) fn in_shell(path: &Path) -> anyhow::Result<String> {
    let path = path
        .to_str()
        .with_context(|| format!("the path {} is not UTF-8", path.display()))?;
    Ok(shell::quoted(path))
}

/// `protection` keeps the installed file as it is.
fn pflash(unit: u32, file: &Path, protection: &str) -> String {
    with_path(
        &format!("if=pflash,format=raw,unit={unit},{protection},file="),
        file,
    )
}

/// QEMU's option syntax takes a doubled comma for one that belongs to a value.
fn with_path(prefix: &str, path: &Path) -> String {
    format!("{prefix}{}", path.display().to_string().replace(',', ",,"))
}

/// What QEMU calls a device that can be unplugged.
pub(crate) fn device_name(number: u32) -> String {
    format!("edu{number}")
}

/// The socket of QEMU's own control.
pub(crate) fn monitor(folder: &Path) -> PathBuf {
    folder.join("monitor")
}

/// The socket of a run in `folder`. A socket's path has room for some hundred
/// bytes only, so the folder must be near the root.
pub(crate) fn socket(folder: &Path) -> PathBuf {
    folder.join("command")
}
