//! `watch`: interrupts as they come, through requests that the driver completes with
//! the next ones.

mod rates;

use std::{
    fmt, io,
    ops::ControlFlow,
    time::{Duration, Instant},
};

use edu_interface::{Causes, Clock, Event, FROM_NOW};
use serde::Serialize;

use super::CommandError;
use crate::{
    device::{Device, DeviceError, Events},
    status::NtStatus,
    transport::TransportError,
};

pub use rates::Rates;

/// How often somebody is told how it goes while nothing comes.
const TICK: Duration = Duration::from_millis(100);

/// When `watch` begins and ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Begin with the oldest event that the driver still has.
    pub from_oldest: bool,
    /// End after so many events.
    pub count: Option<u64>,
    /// End after so long.
    pub duration: Option<Duration>,
}

/// An event as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Interrupt {
    /// How many came before it since the device was added.
    pub sequence: u64,
    /// Nanoseconds since the device was added.
    pub nanoseconds: u64,
    /// The interrupt status.
    pub causes: u32,
    /// The causes by name.
    pub names: Vec<String>,
}

/// What the watcher is told.
#[derive(Clone, Copy, Debug)]
pub enum News<'a> {
    /// An interrupt.
    Interrupt(&'a Interrupt),
    /// So many were forgotten by the driver before they were read.
    Lost(u64),
    /// A moment has passed: how many come.
    Rates(&'a Rates),
}

/// Why it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// As many events came as were wanted.
    Count,
    /// The time was over.
    Time,
    /// The user pressed Ctrl-C.
    Interrupted,
}

/// What `watch` prints at its end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Interrupts that were shown.
    pub interrupts: u64,
    /// Interrupts that the driver did not have any more.
    pub lost: u64,
    /// How long it took.
    pub seconds: f64,
    /// Why it ended.
    pub end: End,
}

/// Watches until `options` say that it is enough, or the user does. A failure to tell
/// the news ends it too.
///
/// # Errors
/// [`CommandError`].
pub fn run(
    device: &Device<'_>,
    options: &Options,
    tell: &mut dyn FnMut(News<'_>) -> io::Result<()>,
) -> Result<Summary, CommandError> {
    let mut watch = Watch {
        options,
        tell,
        began: Instant::now(),
        rates: Rates::default(),
        interrupts: 0,
        lost: 0,
    };
    let mut after = if options.from_oldest { 0 } else { FROM_NOW };
    let end = loop {
        if let Some(end) = watch.enough() {
            break end;
        }
        match watch.wait(device, after)? {
            ControlFlow::Continue(events) => {
                after = events.next;
                watch.show(&events)?;
            }
            ControlFlow::Break(end) => break end,
        }
    };
    Ok(Summary {
        interrupts: watch.interrupts,
        lost: watch.lost,
        seconds: watch.began.elapsed().as_secs_f64(),
        end,
    })
}

struct Watch<'a> {
    options: &'a Options,
    tell: &'a mut dyn FnMut(News<'_>) -> io::Result<()>,
    began: Instant,
    rates: Rates,
    interrupts: u64,
    lost: u64,
}

impl Watch<'_> {
    fn enough(&self) -> Option<End> {
        if self
            .options
            .count
            .is_some_and(|count| self.interrupts >= count)
        {
            return Some(End::Count);
        }
        self.time_is_over().then_some(End::Time)
    }

    fn time_is_over(&self) -> bool {
        self.options
            .duration
            .is_some_and(|duration| self.began.elapsed() >= duration)
    }

    /// Waits for the next events.
    fn wait(
        &mut self,
        device: &Device<'_>,
        after: u64,
    ) -> Result<ControlFlow<End, Events>, CommandError> {
        let outcome = device.start_wait_events(after).and_then(|mut pending| {
            let mut cancelled = false;
            while !pending.ends_within(TICK) {
                if self.time_is_over() && !cancelled {
                    pending.cancel()?;
                    cancelled = true;
                }
                // A failure to tell shows again with the next event.
                drop((self.tell)(News::Rates(
                    self.rates.at(self.began.elapsed()),
                )));
            }
            pending.wait()
        });
        match outcome {
            Ok(events) => Ok(ControlFlow::Continue(events)),
            Err(DeviceError::Transport(TransportError::Interrupted(_))) => {
                Ok(ControlFlow::Break(End::Interrupted))
            }
            Err(DeviceError::Transport(error))
                if self.time_is_over()
                    && error
                        .failure()
                        .is_some_and(|failure| failure.is(NtStatus::CANCELLED)) =>
            {
                Ok(ControlFlow::Break(End::Time))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn show(&mut self, events: &Events) -> Result<(), CommandError> {
        if events.lost > 0 {
            self.lost = self.lost.saturating_add(events.lost);
            (self.tell)(News::Lost(events.lost)).map_err(CommandError::output)?;
        }
        for event in &events.events {
            if self
                .options
                .count
                .is_some_and(|count| self.interrupts >= count)
            {
                return Ok(());
            }
            let interrupt = Interrupt::new(&events.clock, event);
            self.interrupts += 1;
            self.rates.count(self.began.elapsed(), event.causes);
            (self.tell)(News::Interrupt(&interrupt)).map_err(CommandError::output)?;
        }
        let rates = self.rates.at(self.began.elapsed());
        (self.tell)(News::Rates(rates)).map_err(CommandError::output)
    }
}

impl Interrupt {
    fn new(clock: &Clock, event: &Event) -> Self {
        Self {
            sequence: event.sequence,
            nanoseconds: clock.nanoseconds(event.stamp),
            causes: event.causes,
            names: names(event.causes),
        }
    }
}

/// The causes of an interrupt by name.
fn names(causes: u32) -> Vec<String> {
    let known = [(Causes::FACTORIAL, "factorial"), (Causes::DMA, "DMA")];
    let mut names: Vec<String> = known
        .iter()
        .filter(|(cause, _)| causes & cause.bits() != 0)
        .map(|(_, name)| (*name).to_owned())
        .collect();
    let others = known
        .iter()
        .fold(causes, |rest, (cause, _)| rest & !cause.bits());
    if others != 0 {
        names.push(format!("raised 0x{others:x}"));
    }
    names
}

#[expect(
    clippy::cast_precision_loss,
    reason = "shown with six digits, which 2^53 ns, a hundred days, do not exhaust"
)]
const fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

impl fmt::Display for Interrupt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:>8}  {:>14.6} s  0x{:08x}  {}",
            self.sequence,
            seconds(self.nanoseconds),
            self.causes,
            self.names.join(", ")
        )
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} interrupts in {:.1} s",
            self.interrupts, self.seconds
        )?;
        if self.lost > 0 {
            write!(formatter, ", and {} that were lost", self.lost)?;
        }
        match self.end {
            End::Interrupted => formatter.write_str("; interrupted"),
            End::Count | End::Time => Ok(()),
        }
    }
}

#[cfg(all(test, unix))]
mod tests;
