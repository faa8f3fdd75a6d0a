//! A rig that runs.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use eductl::rig::Rig;
use rig_protocol::Report;
use tempfile::TempDir;

use crate::{
    ended::Ended,
    log::{Found, Log, records},
    machine::Machine,
    monitor::Monitor,
    qemu::{self, Qemu},
    record::{Ready, Record},
};

/// How long a rig may take to boot and to start the driver. Eight processors
/// emulated on two busy cores take a small part of it.
const READY_LIMIT: Duration = Duration::from_mins(3);

/// How long QEMU may take to end after the rig's last word.
const EXIT_LIMIT: Duration = Duration::from_secs(30);

/// A rig that runs; dropping it ends QEMU.
pub(crate) struct Running {
    machine: Machine,
    qemu: Qemu,
    log: Log,
    messages: Log,
    folder: TempDir,
    started: Instant,
}

impl Running {
    pub(crate) fn new(
        machine: Machine,
        qemu: Qemu,
        log: Log,
        messages: Log,
        folder: TempDir,
    ) -> Self {
        Self {
            machine,
            qemu,
            log,
            messages,
            folder,
            started: Instant::now(),
        }
    }

    /// Waits until the driver is started and the command channel served.
    ///
    /// # Errors
    /// When the rig ends instead, with what it said, or does neither in time.
    pub(crate) fn wait_ready(self) -> anyhow::Result<(Self, Ready)> {
        let limit = if self.machine.waits_for_debugger() {
            Duration::MAX
        } else {
            READY_LIMIT
        };
        self.wait_for(limit, |record| match record {
            Record::Ready(ready) => Some(ready),
            _ => None,
        })
    }

    /// Waits until the rig waits for the host, behind the firmware.
    ///
    /// # Errors
    /// As [`Running::wait_ready`].
    pub(crate) fn wait_held(self) -> anyhow::Result<Self> {
        let (running, ()) = self.wait_for(READY_LIMIT, |record| match record {
            Record::Held => Some(()),
            _ => None,
        })?;
        Ok(running)
    }

    fn wait_for<T>(
        self,
        limit: Duration,
        wanted: impl Fn(Record) -> Option<T>,
    ) -> anyhow::Result<(Self, T)> {
        let found = self.log.wait_for(limit, |line| match Record::parse(line) {
            Ok(Some(record)) => wanted(record),
            _ => None,
        });
        match found {
            Some(Found::Line(found)) => Ok((self, found)),
            Some(Found::End) => {
                let ended = self.wait_ended()?;
                bail!("the rig ended before it was ready: {ended}")
            }
            None => {
                let log = self.log.lines().join("\n");
                bail!(
                    "the rig was not ready within {} s; its log:\n{log}",
                    READY_LIMIT.as_secs()
                )
            }
        }
    }

    /// The command channel's socket.
    #[must_use]
    pub(crate) fn socket(&self) -> PathBuf {
        qemu::socket(self.folder.path())
    }

    /// Connects to QEMU's own control. Only one program can at a time.
    ///
    /// # Errors
    /// When QEMU does not answer, or the machine has no such control.
    pub(crate) fn monitor(&self) -> anyhow::Result<Monitor> {
        Monitor::connect(&qemu::monitor(self.folder.path()))
    }

    /// Connects to the command channel. Only one program can at a time.
    ///
    /// # Errors
    /// When the rig does not answer.
    pub(crate) fn connect(&self) -> anyhow::Result<Rig> {
        Rig::connect(&self.socket()).context("cannot talk to the rig")
    }

    /// Waits until the rig waits for a debugger.
    ///
    /// # Errors
    /// When the rig ends instead, with what it said.
    pub(crate) fn wait_for_debugger(self) -> anyhow::Result<Self> {
        let found = self.log.wait_for(Duration::MAX, |line| {
            matches!(Record::parse(line), Ok(Some(Record::Debugger { .. }))).then_some(())
        });
        if let Some(Found::Line(())) = found {
            return Ok(self);
        }
        let ended = self.wait_ended()?;
        bail!("the rig ended before the driver began: {ended}")
    }

    /// The records of the log so far.
    #[must_use]
    pub(crate) fn records(&self) -> Vec<Record> {
        records(&self.log.lines())
    }

    /// Whether it has ended by itself.
    #[must_use]
    pub(crate) fn has_ended(&self) -> bool {
        self.log.wait_end(Duration::ZERO)
    }

    /// How long it has been running.
    #[must_use]
    pub(crate) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Removes the devices, unloads the driver and waits for the end. The report
    /// is missing when the rig stopped instead.
    ///
    /// # Errors
    /// When QEMU cannot be waited for.
    pub(crate) fn shut_down(self) -> anyhow::Result<(Option<Report>, Ended)> {
        let report = self.connect().map(Rig::shut_down);
        let ended = self.wait_ended_within(EXIT_LIMIT)?;
        match report {
            Ok(Ok(report)) => Ok((Some(report), ended)),
            // If the rig has stopped, that is the reason, and `ended` tells it.
            _ if ended.stop.is_some() => Ok((None, ended)),
            Ok(Err(error)) => Err(error).with_context(|| format!("and {ended}")),
            Err(error) => Err(error).with_context(|| format!("and {ended}")),
        }
    }

    /// Waits for the end, which the rig brings about by itself.
    ///
    /// # Errors
    /// When QEMU cannot be waited for.
    pub(crate) fn wait_ended(self) -> anyhow::Result<Ended> {
        let limit = if self.machine.time_limit().is_zero() {
            Duration::MAX
        } else {
            // `timeout` ends QEMU then.
            self.machine.time_limit() + EXIT_LIMIT
        };
        self.wait_ended_within(limit)
    }

    fn wait_ended_within(mut self, limit: Duration) -> anyhow::Result<Ended> {
        // The log ends when QEMU does.
        let status = if self.log.wait_end(limit) {
            self.qemu.wait(EXIT_LIMIT)?
        } else {
            None
        };
        self.qemu.end()?;
        let time = self.started.elapsed();
        let ended = Ended::new(
            self.machine.artifacts(),
            status,
            self.log.finish(),
            self.messages.finish(),
        );
        if let Some(book) = self.machine.artifacts().book() {
            book.note(&self.machine, &ended, time);
        }
        Ok(ended)
    }
}
