//! Recordings of a fake rig: what is written, and what is refused.

use std::{fs, path::Path};

use clap::Parser;

use super::{Options, TraceResult, run};
use crate::{
    commands::CommandError,
    device::Device,
    fake_rig::{self, Fault},
    rig::Rig,
    stop::{Interruptible, Stop},
    transport::{Open, System},
};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

fn options(file: &Path, more: &[&str]) -> Options {
    let file = file.to_str().unwrap();
    let seconds = if more.contains(&"--seconds") {
        &[][..]
    } else {
        &["--seconds", "1"]
    };
    let words = [&["trace", "-o", file], seconds].concat();
    Line::try_parse_from(words.iter().chain(more))
        .unwrap()
        .options
}

fn trace(fault: Fault, options: &Options, stop: &Stop) -> Result<TraceResult, CommandError> {
    let rig: Box<dyn System> = Box::new(Rig::over(fake_rig::start(fault)).unwrap());
    let system = Interruptible::new(rig, stop.clone());
    let handle = system.open(&Open::read_write(0)).unwrap();
    let result = run(&Device::new(handle.as_ref()), options, stop);
    let device = Device::new(handle.as_ref()).for_cleanup();
    assert!(
        !device.read_records(0).unwrap().on,
        "the recorder is left on"
    );
    result
}

#[test]
fn each_format_is_written_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let files = ["a.json", "a.svg", "a.HTML"].map(|name| folder.path().join(name));
    let more: Vec<&str> = files[1..]
        .iter()
        .flat_map(|file| ["-o", file.to_str().unwrap()])
        .chain(["--load"])
        .collect();
    let result = trace(Fault::None, &options(&files[0], &more), &Stop::default()).unwrap();
    for (file, begin) in files
        .iter()
        .zip(["{\"traceEvents\":[", "<svg", "<!DOCTYPE html>"])
    {
        let text = fs::read_to_string(file).unwrap();
        assert!(text.starts_with(begin), "{}", &text[..40]);
        let name = file.to_str().unwrap();
        assert!(result.to_string().contains(name), "{result}");
    }
    assert!(result.records > 100, "{result}");
    assert_eq!(
        (result.unusable, result.processors.len()),
        (0, 4),
        "{result}"
    );
}

#[test]
fn a_name_that_says_nothing_is_refused() {
    for name in ["trace", "trace.txt", ".json"] {
        let Err(error) = Line::try_parse_from(["trace", "-o", name]) else {
            panic!("{name} was taken");
        };
        assert!(error.to_string().contains("must end in .json"), "{error}");
    }
}

#[test]
fn a_recording_without_records_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.svg");
    let error = trace(Fault::None, &options(&file, &[]), &Stop::default()).unwrap_err();
    assert!(error.to_string().contains("--load"), "{error}");
    assert!(!file.exists());
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let file = Path::new("/nowhere/a.svg");
    let error = trace(Fault::None, &options(file, &["--load"]), &Stop::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("/nowhere/a.svg: it cannot be written"),
        "{error}"
    );
}

#[test]
fn a_wrong_answer_to_the_load_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.svg");
    for fault in [Fault::WrongFactorial, Fault::FlipsABit] {
        let error = trace(fault, &options(&file, &["--load"]), &Stop::default()).unwrap_err();
        assert!(matches!(error, CommandError::WrongAnswer(_)), "{error}");
    }
    assert!(!file.exists());
}

#[test]
fn what_was_recorded_until_ctrl_c_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.svg");
    let stop = Stop::default();
    let options = options(&file, &["--load", "--seconds", "3600"]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(std::time::Duration::from_millis(300));
            stop.request();
        });
        let result = trace(Fault::None, &options, &stop).unwrap();
        assert!(result.records > 0);
    });
    assert!(file.exists());
}

#[test]
fn a_chosen_time_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.svg");
    let options = options(&file, &["--load", "--from", "100", "--to", "900"]);
    let result = trace(Fault::None, &options, &Stop::default()).unwrap();
    assert_eq!(
        (result.view_start_ns, result.view_end_ns),
        (100_000, 900_000)
    );
}
