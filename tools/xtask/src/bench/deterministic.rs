//! The deterministic half: each driver does the same requests on a machine whose time is its
//! instructions', while QEMU writes down which of the driver's it executes.
//!
//! Each driver runs twice. The second run has the stack pointer written down with each
//! instruction, which is much to write, so it is shorter; what both have counted must be the
//! same.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::BufReader,
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context as _, bail, ensure};
use object::{Object as _, ObjectSection as _, SectionKind};

use super::{
    account::{Account, Accounts, Unit},
    figures::{Deterministic, Flat, Image, Kind, Pair, Recorder, Request, as_number},
    plan::{Measured, Phase, Purpose},
    trace, without_recorder,
};
use crate::{audit, command, toolchain::host_cargo, workspace, workspace::Workspace};

/// The package and the program that boot a measured machine.
const PACKAGE: [&str; 4] = ["--package", "scenarios", "--bin", "rig-measure"];

/// One of the two drivers.
#[derive(Clone, Debug)]
pub(super) struct Driver {
    /// The image; its symbols are beside it.
    pub(super) image: PathBuf,
    /// What files of its own are called.
    pub(super) name: &'static str,
}

/// What was measured, and in which of a driver's routines.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) figures: Deterministic,
    pub(super) profiles: Pair<Profiles>,
}

/// For each kind of request, the instructions in each routine of the driver.
pub(super) type Profiles = BTreeMap<Kind, BTreeMap<String, u64>>;

/// Which of two runs of a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    /// All requests, so many of each kind.
    Whole(u32),
    /// A few, with the stack pointer.
    Stack,
}

/// Measures both drivers. `folder` is for files that nobody needs afterwards.
///
/// # Errors
/// When a machine does not run, or what it writes down cannot be counted on.
pub(super) fn measure(
    workspace: &Workspace,
    folder: &Path,
    quick: bool,
) -> anyhow::Result<Outcome> {
    let out = workspace.out();
    let drivers = Pair {
        ours: Driver {
            image: out.join("edu.sys"),
            name: "edu",
        },
        c: Driver {
            image: out.join("reference.sys"),
            name: "reference",
        },
    };
    // Cargo would have one of them wait for the other.
    command::run(
        host_cargo(workspace)
            .args(["build", "--quiet"])
            .args(PACKAGE),
    )?;
    workspace::create_folder(folder)?;
    let units = if quick { 3 } else { 9 };
    let (ours, c) = thread::scope(|scope| {
        let ours = scope.spawn(|| of_driver(workspace, folder, &drivers.ours, units));
        let c = of_driver(workspace, folder, &drivers.c, units);
        (ours.join(), c)
    });
    let Ok(ours) = ours else {
        bail!("the measurement of {} panicked", drivers.ours.name)
    };
    let measured = Pair {
        ours: ours.context("edu.sys")?,
        c: c.context("reference.sys")?,
    };
    let mut outcome = put_together(measured);
    if !quick {
        let figures = &mut outcome.figures;
        figures.recorder_off = Some(recorder_off(workspace, folder, figures)?);
    }
    Ok(outcome)
}

/// Instructions of a place where something is recorded, while the recorder is off: over those
/// of a driver that has no such places.
fn recorder_off(
    workspace: &Workspace,
    folder: &Path,
    figures: &Deterministic,
) -> anyhow::Result<f64> {
    let without = Driver {
        image: without_recorder::build(workspace)?,
        name: "edu-without-recorder",
    };
    let run = run(workspace, folder, &without, Run::Whole(3))?;
    let mut less = 0;
    for phase in run.phases(false) {
        less += run.median(phase)?.request.instructions;
    }
    let mix = figures.mix(|request| request.instructions).ours;
    let places = figures.recorder.ours.places;
    ensure!(places > 0.0, "the flight recorder recorded nothing");
    Ok((as_number(mix) - as_number(less)) / places)
}

/// What was measured of one driver.
#[derive(Clone, Debug)]
struct OfDriver {
    compiler: String,
    requests: BTreeMap<Kind, Request>,
    profiles: Profiles,
    flat: BTreeMap<(Kind, u32), f64>,
    recorder: Recorder,
    watchdog: u64,
    image: Image,
}

