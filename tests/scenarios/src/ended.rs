//! How a run went.

use std::{fmt, process::ExitStatus};

use crate::{
    artifacts::Artifacts,
    log::records,
    record::Record,
    symbols::{self, Module, Registers},
};

/// Lines of the log that are shown when a run ended in a way that the rig did
/// not announce.
const LAST_LINES: usize = 30;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As it should.
    Success,
    /// The rig stopped it.
    Violation,
    /// The rig refused to run.
    Refused,
    /// It took too long.
    TimeLimit,
    /// QEMU ended without the rig's doing.
    Other(String),
}

impl Outcome {
    /// What QEMU's exit code says: `isa-debug-exit` makes `2 * value + 1` of what
    /// the rig writes to it, and `timeout` has codes of its own.
    fn of(status: Option<ExitStatus>) -> Self {
        match status.map(|status| status.code()) {
            Some(Some(33)) => Self::Success,
            Some(Some(35)) => Self::Violation,
            Some(Some(37)) => Self::Refused,
            None | Some(Some(124 | 137)) => Self::TimeLimit,
            Some(Some(code)) => Self::Other(format!("QEMU ended with exit code {code}")),
            Some(None) => Self::Other("QEMU was ended by a signal".to_owned()),
        }
    }
}

/// Why the rig stopped a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    /// Rule id, bug check code or fault.
    pub(crate) code: String,
    /// Where it was found.
    pub(crate) routine: String,
    /// On which processor.
    pub(crate) processor: String,
    /// At which IRQL.
    pub(crate) irql: String,
    /// What the rig says about it.
    pub(crate) text: Vec<String>,
    /// The calls that led there, innermost first.
    pub(crate) frames: Vec<String>,
}

/// A run that has ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    /// How.
    pub(crate) outcome: Outcome,
    /// The rig's log.
    pub(crate) log: Vec<String>,
    /// Why, if the rig stopped it.
    pub(crate) stop: Option<Stop>,
    /// What QEMU wrote to its standard error.
    pub(crate) messages: Vec<String>,
}

impl Ended {
    pub(crate) fn new(
        artifacts: &Artifacts,
        status: Option<ExitStatus>,
        log: Vec<String>,
        messages: Vec<String>,
    ) -> Self {
        let stop = stop(artifacts, &log);
        Self {
            outcome: Outcome::of(status),
            stop,
            log,
            messages,
        }
    }

    /// The rig's sentence about a refusal: its last line of text.
    #[must_use]
    pub(crate) fn refusal(&self) -> Option<&str> {
        if self.outcome != Outcome::Refused {
            return None;
        }
        self.log
            .iter()
            .rev()
            .map(|line| line.trim())
            .find(|line| !line.is_empty() && !line.starts_with('@'))
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.outcome, &self.stop) {
            (Outcome::Success, _) => formatter.write_str("it ended as it should"),
            (Outcome::Violation, Some(stop)) => write!(formatter, "{stop}"),
            (Outcome::Refused, _) => write!(
                formatter,
                "the rig refused to run: {}",
                self.refusal().unwrap_or("it did not say why")
            ),
            (Outcome::TimeLimit, _) => {
                formatter.write_str("it took too long and was ended")?;
                self.write_last_lines(formatter)
            }
            (Outcome::Violation, None) => {
                formatter.write_str("the rig stopped without saying why")?;
                self.write_last_lines(formatter)
            }
            (Outcome::Other(how), _) => {
                formatter.write_str(how)?;
                self.write_last_lines(formatter)
            }
        }
    }
}

impl Ended {
    fn write_last_lines(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, lines) in [("QEMU said", &self.messages), ("the log ends", &self.log)] {
            if !lines.is_empty() {
                let first = lines.len().saturating_sub(LAST_LINES);
                write!(formatter, "\n{name}:\n  {}", lines[first..].join("\n  "))?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "the rig stopped: {} in {} on processor {} at IRQL {}",
            self.code, self.routine, self.processor, self.irql
        )?;
        for line in &self.text {
            write!(formatter, "\n  {line}")?;
        }
        if !self.frames.is_empty() {
            formatter.write_str("\nstack, innermost call first:")?;
        }
        for (index, frame) in self.frames.iter().enumerate() {
            write!(formatter, "\n  {index:>2}  {frame}")?;
        }
        Ok(())
    }
}

