//! `bugcheck`: why the machine was stopped, and where, of the four parameters that Windows
//! shows, writes to the event log and keeps in the dump.
//!
//! Two bug checks are ours. `DRQL` is `dirql`'s, for a broken invariant: its first parameter is
//! the reason. `RPNC` is a panic's, as `wdk-panic` reports it: the address and length of the
//! file's name, which lies in the image, then line and column. Needs no device.

mod address;
mod image;
mod reasons;
#[cfg(all(test, unix))]
mod tests;

use std::{fmt, path::PathBuf};

use serde::Serialize;

use super::CommandError;
use crate::symbols::{self, Function, SymbolsError, repository_path};
pub use address::Number;
use image::Image;
use reasons::{DIRQL, Reason};

/// The bug check code of a Rust panic, which `wdk-panic` uses.
const PANIC: u32 = u32::from_be_bytes(*b"RPNC");

/// What is known of the bug check.
#[derive(Clone, Debug)]
pub struct Question {
    /// The bug check code.
    pub code: Number,
    /// Its parameters.
    pub parameters: [Number; 4],
    /// Where the driver was loaded.
    pub base: Option<Number>,
    /// The driver.
    pub image: Option<PathBuf>,
    /// Its symbols.
    pub pdb: Option<PathBuf>,
    /// Return addresses from the stack.
    pub addresses: Vec<Number>,
}

/// What `bugcheck` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The bug check code, and what it spells.
    pub code: String,
    /// Why the machine was stopped.
    #[serde(flatten)]
    pub cause: Cause,
    /// The calls of the driver, for each address that was given.
    pub calls: Vec<Call>,
}

/// Why the machine was stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "cause")]
pub enum Cause {
    /// An invariant of `dirql` was broken.
    Invariant {
        /// The reason's number.
        reason: u64,
        /// Its name in the source.
        name: &'static str,
        /// What it means.
        meaning: &'static str,
        /// What it is about, an address mostly.
        about: String,
    },
    /// The driver panicked.
    Panic {
        /// In this file, if its name could be read.
        file: Option<String>,
        /// Why it could not be.
        unknown: Option<String>,
        /// Counted from 1.
        line: u64,
        /// Counted from 1.
        column: u64,
    },
    /// The place of a panic is not in the parameters.
    PanicNowhere,
}

/// What an address on the stack belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Call {
    /// The address.
    pub address: String,
    /// Its distance from the driver's first byte.
    pub offset: String,
    /// The functions, the innermost first.
    pub functions: Vec<Function>,
}

/// Finds out.
///
/// # Errors
/// [`CommandError`]: for a bug check of somebody else, for files that cannot be read or are of
/// different builds, and for addresses outside of the driver.
pub fn run(question: &Question) -> Result<Answer, CommandError> {
    let image = question.image.as_deref().map(Image::read).transpose()?;
    if let (Some(image), Some(pdb)) = (&image, &question.pdb) {
        image.expect_identity(symbols::identity(pdb)?, pdb)?;
    }
    let calls = question
        .addresses
        .iter()
        .map(|address| call(question, *address))
        .collect::<Result<_, _>>()?;
    let cause = cause(question, image.as_ref())?;
    Ok(Answer {
        code: spelt(question.code),
        cause,
        calls,
    })
}

