//! The book of what was run: every run of a rig that is to be in a report writes
//! itself down here.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::Serialize;

use crate::{ended::Ended, machine::Machine, statistics::Statistics};

/// A book that several runs write into, also at the same time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book(Arc<Mutex<Vec<Run>>>);

/// One run of a rig.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Run {
    /// The driver's file name.
    pub(crate) driver: String,
    /// Processors.
    pub(crate) processors: u32,
    /// Devices.
    pub(crate) devices: u32,
    /// The rig's options.
    pub(crate) options: String,
    /// How long it took, from QEMU's start to its end.
    pub(crate) seconds: f64,
    /// How it ended, in words.
    pub(crate) outcome: String,
    /// The rule, bug check or fault that stopped it.
    pub(crate) stopped_by: Option<String>,
    /// What was counted.
    pub(crate) statistics: Option<Statistics>,
}

impl Book {
    /// Writes a run down.
    pub(crate) fn note(&self, machine: &Machine, ended: &Ended, time: Duration) {
        let run = Run {
            driver: machine.driver_name().to_string_lossy().into_owned(),
            processors: machine.processors(),
            devices: machine.devices(),
            options: machine.options(),
            seconds: time.as_secs_f64(),
            outcome: ended.to_string(),
            stopped_by: ended.stop.as_ref().map(|stop| stop.code.clone()),
            statistics: Statistics::of(&ended.log),
        };
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(run);
    }

    /// Takes out what was written down so far.
    pub(crate) fn take(&self) -> Vec<Run> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
