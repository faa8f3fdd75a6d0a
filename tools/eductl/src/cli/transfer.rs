//! `read` and `write` on the command line: where bytes go to and come from.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use clap::Args;
use edu_interface::DEVICE_BUFFER_BYTES;
use serde_json::json;

use super::{Outcome, number};
use crate::{
    commands::{CommandError, bytes::HexBytes, read, write},
    device::Device,
};

#[derive(Debug, Args)]
pub(super) struct ReadArguments {
    #[command(flatten)]
    offset: Offset,
    /// How many bytes; without this, all up to the end
    #[arg(long, value_name = "N", value_parser = number)]
    length: Option<u32>,
    /// Write them to this file
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print a hex dump even if the output is no terminal, where otherwise the bytes
    /// themselves are written
    #[arg(long, conflicts_with = "output")]
    hex: bool,
}

#[derive(Debug, Args)]
pub(super) struct WriteArguments {
    #[command(flatten)]
    offset: Offset,
    /// The bytes, hexadecimal, in one word or several
    #[arg(value_name = "HEX", required_unless_present = "input")]
    data: Vec<HexBytes>,
    /// Take the bytes from this file; `-` is the standard input
    #[arg(long, short, value_name = "FILE", conflicts_with = "data")]
    input: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Offset {
    /// Where in the device's buffer
    #[arg(
        long,
        value_name = "N",
        default_value = "0",
        value_parser = number,
        help = format!(
            "Where in the device's buffer, of which {DEVICE_BUFFER_BYTES} bytes can be reached"
        )
    )]
    offset: u32,
}

impl ReadArguments {
    pub(super) fn run(
        &self,
        device: &Device<'_>,
        json: bool,
        to_terminal: bool,
    ) -> Result<Outcome, CommandError> {
        let result = read::run(device, self.offset.offset.into(), self.length)?;
        let Some(path) = &self.output else {
            return Ok(if json || self.hex || to_terminal {
                Outcome::of(&result, true, json)
            } else {
                Outcome::bytes(result.data)
            });
        };
        fs::write(path, &result.data).map_err(|error| file_error(path, &error))?;
        let name = path.display().to_string();
        let (offset, length) = (result.offset, result.length);
        Ok(Outcome::text(if json {
            json!({ "offset": offset, "length": length, "file": name }).to_string()
        } else {
            format!("read {length} bytes at offset {offset} into {name}")
        }))
    }
}

impl WriteArguments {
    pub(super) fn run(&self, device: &Device<'_>, json: bool) -> Result<Outcome, CommandError> {
        let data = match &self.input {
            Some(path) => from_file(path)?,
            None => self
                .data
                .iter()
                .flat_map(|bytes| &bytes.0)
                .copied()
                .collect(),
        };
        let result = write::run(device, self.offset.offset.into(), &data)?;
        Ok(Outcome::of(&result, true, json))
    }
}

/// All of a file that is not longer than what it is for.
fn from_file(path: &Path) -> Result<Vec<u8>, CommandError> {
    let limit = u64::from(DEVICE_BUFFER_BYTES);
    let mut data = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().lock().take(limit + 1).read_to_end(&mut data)
    } else {
        File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut data))
    };
    read.map_err(|error| file_error(path, &error))?;
    if u64::try_from(data.len()).map_or(true, |length| length > limit) {
        return Err(CommandError::File {
            path: path.to_owned(),
            reason: format!("it has more than the {limit} bytes that fit in the device's buffer"),
        });
    }
    Ok(data)
}

fn file_error(path: &Path, error: &io::Error) -> CommandError {
    CommandError::File {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}
