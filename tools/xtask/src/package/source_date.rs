//! The date of the source, which the INF and the catalogue bear.
//!
//! The time at which a package is made would make every package another one. The
//! signatures alone have that.

use std::{env, process::Command, time::Duration};

use anyhow::{Context as _, bail};
use der::DateTime;

use crate::{command, workspace::Workspace};

/// Names the date, in seconds since 1970, for whoever has the source without git:
/// <https://reproducible-builds.org/specs/source-date-epoch/>.
const VARIABLE: &str = "SOURCE_DATE_EPOCH";

/// A day, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SourceDate(DateTime);

impl SourceDate {
    /// That of the last commit, or what the environment says.
    pub(super) fn of(workspace: &Workspace) -> anyhow::Result<Self> {
        let seconds = match env::var(VARIABLE) {
            Ok(seconds) => seconds,
            Err(env::VarError::NotPresent) => {
                command::output(Command::new("git").current_dir(workspace.root()).args([
                    "log",
                    "-1",
                    "--format=%ct",
                ]))
                .with_context(|| format!("without git, {VARIABLE} has to name the source's date"))?
            }
            Err(error) => bail!("{VARIABLE}: {error}"),
        };
        Self::from_seconds(&seconds)
    }

    pub(super) fn from_seconds(seconds: &str) -> anyhow::Result<Self> {
        let seconds: u64 = seconds
            .trim()
            .parse()
            .with_context(|| format!("{seconds:?} is no number of seconds since 1970"))?;
        let time = DateTime::from_unix_duration(Duration::from_secs(seconds))?;
        Ok(Self(DateTime::new(
            time.year(),
            time.month(),
            time.day(),
            0,
            0,
            0,
        )?))
    }

    /// As `DriverVer` has it: month, day, year.
    pub(super) fn for_inf(&self) -> String {
        let Self(date) = self;
        format!("{:02}/{:02}/{}", date.month(), date.day(), date.year())
    }

    /// Its first second, as ASN.1 has it.
    pub(super) const fn time(&self) -> DateTime {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_its_day() {
        let date = SourceDate::from_seconds("1763817603\n").expect("a time");
        assert_eq!(date.for_inf(), "11/22/2025");
        assert_eq!(date.time().unix_duration().as_secs() % 86_400, 0);
    }

    #[test]
    fn what_is_no_time_is_refused() {
        assert!(SourceDate::from_seconds("yesterday").is_err());
        assert!(SourceDate::from_seconds("").is_err());
    }
}