fn cause(question: &Question, image: Option<&Image>) -> Result<Cause, CommandError> {
    let [first, second, third, fourth] = question.parameters;
    if question.code.0 == u64::from(DIRQL) {
        let reason = Reason::of(first.0).ok_or_else(|| {
            CommandError::Usage(format!(
                "dirql has no reason {} to stop the machine: is the first parameter copied \
                 rightly, and is this eductl of the driver's release?",
                first.0
            ))
        })?;
        return Ok(Cause::Invariant {
            reason: first.0,
            name: reason.name,
            meaning: reason.meaning(),
            about: second.to_string(),
        });
    }
    if question.code.0 != u64::from(PANIC) {
        return Err(CommandError::NothingToShow(format!(
            "bug check {} is none of edu.sys: a panic has {}, dirql has {}. WinDbg's `!analyze \
             -v` explains the others.",
            question.code,
            spelt(Number(PANIC.into())),
            spelt(Number(DIRQL.into())),
        )));
    }
    if question.parameters == [Number(0); 4] {
        return Ok(Cause::PanicNowhere);
    }
    let file = match (image, question.base) {
        (Some(image), Some(base)) => base
            .offset_of(first)
            .ok_or_else(|| format!("{first} lies before the driver, which was loaded at {base}"))
            .and_then(|offset| image.text(offset, second.0)),
        _ => Err(format!(
            "its name has {} bytes at {first}; --image and --base say where that is",
            second.0
        )),
    };
    let (file, unknown) = match file {
        Ok(file) => (Some(repository_path(&file).to_owned()), None),
        Err(reason) => (None, Some(reason)),
    };
    Ok(Cause::Panic {
        file,
        unknown,
        line: third.0,
        column: fourth.0,
    })
}

fn call(question: &Question, address: Number) -> Result<Call, CommandError> {
    let (Some(base), Some(pdb)) = (question.base, &question.pdb) else {
        return Err(CommandError::Usage(
            "an address is looked up with --pdb, the driver's symbols, and --base, where it was \
             loaded (WinDbg: `lm m edu`)"
                .to_owned(),
        ));
    };
    let offset = base
        .offset_of(address)
        .filter(|offset| *offset > 0)
        .ok_or_else(|| {
            CommandError::Usage(format!(
                "{address} does not lie in the driver, which was loaded at {base}"
            ))
        })?;
    // A return address is that of the next instruction, which may be another line's.
    let functions = symbols::functions(pdb, offset - 1)?;
    if functions.is_empty() {
        return Err(CommandError::Usage(format!(
            "{address} does not lie in a function of the driver that was loaded at {base}"
        )));
    }
    Ok(Call {
        address: address.to_string(),
        offset: format!("{offset:#x}"),
        functions,
    })
}

/// A code, with the letters that it consists of if it does.
fn spelt(code: Number) -> String {
    let letters = u32::try_from(code.0).map(u32::to_be_bytes);
    match letters {
        Ok(letters) if letters.iter().all(u8::is_ascii_uppercase) => {
            format!("{code} ({})", String::from_utf8_lossy(&letters))
        }
        _ => code.to_string(),
    }
}

impl From<SymbolsError> for CommandError {
    fn from(error: SymbolsError) -> Self {
        let reason = match &error {
            SymbolsError::Unreadable { reason, .. } => reason.to_string(),
            SymbolsError::Damaged { reason, .. } => format!(
                "this is no whole PDB ({reason}); name the .pdb file that was built with the image"
            ),
        };
        let (SymbolsError::Unreadable { path, .. } | SymbolsError::Damaged { path, .. }) = error;
        Self::File { path, reason }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "bug check   {}", self.code)?;
        match &self.cause {
            Cause::Invariant {
                reason,
                name,
                meaning,
                about,
            } => {
                writeln!(formatter, "cause       an invariant of dirql was broken")?;
                writeln!(formatter, "reason      {reason}, {name}: {meaning}")?;
                write!(formatter, "about       {about}")?;
            }
            Cause::Panic {
                file: Some(file),
                line,
                column,
                ..
            } => {
                writeln!(formatter, "cause       the driver panicked")?;
                write!(formatter, "place       {file}:{line}:{column}")?;
            }
            Cause::Panic {
                unknown,
                line,
                column,
                ..
            } => {
                writeln!(formatter, "cause       the driver panicked")?;
                write!(formatter, "place       line {line}, column {column}")?;
                if let Some(unknown) = unknown {
                    write!(formatter, " of a file that is not known: {unknown}")?;
                }
            }
            Cause::PanicNowhere => {
                write!(
                    formatter,
                    "cause       the driver panicked, and did not say where"
                )?;
            }
        }
        for call in &self.calls {
            for (place, function) in call.functions.iter().enumerate() {
                let address = if place == 0 {
                    &*call.address
                } else {
                    "inlined in"
                };
                write!(formatter, "\n{address:18}  {function}")?;
            }
        }
        Ok(())
    }
}