fn put_together(measured: Pair<OfDriver>) -> Outcome {
    let Pair { ours, c } = measured;
    let requests = ours
        .requests
        .into_iter()
        .filter_map(|(kind, ours)| {
            let c = c.requests.get(&kind)?.clone();
            Some((kind, Pair { ours, c }))
        })
        .collect();
    let flat = ours
        .flat
        .iter()
        .filter_map(|(key @ (kind, outstanding), ours)| {
            let c = c.flat.get(key)?;
            Some(Flat {
                kind: *kind,
                outstanding: *outstanding,
                instructions: Pair { ours: *ours, c: *c },
            })
        })
        .collect();
    Outcome {
        figures: Deterministic {
            compiler: ours.compiler,
            recorder_off: None,
            requests,
            flat,
            recorder: Pair {
                ours: ours.recorder,
                c: c.recorder,
            },
            watchdog: Pair {
                ours: ours.watchdog,
                c: c.watchdog,
            },
            image: Pair {
                ours: ours.image,
                c: c.image,
            },
        },
        profiles: Pair {
            ours: ours.profiles,
            c: c.profiles,
        },
    }
}

fn of_driver(
    workspace: &Workspace,
    folder: &Path,
    driver: &Driver,
    units: u32,
) -> anyhow::Result<OfDriver> {
    let whole = run(workspace, folder, driver, Run::Whole(units))?;
    let stack = run(workspace, folder, driver, Run::Stack)?;
    let symbols = audit::routines(&driver.image, &driver.image.with_extension("pdb"))?;
    let mut requests = BTreeMap::new();
    let mut profiles = Profiles::new();
    for phase in whole.phases(false) {
        let kind = phase.kind;
        let unit = whole.median(phase)?;
        let mut request = unit.request.clone();
        let deep = stack
            .phases(false)
            .find(|phase| phase.kind == kind)
            .with_context(|| format!("the run for the stack has no {kind}"))?;
        let deep = &stack.median(deep)?.request;
        request.stack = deep.stack;
        ensure!(
            request == *deep,
            "two runs of the same request ({kind}) differ: {request:?} and {deep:?}"
        );
        requests.insert(kind, request);
        profiles.insert(kind, by_routine(&unit.profile, &symbols.names));
    }
    let flat = whole.flat()?;
    Ok(OfDriver {
        compiler: symbols.compiler,
        recorder: whole.recorder(&requests)?,
        requests,
        profiles,
        flat,
        watchdog: median(whole.accounts.ticks.clone()).context("the watchdog never ticked")?,
        image: image(&driver.image)?,
    })
}

/// Instructions of a unit by the routine that they are in.
fn by_routine(
    profile: &BTreeMap<u64, u64>,
    names: &BTreeMap<u64, String>,
) -> BTreeMap<String, u64> {
    let mut routines = BTreeMap::new();
    for (offset, count) in profile {
        let name = names
            .range(..=offset)
            .next_back()
            .map_or("?", |(_, name)| name.as_str());
        *routines.entry(name.to_owned()).or_default() += count;
    }
    routines
}

/// A run, counted.
struct Counted {
    run: Measured,
    accounts: Accounts,
}

impl Counted {
    /// The phases with one request at a time, with the recorder off or on.
    fn phases(&self, is_recorded: bool) -> impl Iterator<Item = &Phase> {
        self.run.phases.iter().filter(move |phase| {
            phase.purpose == Purpose::One && phase.recorded.is_some() == is_recorded
        })
    }

    /// The unit in the middle: a tick of the clock in one of them changes nothing.
    fn median(&self, phase: &Phase) -> anyhow::Result<&Unit> {
        let mut units: Vec<&Unit> = self
            .accounts
            .units
            .get(&phase.number)
            .into_iter()
            .flatten()
            .collect();
        units.sort_by_key(|unit| unit.request.instructions);
        units
            .get(units.len() / 2)
            .copied()
            .with_context(|| format!("nothing was measured of {}", phase.kind))
    }

