//! `install` and `uninstall` on the command line.

use std::path::PathBuf;

use clap::Args;

use super::Outcome;
use crate::commands::{CommandError, install};

#[derive(Debug, Args)]
pub(super) struct PackageArguments {
    /// The package's INF; without this, edu.inf beside this program
    #[arg(long, value_name = "FILE")]
    inf: Option<PathBuf>,
}

impl PackageArguments {
    pub(super) fn install(&self, json: bool) -> Result<Outcome, CommandError> {
        let result = install::install(self.inf.as_deref())?;
        Ok(Outcome::of(&result, result.succeeded(), json))
    }

    pub(super) fn uninstall(&self, json: bool) -> Result<Outcome, CommandError> {
        let result = install::uninstall(self.inf.as_deref())?;
        Ok(Outcome::of(&result, result.succeeded(), json))
    }
}
