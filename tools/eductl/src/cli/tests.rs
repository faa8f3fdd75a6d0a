//! The program from its arguments to its exit code, against a fake rig.

use std::{fs, os::unix::net::UnixListener, path::Path, thread, time::Duration};

use clap::Parser as _;
use serde_json::{Value, json};

use super::{Arguments, Console, INTERRUPTED, RIGHT, UNREACHABLE, USAGE, WRONG, execute};
use crate::{
    fake_rig::{self, Fault},
    stop::Stop,
};

/// Exit code, standard output, standard error.
struct Printed {
    code: u8,
    output: String,
    messages: String,
}

fn eductl(fault: Fault, arguments: &str) -> Printed {
    eductl_with(fault, arguments, &Stop::default())
}

fn eductl_with(fault: Fault, arguments: &str, stop: &Stop) -> Printed {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("rig");
    let listener = UnixListener::bind(&socket).unwrap();
    fake_rig::listen(listener, fault);
    let words = ["--rig", socket.to_str().unwrap()];
    program(words.into_iter().chain(arguments.split_whitespace()), stop)
}

fn program<'a>(words: impl Iterator<Item = &'a str>, stop: &Stop) -> Printed {
    let arguments = Arguments::try_parse_from(["eductl"].into_iter().chain(words)).unwrap();
    let (mut output, mut messages) = (Vec::new(), Vec::new());
    let mut console = Console {
        output: &mut output,
        to_terminal: false,
        messages: &mut messages,
    };
    let code = execute(&arguments, &mut console, stop);
    Printed {
        code,
        output: String::from_utf8(output).unwrap(),
        messages: String::from_utf8(messages).unwrap(),
    }
}

#[test]
fn results_are_printed_as_text() {
    for (arguments, words) in [
        ("info", "revision 1.0"),
        ("liveness 0x1", "read its inverse 0xfffffffe"),
        ("factorial 12", "12! = 479001600\n"),
        ("factorial 13", "13! = 1932053504 modulo 2^32"),
        ("raise 0x100", "acknowledged 0x00000100"),
        (
            "raise 2 --times 3 --threads 2",
            "raised 0x00000002 6 times from 2 thread(s)",
        ),
        ("stats", "interrupts claimed by the ISR"),
        ("read --hex --length 3 --offset 0x10", "0010:   00 00 00"),
        ("read --length 2", "\0\0"),
        (
            "write --offset 4090 0x01 0203",
            "wrote 3 bytes at offset 4090\n",
        ),
        ("watch --seconds 1", "0 interrupts in 1.0 s\n"),
        ("verify", " 0 failed; "),
    ] {
        let printed = eductl(Fault::None, arguments);
        assert_eq!(printed.code, RIGHT, "{arguments}: {}", printed.messages);
        assert!(printed.output.contains(words), "{}", printed.output);
        assert_eq!(printed.messages, "");
    }
}

#[test]
fn results_are_printed_as_one_json_object() {
    for command in [
        "info",
        "liveness",
        "factorial 3",
        "raise 1",
        "stats",
        "read",
        "write 00",
        "watch --seconds 1",
        "verify",
    ] {
        let printed = eductl(Fault::None, &format!("{command} --json"));
        let value: Value = serde_json::from_str(&printed.output).unwrap();
        assert!(value.is_object(), "{command}: {value}");
    }
    let printed = eductl(Fault::None, "--json factorial 13");
    let value: Value = serde_json::from_str(&printed.output).unwrap();
    assert_eq!(
        value,
        json!({"n": 13, "value": 0x7328_cc00_u32, "wrapped": true})
    );
}

#[test]
fn a_wrong_answer_is_an_error_and_never_a_result() {
    for (fault, arguments) in [
        (Fault::WrongIdentification, "info"),
        (Fault::DeadDevice, "liveness"),
        (Fault::WrongFactorial, "factorial 13"),
        (Fault::LostCause, "raise 0x100"),
    ] {
        let printed = eductl(fault, arguments);
        assert_eq!((printed.code, printed.output.as_str()), (WRONG, ""));
        assert!(
            printed.messages.contains("wrong answer"),
            "{}",
            printed.messages
        );
    }
    let printed = eductl(Fault::ClaimsTwice, "verify");
    assert_eq!(printed.code, WRONG);
    assert!(
        printed.output.contains("FAIL  the counters agree"),
        "{}",
        printed.output
    );
}

