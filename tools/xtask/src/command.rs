//! Running other programs: each is printed first, in a form that can be pasted
//! into a shell, and a failure names the program and how it ended.

use std::{
    ffi::OsStr,
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context as _, bail};

/// Prints `command`, runs it with this process's input and output, and fails
/// unless it exits with 0.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    eprintln!("$ {}", rendered(command));
    let status = command.status().with_context(|| not_started(command))?;
    if !status.success() {
        bail!("{} failed: {status}", name(command));
    }
    Ok(())
}

/// Runs `command` and returns what it wrote to its standard output.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| not_started(command))?;
    if !output.status.success() {
        bail!(
            "{} failed: {}\n{}",
            rendered(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("{} wrote something that is not UTF-8", name(command)))
}

/// Runs `command` as if it were this process: same input and output, same exit
/// code.
pub(crate) fn replace_process(command: &mut Command) -> anyhow::Result<ExitCode> {
    let status = command.status().with_context(|| not_started(command))?;
    // A signal leaves no code; any failure will do then.
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

fn not_started(command: &Command) -> String {
    format!("cannot start {}: is it installed?", name(command))
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

/// The command as a person would type it.
pub(crate) fn rendered(command: &Command) -> String {
    let environment = command.get_envs().filter_map(|(key, value)| {
        value.map(|value| format!("{}={}", key.to_string_lossy(), quoted(value)))
    });
    let program = std::iter::once(quoted(command.get_program()));
    environment
        .chain(program)
        .chain(command.get_args().map(quoted))
        .collect::<Vec<_>>()
        .join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+/.,:%@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rendered_command_can_be_pasted_into_a_shell() {
        let mut command = Command::new("cargo");
        command
            .env("KEY", "two words")
            .args(["build", "it's", "--flag=1"]);
        assert_eq!(
            rendered(&command),
            r"KEY='two words' cargo build 'it'\''s' --flag=1"
        );
    }

    #[test]
    fn a_program_that_fails_is_named() {
        let error = run(&mut Command::new("false")).expect_err("false always fails");
        assert!(error.to_string().starts_with("false failed"), "{error}");
    }
}
