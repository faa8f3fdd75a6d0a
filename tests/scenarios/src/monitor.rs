//! QEMU's own control, its machine protocol: how the host unplugs a device.
//!
//! A line of JSON for each command, answer and event ("QEMU Machine Protocol
//! Specification"). Three commands do not need more of it than this.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::qemu;

/// How long QEMU may take for an answer or an event. It does nothing else while a device
/// that goes computes its last factorial.
const LIMIT: Duration = Duration::from_mins(1);

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
        self.command("device_del", &json!({ "id": device }))
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

    fn command(&mut self, name: &str, arguments: &Value) -> anyhow::Result<()> {
        let line = json!({ "execute": name, "arguments": arguments });
        writeln!(self.stream.get_mut(), "{line}").context("cannot write to QEMU's control")?;
        loop {
            let line = self.read()?;
            if line.get("return").is_some() {
                return Ok(());
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
