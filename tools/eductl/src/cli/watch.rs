//! `watch` on the command line: a line for each interrupt on the standard output, and
//! on a terminal a live line of rates below them.

use std::{fmt, io, io::Write, time::Duration};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::Outcome;
use crate::{
    commands::{
        CommandError,
        watch::{self, End, News},
    },
    device::Device,
};

#[derive(Debug, Args)]
pub(super) struct WatchArguments {
    /// Begin with the oldest interrupt that the driver remembers, not with the next one
    #[arg(long)]
    from_oldest: bool,
    /// End after so many interrupts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after so many seconds
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..))]
    seconds: Option<u32>,
}

impl WatchArguments {
    pub(super) fn run(
        &self,
        device: &Device<'_>,
        json: bool,
        output: &mut dyn Write,
    ) -> Result<Outcome, CommandError> {
        let options = watch::Options {
            from_oldest: self.from_oldest,
            count: self.count,
            duration: self
                .seconds
                .map(|seconds| Duration::from_secs(seconds.into())),
        };
        // It draws on the standard error, and only if that is a terminal.
        let live = ProgressBar::new_spinner().with_style(ProgressStyle::default_spinner());
        let mut print = |line: &dyn fmt::Display| {
            live.suspend(|| writeln!(output, "{line}").and_then(|()| output.flush()))
        };
        let mut tell = |news: News<'_>| -> io::Result<()> {
            match news {
                News::Rates(rates) => {
                    live.set_message(rates.to_string());
                    live.tick();
                    Ok(())
                }
                News::Interrupt(interrupt) if json => {
                    print(&serde_json::to_value(interrupt).map_err(io::Error::other)?)
                }
                News::Interrupt(interrupt) => print(interrupt),
                News::Lost(count) if json => print(&json!({ "lost": count })),
                News::Lost(count) => print(&format_args!(
                    "          {count} interrupts are lost: the driver keeps the last ones only"
                )),
            }
        };
        let summary = watch::run(device, &options, &mut tell)?;
        live.finish_and_clear();
        let outcome = if json {
            Outcome::text(json!({ "summary": summary }).to_string())
        } else {
            Outcome::of(&summary, true, json)
        };
        Ok(outcome.interrupted_if(summary.end == End::Interrupted))
    }
}