/// The stop in `log`, if there is one.
fn stop(artifacts: &Artifacts, log: &[String]) -> Option<Stop> {
    let at = log
        .iter()
        .position(|line| matches!(Record::parse(line), Ok(Some(Record::Stop { .. }))))?;
    let Ok(Some(Record::Stop {
        code,
        routine,
        processor,
        irql,
    })) = Record::parse(&log[at])
    else {
        return None;
    };
    let text = log[at + 1..]
        .iter()
        .take_while(|line| !line.starts_with('@'))
        .filter(|line| !line.trim().is_empty())
        .cloned()
        .collect();
    Some(Stop {
        code,
        routine,
        processor,
        irql,
        text,
        frames: frames(artifacts, log),
    })
}

/// The named stack, or a line that says why there is none.
fn frames(artifacts: &Artifacts, log: &[String]) -> Vec<String> {
    let mut modules = Vec::new();
    let mut registers = None;
    let mut stack = Vec::new();
    for record in records(log) {
        match record {
            Record::Module { name, base, size } => modules.push(Module { name, base, size }),
            Record::Registers(values) => registers = Some(Registers(values)),
            Record::Stack { address, bytes } => stack.push((address, bytes)),
            _ => {}
        }
    }
    let Some(registers) = registers else {
        return Vec::new();
    };
    symbols::frames(artifacts, &modules, &registers, &stack)
        .unwrap_or_else(|error| vec![format!("(the stack cannot be shown: {error:#})")])
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Ended, Outcome, Stop};
    use crate::artifacts::Artifacts;

    fn ended(outcome: Outcome, lines: &[&str]) -> Ended {
        let folder = tempfile::tempdir().unwrap();
        for file in ["edu.sys", "rig.efi", "eductl"] {
            std::fs::write(folder.path().join(file), "").unwrap();
        }
        let artifacts = Artifacts::at(folder.path()).unwrap();
        let log: Vec<String> = lines.iter().map(ToString::to_string).collect();
        let mut ended = Ended::new(&artifacts, None, log, vec![]);
        ended.outcome = outcome;
        ended
    }

    #[test]
    fn a_stop_is_found_with_its_text() {
        let ended = ended(
            Outcome::Violation,
            &[
                "The rig starts.",
                "@stop IRQL-01 routine=KeSetTimerEx processor=2 irql=5",
                "KeSetTimerEx was called at IRQL 5.",
                "@exit violation",
            ],
        );
        let expected = Stop {
            code: "IRQL-01".to_owned(),
            routine: "KeSetTimerEx".to_owned(),
            processor: "2".to_owned(),
            irql: "5".to_owned(),
            text: vec!["KeSetTimerEx was called at IRQL 5.".to_owned()],
            frames: vec![],
        };
        assert_eq!(ended.stop, Some(expected));
        let text = ended.to_string();
        assert!(
            text.contains("IRQL-01 in KeSetTimerEx on processor 2 at IRQL 5"),
            "{text}"
        );
    }

    #[test]
    fn a_refusal_is_the_last_sentence() {
        let lines = [
            "BdsDxe: starting",
            "There is no edu device.",
            "@exit refused",
        ];
        let refused = ended(Outcome::Refused, &lines);
        assert_eq!(refused.refusal(), Some("There is no edu device."));
        assert_eq!(ended(Outcome::Success, &lines).refusal(), None);
    }

    #[test]
    fn missing_files_are_named() {
        let error = Artifacts::at(Path::new("/nowhere")).unwrap_err();
        assert!(
            error.to_string().contains("edu.sys is not there"),
            "{error}"
        );
    }
}