    /// Instructions for each of several requests, by how many there are at a time.
    fn flat(&self) -> anyhow::Result<BTreeMap<(Kind, u32), f64>> {
        let of = |purpose| {
            let phases = self.run.phases.iter();
            phases.filter(move |phase| phase.purpose == purpose)
        };
        let count =
            |phase: &Phase| Ok::<_, anyhow::Error>(self.median(phase)?.request.instructions);
        let start = of(Purpose::Held)
            .find(|phase| phase.outstanding == 0)
            .context("no start without requests was measured")
            .and_then(count)?;
        let mut flat = BTreeMap::new();
        for (purpose, less) in [(Purpose::Several, 0), (Purpose::Held, start)] {
            for phase in of(purpose).filter(|phase| phase.outstanding > 0) {
                let all = count(phase)?.saturating_sub(less);
                let each = as_number(all) / f64::from(phase.outstanding);
                flat.insert((phase.kind, phase.outstanding), each);
            }
        }
        Ok(flat)
    }

    /// What a record costs: instructions with the recorder on, over those with it off, by the
    /// records that there are.
    fn recorder(&self, off: &BTreeMap<Kind, Request>) -> anyhow::Result<Recorder> {
        let mut records = 0.0;
        let mut places = 0.0;
        let mut more = 0.0;
        for phase in self.phases(true) {
            let on = self.median(phase)?.request.instructions;
            let off = off
                .get(&phase.kind)
                .with_context(|| format!("{} was not measured without records", phase.kind))?;
            let recorded = phase.recorded.unwrap_or_default();
            records += as_number(recorded.records) / f64::from(phase.units);
            places += as_number(recorded.places) / f64::from(phase.units);
            more += as_number(on) - as_number(off.instructions);
        }
        ensure!(records > 0.0, "the flight recorder recorded nothing");
        Ok(Recorder {
            records,
            places,
            instructions_on: more / records,
        })
    }
}

/// Has a machine run, and counts.
fn run(workspace: &Workspace, folder: &Path, driver: &Driver, run: Run) -> anyhow::Result<Counted> {
    let instructions = folder.join(format!("{}.instructions", driver.name));
    let plan = folder.join(format!("{}.plan", driver.name));
    let mut cargo = host_cargo(workspace);
    cargo
        .args(["run", "--quiet"])
        .args(PACKAGE)
        .arg("--")
        .arg("--driver")
        .arg(&driver.image)
        .arg("--instructions")
        .arg(&instructions)
        .arg("--plan")
        .arg(&plan);
    match run {
        Run::Whole(units) => cargo.arg("--units").arg(units.to_string()),
        Run::Stack => cargo.arg("--registers"),
    };
    command::run(&mut cargo)?;
    let measured: Measured = serde_json::from_slice(&workspace::read(&plan)?)
        .with_context(|| format!("{} is not what was to be written there", plan.display()))?;
    let log = File::open(&instructions)
        .with_context(|| format!("QEMU has not written {}", instructions.display()))?;
    let mut account = Account::new(&measured);
    trace::read(BufReader::new(log), |executed| account.take(executed))?;
    let accounts = account.finish()?;
    for file in [&instructions, &plan] {
        fs::remove_file(file).with_context(|| format!("cannot remove {}", file.display()))?;
    }
    Ok(Counted {
        run: measured,
        accounts,
    })
}

/// The one in the middle.
fn median(mut counts: Vec<u64>) -> Option<u64> {
    counts.sort_unstable();
    counts.get(counts.len() / 2).copied()
}

/// The sizes of a driver's file.
fn image(path: &Path) -> anyhow::Result<Image> {
    let bytes = workspace::read(path)?;
    let file =
        object::File::parse(&*bytes).with_context(|| format!("{} is no image", path.display()))?;
    let code = file
        .sections()
        .filter(|section| section.kind() == SectionKind::Text)
        .map(|section| section.size())
        .sum();
    Ok(Image {
        file: u64::try_from(bytes.len())?,
        code,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_added_up_by_routine() {
        let names = BTreeMap::from([(0x10, "isr".to_owned()), (0x40, "dpc".to_owned())]);
        let profile = BTreeMap::from([(0x0, 1), (0x10, 2), (0x3f, 3), (0x40, 4)]);
        let expected = [("?", 1), ("dpc", 4), ("isr", 5)];
        assert_eq!(
            by_routine(&profile, &names),
            expected
                .map(|(name, count)| (name.to_owned(), count))
                .into()
        );
    }

    #[test]
    fn one_that_is_off_does_not_change_the_median() {
        assert_eq!(median(vec![5, 900, 5]), Some(5));
        assert_eq!(median(Vec::new()), None);
    }
}
