//! QEMU's own control, its machine protocol: how the host unplugs a device, and saves a
//! machine's state.
//!
//! A line of JSON for each command, answer and event ("QEMU Machine Protocol
//! Specification"). Few commands do not need more of it than this.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::qemu;

/// How long QEMU may take for an answer or an event. It does nothing else while a device
/// that goes computes its last factorial.
const LIMIT: Duration = Duration::from_mins(1);

const POLL: Duration = Duration::from_millis(20);

/// A connection to QEMU's control.
pub(crate) struct Monitor {
    stream: BufReader<UnixStream>,
}

impl Monitor {
    /// Connects, and takes leave of the greeting.
    ///
    /// # Errors
    /// When nobody is there who speaks so.
    pub(crate) fn connect(socket: &Path) -> anyhow::Result<Self> {
        let stream = UnixStream::connect(socket)
            .with_context(|| format!("QEMU's control does not listen at {}", socket.display()))?;
        stream.set_read_timeout(Some(LIMIT))?;
        let mut monitor = Self {
            stream: BufReader::new(stream),
        };
        let greeting = monitor.read()?;
        if greeting.get("QMP").is_none() {
            bail!("QEMU's control greets with {greeting}");
        }
        monitor.command("qmp_capabilities", &json!({}))?;
        Ok(monitor)
    }

    /// Asks for a device to be unplugged: `device_del`. It goes when the machine lets go
    /// of it.
    ///
    /// # Errors
    /// When QEMU refuses.
    pub(crate) fn ask_to_unplug(&mut self, number: u32) -> anyhow::Result<()> {
        let device = qemu::device_name(number);
        self.command("device_del", &json!({ "id": device }))?;
        Ok(())
    }

    /// Waits until QEMU says that a device is gone.
    ///
    /// # Errors
    /// When it does not in time.
    pub(crate) fn wait_unplugged(&mut self, number: u32) -> anyhow::Result<()> {
        let device = qemu::device_name(number);
        loop {
            let line = self.read().context("no device went")?;
            if line["event"] == "DEVICE_DELETED" && line["data"]["device"] == device.as_str() {
                return Ok(());
            }
        }
    }

    /// Saves the machine's state to a file, which replaces one that is there. The machine
    /// is stopped then, but in the state it runs: QEMU would keep up that it was stopped.
    ///
    /// # Errors
    /// When QEMU refuses or fails, or the state is not saved in time.
    pub(crate) fn save(&mut self, file: &Path) -> anyhow::Result<()> {
        // QEMU would leave room on a network, and would wait until a machine stands still for
        // a moment only: one that is starved by a busy host never would.
        let unlimited = json!({
            "max-bandwidth": i64::MAX,
            "downtime-limit": LIMIT.as_secs() * 1_000,
        });
        self.command("migrate-set-parameters", &unlimited)?;
        let uri = format!("exec:cat > {}", qemu::in_shell(file)?);
        self.command("migrate", &json!({ "uri": uri }))?;
        let end = Instant::now() + LIMIT;
        while Instant::now() < end {
            let state = self.command("query-migrate", &json!({}))?;
            match state["status"].as_str() {
                Some("completed") => return Ok(()),
                Some("failed" | "cancelled") => bail!("QEMU could not save its state: {state}"),
                _ => thread::sleep(POLL),
            }
        }
        bail!("QEMU did not save its state within {} s", LIMIT.as_secs())
    }

    /// Stops all processors.
    ///
    /// # Errors
    /// When QEMU refuses.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        self.command("stop", &json!({}))?;
        Ok(())
    }

    /// Lets them go on.
    ///
    /// # Errors
    /// When QEMU refuses.
    pub(crate) fn go_on(&mut self) -> anyhow::Result<()> {
        self.command("cont", &json!({}))?;
        Ok(())
    }

    /// Writes the first `bytes` of the machine's memory to a file.
    ///
    /// # Errors
    /// When QEMU refuses.
    pub(crate) fn write_memory(&mut self, file: &Path, bytes: u64) -> anyhow::Result<()> {
        let file = file.to_str().context("the path is not UTF-8")?;
        let what = json!({ "val": 0, "size": bytes, "filename": file });
        self.command("pmemsave", &what)?;
        Ok(())
    }

    /// Where the page tables of the first processor begin: its register CR3.
    ///
    /// # Errors
    /// When QEMU does not say.
    pub(crate) fn page_tables(&mut self) -> anyhow::Result<u64> {
        // QEMU tells registers to people alone.
        let asked = json!({ "command-line": "info registers" });
        let told = self.command("human-monitor-command", &asked)?;
        let told = told.as_str().context("QEMU did not answer with text")?;
        let (_, register) = told.split_once("CR3=").context("QEMU did not say CR3")?;
        let digits: String = register
            .chars()
            .take_while(char::is_ascii_hexdigit)
            .collect();
        u64::from_str_radix(&digits, 16).context("CR3 is no number")
    }

    /// Runs a command; what it returns.
    fn command(&mut self, name: &str, arguments: &Value) -> anyhow::Result<Value> {
        let line = json!({ "execute": name, "arguments": arguments });
        writeln!(self.stream.get_mut(), "{line}").context("cannot write to QEMU's control")?;
        loop {
            let mut line = self.read()?;
            if let Some(result) = line.get_mut("return") {
                return Ok(result.take());
            }
            if let Some(error) = line.get("error") {
                bail!("QEMU refuses {name}: {error}");
            }
            // Events come between.
        }
    }

    fn read(&mut self) -> anyhow::Result<Value> {
        let mut line = String::new();
        let length = self
            .stream
            .read_line(&mut line)
            .context("QEMU's control is silent")?;
        if length == 0 {
            bail!("QEMU's control was closed");
        }
        serde_json::from_str(&line).with_context(|| format!("QEMU's control says {line:?}"))
    }
}
