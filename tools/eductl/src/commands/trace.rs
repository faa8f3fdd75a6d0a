//! `trace`: what each processor did, from the flight recorder, as a file that others open.

use std::{fmt, fs, path::PathBuf, str::FromStr, time::Duration};

use serde::Serialize;

use super::{
    CommandError,
    recording::{self, LoadOptions, Plan},
};
use crate::{
    device::Device,
    stop::Stop,
    timeline::{Length, Scene, Scenery, Timeline, Window, page, picture, trace_events},
};

/// Spans that a picture can have; more would be a grey mass, and slow.
const MOST_DRAWN: usize = 20_000;

/// A file, and what its name says that it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Output {
    path: PathBuf,
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    Json,
    Svg,
    Html,
}

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = PathBuf::from(text);
        let extension = path.extension().and_then(|extension| extension.to_str());
        let format = match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("json") => Format::Json,
            Some("svg") => Format::Svg,
            Some("html" | "htm") => Format::Html,
            _ => {
                return Err(
                    "the name must end in .json (for Perfetto), .svg (a picture) or .html (a \
                     page with the picture and figures)"
                        .to_owned(),
                );
            }
        };
        Ok(Self { path, format })
    }
}

/// What is to be recorded and shown, as the command line says it.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// A file to write: .json opens in Perfetto, .svg is a picture, .html a page with the
    /// picture and figures; may be given several times
    #[arg(short, long = "output", value_name = "FILE", required = true)]
    outputs: Vec<Output>,
    /// How long to record
    #[arg(long, value_name = "S", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    seconds: u32,
    #[command(flatten)]
    load: LoadOptions,
    /// Show what happened from here on, in microseconds since the begin of the recording,
    /// instead of the most telling stretch
    #[arg(long = "from", value_name = "MICROSECONDS")]
    from_us: Option<u64>,
    /// Show what happened until then
    #[arg(long = "to", value_name = "MICROSECONDS")]
    to_us: Option<u64>,
}

impl Options {
    fn plan(&self) -> Plan {
        Plan {
            length: Duration::from_secs(self.seconds.into()),
            load: self.load.load(),
        }
    }
}

/// What `trace` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TraceResult {
    files: Vec<Output>,
    /// Records in them.
    records: usize,
    /// Records that were overwritten before they could be read.
    lost: u64,
    /// Records that make no sense.
    unusable: u64,
    unusable_why: String,
    /// Processors that did something.
    processors: Vec<u16>,
    /// From the first begin to the last end.
    length_ns: u64,
    /// What a picture shows, from the begin of the recording.
    view_start_ns: u64,
    view_end_ns: u64,
    /// The documentation's example, if it is in the picture.
    scene: Option<Parts>,
}

/// Records and processors of the example's parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parts {
    isr: Place,
    holds: Place,
    spins: Place,
    dpc: Place,
}

/// Where a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Place {
    record: u64,
    processor: u16,
}

/// Records, and writes the file.
///
/// # Errors
/// [`CommandError`].
pub fn run(
    device: &Device<'_>,
    options: &Options,
    stop: &Stop,
) -> Result<TraceResult, CommandError> {
    let plan = options.plan();
    let timeline = recording::record(device, plan, stop)?;
    if timeline.spans().is_empty() {
        return Err(CommandError::NothingToShow(format!(
            "the flight recorder was on for {:.1} s and has nothing to show ({} records of no \
             use: {}); let the device work meanwhile, with --load or from another program",
            plan.length.as_secs_f64(),
            timeline.unusable.count(),
            timeline.unusable
        )));
    }
    write(&timeline, options)
}

fn write(timeline: &Timeline, options: &Options) -> Result<TraceResult, CommandError> {
    let scenery = scenery(timeline, options);
    for output in &options.outputs {
        let text = output.format.text(timeline, &scenery)?;
        fs::write(&output.path, text).map_err(|error| CommandError::File {
            path: output.path.clone(),
            reason: format!("it cannot be written: {error}"),
        })?;
    }
    Ok(TraceResult {
        files: options.outputs.clone(),
        records: timeline.spans().len(),
        lost: timeline.lost,
        unusable: timeline.unusable.count(),
        unusable_why: timeline.unusable.to_string(),
        processors: timeline.processors(),
        length_ns: timeline.end(),
        view_start_ns: scenery.view.start,
        view_end_ns: scenery.view.end,
        scene: scenery.scene.as_ref().map(Parts::of),
    })
}

impl Format {
    fn text(self, timeline: &Timeline, scenery: &Scenery) -> Result<String, CommandError> {
        if self == Self::Json {
            return serde_json::to_string(&trace_events(timeline)).map_err(|error| {
                CommandError::NothingToShow(format!("the trace events are no JSON: {error}"))
            });
        }
        let spans = timeline.spans().iter();
        let drawn = spans.filter(|span| scenery.view.touches(span)).count();
        if drawn > MOST_DRAWN {
            return Err(CommandError::NothingToShow(format!(
                "{drawn} records are too many for one picture; choose a shorter time than {} with \
                 --from and --to, or write a .json file",
                Length(scenery.view.length())
            )));
        }
        Ok(if self == Self::Svg {
            picture(timeline, scenery, scenery.view).to_string()
        } else {
            page(timeline, scenery)
        })
    }
}

fn scenery(timeline: &Timeline, options: &Options) -> Scenery {
    if (options.from_us, options.to_us) == (None, None) {
        return Scenery::find(timeline);
    }
    let ns = |us: Option<u64>| us.map(|us| us.saturating_mul(1_000));
    let start = ns(options.from_us).unwrap_or(0);
    let end = ns(options.to_us).unwrap_or_else(|| timeline.end());
    Scenery::within(timeline, Window::new(start, end))
}

impl Parts {
    fn of(scene: &Scene) -> Self {
        let [isr, holds, spins, dpc] = scene.parts().map(|part| Place {
            record: part.sequence,
            processor: part.processor,
        });
        Self {
            isr,
            holds,
            spins,
            dpc,
        }
    }
}

impl fmt::Display for TraceResult {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self
            .files
            .iter()
            .map(|file| file.path.display().to_string())
            .collect();
        write!(
            formatter,
            "{}: {} records over {} on {} processor(s), {} lost",
            names.join(", "),
            self.records,
            Length(self.length_ns),
            self.processors.len(),
            self.lost
        )?;
        if self.unusable > 0 {
            write!(
                formatter,
                ", {} of no use ({})",
                self.unusable, self.unusable_why
            )?;
        }
        if self.files.iter().any(|file| file.format == Format::Json) {
            formatter.write_str("\nthe .json opens in https://ui.perfetto.dev")?;
        }
        if self.files.iter().all(|file| file.format == Format::Json) {
            return Ok(());
        }
        let view = Window::new(self.view_start_ns, self.view_end_ns);
        write!(
            formatter,
            "\nthe picture shows {} from {} on",
            Length(view.length()),
            Length(view.start)
        )?;
        match &self.scene {
            Some(parts) => write!(
                formatter,
                ": the ISR on processor {}, a critical section that holds the lock on {}, one that \
                 spins for it on {}, and a DPC on {}",
                parts.isr.processor,
                parts.holds.processor,
                parts.spins.processor,
                parts.dpc.processor
            ),
            None => formatter.write_str(
                "; no critical section spins there near an ISR and a DPC (record for longer, or \
                 with --load)",
            ),
        }
    }
}

#[cfg(all(test, unix))]
mod tests;
