//! A rig for a person: runs scenarios, or one eductl command, or keeps a rig up for as
//! long as it is wanted.

use std::{
    env,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use clap::{ArgGroup, CommandFactory as _, Parser, error::ErrorKind};

use crate::{
    about::about,
    artifacts::Artifacts,
    book::Book,
    cases::{self, Scenario},
    counted, debugger,
    ended::Outcome,
    exercise, keep_up,
    options::MachineOptions,
    report::Report,
    rules, runner,
    running::Running,
    shell::quoted,
    summary::Summary,
};

/// Between two lines that say how a soak goes.
const TELL_AFTER: Duration = Duration::from_secs(30);

/// Boot edu.sys, or another driver of the device, in the rig
#[derive(Debug, Parser)]
#[command(
    name = "rig-run",
    bin_name = "cargo xtask rig",
    group = ArgGroup::new("scenarios").args(["scenario", "all"]),
    group = ArgGroup::new("tells").args(["list", "rules"]),
    after_help = "Without scenarios and without a command for eductl the rig stays up until Enter or Ctrl-C.\n\
                  Exit code: eductl's, or 0 when all scenarios passed; 1 when the rig stopped or a scenario failed; \
                  2 for a wrong command line."
)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line and depends on no other"
)]
struct Arguments {
    /// List the scenarios, each with a line about it
    #[arg(long, exclusive = true)]
    list: bool,
    /// Print the kernel's rules and what proves that the rig enforces each, as a
    /// Markdown table
    #[arg(long, exclusive = true)]
    rules: bool,
    /// Run the scenarios of these names, or all whose names hold the word
    #[arg(long, value_name = "NAME", num_args = 1..)]
    scenario: Vec<String>,
    /// Run all scenarios
    #[arg(long)]
    all: bool,
    /// Another driver for the device, whoever made it; its symbols (FILE.pdb) are looked
    /// for beside it
    #[arg(long, value_name = "FILE.sys", value_parser = file)]
    driver: Option<PathBuf>,
    /// Write a report into this folder: report.json and report.html
    #[arg(long, value_name = "FOLDER")]
    report: Option<PathBuf>,
    /// Take the devices through what happens to a device in its life: every query, stop
    /// and start, sleep and waking up, removal and surprise removal
    #[arg(long, conflicts_with = "scenarios")]
    exercise: bool,
    /// For so many minutes, requests of all kinds while whatever may happen does, by chance:
    /// calls that fail, cancellations, surprise removals, stop and start, sleep
    #[arg(long, value_name = "MINUTES", conflicts_with = "scenarios")]
    soak: Option<f64>,
    /// So many requests by chance, from several threads and handles at once, each answer judged;
    /// `--seed` has others
    #[arg(long, value_name = "REQUESTS", conflicts_with = "scenarios")]
    random: Option<u64>,
    /// Run fixed requests on a machine whose time is its instructions' and whose processors take
    /// turns: every such run of one processor with the same options is the same, to the
    /// instruction
    #[arg(long, conflicts_with_all = ["scenarios", "eductl", "exercise", "soak", "random", "keep", "gdb"])]
    icount: bool,
    /// Leave the rig up, after eductl's command if there is one, until Enter or Ctrl-C
    #[arg(long, conflicts_with = "scenarios")]
    keep: bool,
    #[command(flatten)]
    machine: MachineOptions,
    /// What to have eductl do
    #[arg(last = true, value_name = "EDUCTL-ARGS", conflicts_with = "scenarios")]
    eductl: Vec<String>,
}

/// A file that is there.
fn file(path: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(path);
    if path.is_file() {
        Ok(path)
    } else {
        Err("there is no such file".to_owned())
    }
}

