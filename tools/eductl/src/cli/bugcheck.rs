//! The arguments of `bugcheck`.

use std::path::PathBuf;

use clap::Args;

use super::Outcome;
use crate::commands::{
    CommandError,
    bugcheck::{self, Number, Question},
};

/// A bug check as Windows shows it.
#[derive(Args, Debug)]
pub(super) struct BugcheckArguments {
    /// The bug check code
    code: Number,
    /// The first parameter
    p1: Number,
    /// The second
    p2: Number,
    /// The third
    p3: Number,
    /// The fourth
    p4: Number,
    /// The driver that was loaded, edu.sys, for the name of the file that panicked
    #[arg(long, value_name = "FILE", requires = "base")]
    image: Option<PathBuf>,
    /// Its symbols, edu.pdb
    #[arg(long, value_name = "FILE")]
    pdb: Option<PathBuf>,
    /// Where it was loaded; `lm m edu` in WinDbg says so
    #[arg(long, value_name = "ADDRESS")]
    base: Option<Number>,
    /// A return address from the stack (`k` in WinDbg), to be looked up; may be given again
    #[arg(long = "address", value_name = "ADDRESS", requires_all = ["pdb", "base"])]
    addresses: Vec<Number>,
}

impl BugcheckArguments {
    pub(super) fn run(&self, json: bool) -> Result<Outcome, CommandError> {
        let answer = bugcheck::run(&Question {
            code: self.code,
            parameters: [self.p1, self.p2, self.p3, self.p4],
            base: self.base,
            image: self.image.clone(),
            pdb: self.pdb.clone(),
            addresses: self.addresses.clone(),
        })?;
        Ok(Outcome::of(&answer, true, json))
    }
}
