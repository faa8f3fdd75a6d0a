//! The program from its arguments to its exit code, against a fake rig.

use std::os::unix::net::UnixListener;

use clap::Parser as _;
use serde_json::{Value, json};

use super::{Arguments, RIGHT, UNREACHABLE, WRONG, execute};
use crate::fake_rig::{self, Fault};

/// Exit code, standard output, standard error.
struct Printed {
    code: u8,
    output: String,
    messages: String,
}

fn eductl(fault: Fault, arguments: &str) -> Printed {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("rig");
    let listener = UnixListener::bind(&socket).unwrap();
    fake_rig::listen(listener, fault);
    let words = ["eductl", "--rig", socket.to_str().unwrap()];
    let words = words.into_iter().chain(arguments.split_whitespace());
    let arguments = Arguments::try_parse_from(words).unwrap();
    let (mut output, mut messages) = (Vec::new(), Vec::new());
    let code = execute(&arguments, &mut output, &mut messages);
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
        "frobnicate",
    ] {
        let words = ["eductl", "--rig", "socket"];
        let words = words.into_iter().chain(arguments.split_whitespace());
        assert!(Arguments::try_parse_from(words).is_err(), "{arguments}");
    }
}