/// The program `rig-run`.
#[must_use]
pub fn main() -> ExitCode {
    run(&Arguments::parse()).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if arguments.rules {
        rules::print()?;
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.list {
        list()?;
        return Ok(ExitCode::SUCCESS);
    }
    let book = Book::default();
    let mut artifacts = Artifacts::find()?;
    if let Some(driver) = &arguments.driver {
        artifacts = artifacts.with_driver(driver);
    }
    if arguments.report.is_some() {
        artifacts = artifacts.with_book(&book);
    }
    if arguments.all || !arguments.scenario.is_empty() {
        return run_scenarios(arguments, &artifacts);
    }
    let outcome = run_rig(arguments, &artifacts);
    let command = own_command();
    if let Some(folder) = &arguments.report {
        let error = match &outcome {
            Ok(0) => None,
            Ok(code) => Some(format!("eductl ended with {code}")),
            Err(error) => Some(format!("{error:#}")),
        };
        write_report(&Report::of_run(&command, error, book.take()), folder)?;
    }
    match outcome {
        Ok(code) => Ok(ExitCode::from(code)),
        Err(error) => {
            eprintln!("error: {error:#}\n\nTo repeat it: {command}");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Names all scenarios.
fn list() -> anyhow::Result<()> {
    let mut output = io::stdout().lock();
    for scenario in cases::all() {
        let name = scenario.name();
        writeln!(output, "{name:<52}  {}", about(name).unwrap_or_default())
            .context("cannot print the list")?;
    }
    Ok(())
}

/// Runs the scenarios that were asked for.
fn run_scenarios(arguments: &Arguments, artifacts: &Artifacts) -> anyhow::Result<ExitCode> {
    let mut scenarios = cases::all();
    if !arguments.all {
        scenarios = chosen(scenarios, &arguments.scenario);
    }
    let results = runner::run(artifacts, scenarios)?;
    write!(io::stdout().lock(), "\n{results}").context("cannot print the table")?;
    if let Some(folder) = &arguments.report {
        write_report(&Report::of(&results), folder)?;
    }
    Ok(if results.failed().next().is_some() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Those of these names; of a name that none has, those whose names hold it. Ends the
/// program when there are none.
fn chosen(all: Vec<Scenario>, names: &[String]) -> Vec<Scenario> {
    for name in names {
        if !all.iter().any(|scenario| scenario.name().contains(name)) {
            Arguments::command()
                .error(
                    ErrorKind::InvalidValue,
                    format!("no scenario's name holds '{name}'; --list names all"),
                )
                .exit();
        }
    }
    let is_whole = |name: &String| all.iter().any(|scenario| scenario.name() == name);
    let (whole, words): (Vec<_>, Vec<_>) = names.iter().partition(|name| is_whole(name));
    all.into_iter()
        .filter(|scenario| {
            let name = scenario.name();
            whole.iter().any(|wanted| *wanted == name)
                || words.iter().any(|word| name.contains(word.as_str()))
        })
        .collect()
}

/// Soaks the driver.
fn soak(running: &Running, minutes: f64, seed: u64) -> anyhow::Result<()> {
    let length = Duration::try_from_secs_f64(60.0 * minutes)
        .with_context(|| format!("{minutes} minutes is no length of a soak"))?;
    let began = Instant::now();
    let mut told = Duration::ZERO;
    let totals = cases::soak::run(&running.connect()?, length, seed, &mut |totals| {
        if began.elapsed() >= told + TELL_AFTER {
            told = began.elapsed();
            eprintln!("{:4.0} s: {totals}", told.as_secs_f64());
        }
    })?;
    eprintln!("soak with seed {seed}: {totals}");
    Ok(())
}

/// Sends the driver requests by chance.
fn random(running: &Running, count: u64, seed: u64) -> anyhow::Result<()> {
    let began = Instant::now();
    let totals = cases::random::run(&running.connect()?, count, seed)?;
    let seconds = began.elapsed().as_secs_f64();
    println!("seed {seed}, {seconds:.0} s: {totals}");
    Ok(())
}

/// Boots one rig and does with it what was asked for; the exit code is eductl's.
fn run_rig(arguments: &Arguments, artifacts: &Artifacts) -> anyhow::Result<u8> {
    let mut machine = arguments.machine.machine(artifacts);
    if arguments.icount {
        for answer in counted::answers(&counted::run(&machine)?) {
            eprintln!("{}", counted::shortened(answer));
        }
        return Ok(0);
    }
    let stays = arguments.keep
        || (arguments.eductl.is_empty()
            && !arguments.exercise
            && arguments.soak.is_none()
            && arguments.random.is_none());
    if stays
        || arguments.soak.is_some()
        || arguments.random.is_some()
        || arguments.machine.waits_for_debugger()
    {
        machine = machine.with_time_limit(Duration::ZERO);
    }
    // Without a limit only Ctrl-C ends a machine that waits for a debugger.
    let wish = if arguments.machine.waits_for_debugger() {
        None
    } else {
        machine = machine.apart_from_terminal();
        Some(keep_up::watch_keyboard()?)
    };
    let running = machine.start()?;
    let running = if arguments.machine.waits_for_debugger() {
        let running = running.wait_for_debugger()?;
        let script = debugger::script(artifacts, &running.records())?;
        eprintln!(
            "The rig waits before the driver's first instruction. Functions and lines are known, variables are not:\n    gdb -x {}",
            script.display()
        );
        running
    } else {
        running
    };
    let (running, ready) = running.wait_ready()?;
    eprintln!(
        "The rig is ready after {:.1} s: {} processor(s), {} device(s), {}, driver {}.",
        running.age().as_secs_f64(),
        ready.processors,
        ready.devices,
        ready.irq,
        ready.driver
    );
    let mut outcome = Ok(());
    let mut code = 0;
    let wish = match wish {
        Some(wish) => wish,
        None => keep_up::watch_keyboard()?,
    };
    let is_wanted = !wish.is_interrupted();
    if is_wanted && !arguments.eductl.is_empty() {
        code = keep_up::eductl(artifacts, &running, &arguments.eductl)?;
        // Ctrl-C was eductl's so far.
        let _was_interrupted = wish.is_interrupted();
    }
    if is_wanted && arguments.exercise {
        outcome = exercise::run(&running, ready.devices, |step| eprintln!("{step}"));
    }
    if let Some(minutes) = arguments.soak
        && is_wanted
        && outcome.is_ok()
    {
        outcome = soak(&running, minutes, arguments.machine.seed());
    }
    if let Some(count) = arguments.random
        && is_wanted
        && outcome.is_ok()
    {
        outcome = random(&running, count, arguments.machine.seed());
    }
    if is_wanted && stays && outcome.is_ok() {
        keep_up::wait(artifacts, &running, &wish)?;
    }
    let (report, ended) = running.shut_down()?;
    if let Some(report) = report {
        eprintln!("{}", Summary(&report));
    }
    match (outcome, ended.outcome == Outcome::Success) {
        (Ok(()), true) => Ok(code),
        (Err(error), true) => Err(error),
        // Why the rig stopped explains why the exercise failed.
        (_, false) => bail!("{ended}"),
    }
}

fn write_report(report: &Report, folder: &std::path::Path) -> anyhow::Result<()> {
    for file in report.write(folder)? {
        eprintln!("{}", file.display());
    }
    Ok(())
}

/// The command that started this program, for a shell.
fn own_command() -> String {
    let words = env::args().skip(1).map(|word| quoted(&word));
    ["cargo", "xtask", "rig"]
        .into_iter()
        .map(ToOwned::to_owned)
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::{Arguments, chosen};
    use crate::cases;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn scenarios_and_a_command_exclude_each_other() {
        let words = ["rig-run", "--all", "--", "info"];
        assert!(Arguments::try_parse_from(words).is_err());
        assert!(Arguments::try_parse_from(["rig-run", "--all", "--scenario", "x"]).is_err());
        assert!(Arguments::try_parse_from(["rig-run", "--all", "--smp", "2"]).is_err());
        assert!(Arguments::try_parse_from(["rig-run", "--scenario", "a", "b"]).is_ok());
    }

    #[test]
    fn a_whole_name_is_only_itself_and_a_word_is_all_that_hold_it() {
        let names = |wanted: &str| -> Vec<String> {
            chosen(cases::all(), &[wanted.to_owned()])
                .iter()
                .map(|scenario| scenario.name().to_owned())
                .collect()
        };
        assert_eq!(names("cancel/storm/1"), ["cancel/storm/1"]);
        let held = names("verify/");
        assert!(held.len() > 1 && held.iter().all(|name| name.starts_with("verify/")));
    }
}