#[test]
fn a_refusal_names_the_status_and_what_to_do() {
    let printed = eductl(Fault::None, "raise 0 --json");
    assert_eq!(printed.code, WRONG);
    assert!(
        printed
            .messages
            .contains("RAISE_INTERRUPT: STATUS_INVALID_PARAMETER (0xC000000D)"),
        "{}",
        printed.messages
    );
    let value: Value = serde_json::from_str(&printed.output).unwrap();
    assert!(
        value["error"]
            .as_str()
            .unwrap()
            .contains("STATUS_INVALID_PARAMETER")
    );
}

#[test]
fn a_rig_that_is_not_there_or_goes_is_unreachable() {
    let printed = eductl(Fault::None, "--device 1 info");
    assert_eq!(printed.code, UNREACHABLE);
    assert!(
        printed.messages.contains("no device 1"),
        "{}",
        printed.messages
    );
    assert_eq!(eductl(Fault::Dies, "factorial 20").code, UNREACHABLE);
    assert_eq!(eductl(Fault::OldVersion, "info").code, UNREACHABLE);
}

#[test]
fn a_wrong_command_line_is_refused() {
    for arguments in [
        "",
        "factorial",
        "factorial -1",
        "factorial 4294967296",
        "raise 0xgg",
        "raise 1 --threads 0",
        "raise 1 --times 0",
        "liveness 1 2",
        "write",
        "write 123",
        "write 12 --input file",
        "read --output file --hex",
        "watch --count 0",
        "completions tcsh",
        "frobnicate",
    ] {
        let words = ["eductl", "--rig", "socket"];
        let words = words.into_iter().chain(arguments.split_whitespace());
        assert!(Arguments::try_parse_from(words).is_err(), "{arguments}");
    }
}

#[test]
fn files_are_read_and_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (short, long, copy) = (path("short"), path("long"), path("copy"));
    fs::write(&short, [1; 100]).unwrap();
    fs::write(&long, [1; 4096]).unwrap();
    let printed = eductl(Fault::None, &format!("write --input {short} --offset 3995"));
    assert_eq!(printed.output, "wrote 100 bytes at offset 3995\n");
    let printed = eductl(Fault::None, &format!("read -o {copy} --json"));
    assert_eq!(printed.code, RIGHT);
    assert_eq!(fs::read(Path::new(&copy)).unwrap(), [0; 4095]);
    let value: Value = serde_json::from_str(&printed.output).unwrap();
    assert_eq!(value, json!({"offset": 0, "length": 4095, "file": copy}));
    for (arguments, words) in [
        (format!("write --input {long}"), "more than the 4095 bytes"),
        (
            format!("write -i {}", path("missing")),
            "missing: No such file",
        ),
        (
            format!("read -o {}", path("no/folder")),
            "no/folder: No such file",
        ),
        (
            format!("write -i {short} --offset 3996"),
            "writing 100 bytes at offset 3996: STATUS_INVALID_PARAMETER",
        ),
        ("read --offset 4095".to_owned(), "STATUS_END_OF_FILE"),
    ] {
        let printed = eductl(Fault::None, &arguments);
        assert_eq!((printed.code, printed.output.as_str()), (WRONG, ""));
        assert!(printed.messages.contains(words), "{}", printed.messages);
    }
}

#[test]
fn ctrl_c_ends_a_watch_with_what_there_was_and_anything_else_with_a_sentence() {
    let stop = Stop::default();
    let later = stop.clone();
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        later.request();
    });
    let printed = eductl_with(Fault::None, "watch --json", &stop);
    assert_eq!(printed.code, INTERRUPTED);
    let value: Value = serde_json::from_str(&printed.output).unwrap();
    assert_eq!(value["summary"]["end"], "interrupted");
    let printed = eductl_with(Fault::None, "raise 1 --times 1000", &stop);
    assert_eq!((printed.code, printed.output.as_str()), (INTERRUPTED, ""));
    assert_eq!(printed.messages, "eductl: RAISE_INTERRUPT: interrupted\n");
}

#[test]
fn completions_need_no_device_and_everything_else_does() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let printed = program(["completions", shell].into_iter(), &Stop::default());
        assert_eq!(printed.code, RIGHT);
        assert!(printed.output.contains("factorial"), "{shell}");
    }
    let printed = program(["info"].into_iter(), &Stop::default());
    assert_eq!(printed.code, USAGE);
    assert!(printed.messages.contains("--rig"), "{}", printed.messages);
}
