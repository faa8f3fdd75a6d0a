//! Record lines in the rig's log: what it tells programs, each line beginning
//! with `@`.

use std::collections::HashMap;

use anyhow::{Context as _, bail};

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// The rig waits until the host lets it go on.
    Held,
    /// An image was loaded.
    Module {
        /// File name.
        name: String,
        /// Address of its first byte.
        base: u64,
        /// Length in memory.
        size: u64,
    },
    /// The driver object was made.
    DriverObject {
        /// Its address.
        address: u64,
    },
    /// The driver is started and the command channel served.
    Ready(Ready),
    /// The run has failed.
    Stop {
        /// Rule id, bug check code or fault.
        code: String,
        /// Where it was found.
        routine: String,
        /// On which processor.
        processor: String,
        /// At which IRQL.
        irql: String,
    },
    /// Registers at a stop, by name.
    Registers(HashMap<String, u64>),
    /// A piece of the stack at a stop.
    Stack {
        /// Address of the first byte.
        address: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// A rule that the rig can break by itself, to show that it notices.
    SelfTest(String),
    /// Something that was counted in the run.
    Count {
        /// What.
        name: String,
        /// How much.
        count: u64,
    },
    /// How often a rule was checked.
    Checks {
        /// Its id.
        rule: String,
        /// How often.
        count: u64,
    },
    /// A routine that the driver imports.
    Import {
        /// Its name.
        name: String,
        /// How often it was called.
        calls: u64,
    },
    /// How long a processor was at an IRQL.
    IrqlTime {
        /// Which.
        processor: u32,
        /// The IRQL, or `idle`.
        level: String,
        /// Units of 100 ns.
        ticks: u64,
    },
    /// The rig waits for a debugger before the driver's first instruction.
    Debugger {
        /// Address of a word that is zero until the debugger is there.
        flag: u64,
        /// The driver's first instruction.
        entry: u64,
    },
    /// Marks for whoever watches the machine's instructions.
    Marks {
        /// Address of the first.
        marks: u64,
        /// Address of a routine whose instructions are known.
        known: u64,
        /// How many those are.
        instructions: u64,
    },
    /// What one of the marks means.
    Mark {
        /// Bytes from the first.
        code: u16,
        /// What it is about.
        what: String,
        /// Which of those.
        name: String,
    },
    /// How the run ends.
    Exit(String),
}

/// What the rig says when it is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    /// Processors that run.
    pub(crate) processors: u32,
    /// Devices that were found.
    pub(crate) devices: u32,
    /// Kind of interrupt.
    pub(crate) irq: String,
    /// State of the driver.
    pub(crate) driver: String,
}

impl Record {
    /// The record in `line`; none if it is text for people.
    ///
    /// # Errors
    /// When a line that should be a record is none.
    pub(crate) fn parse(line: &str) -> anyhow::Result<Option<Self>> {
        let Some(record) = line.strip_prefix('@') else {
            return Ok(None);
        };
        Self::parse_record(record)
            .with_context(|| format!("the rig's log has a record that cannot be read: {line}"))
            .map(Some)
    }

    fn parse_record(record: &str) -> anyhow::Result<Self> {
        let (kind, rest) = record.split_once(' ').unwrap_or((record, ""));
        let words: Vec<&str> = rest.split_whitespace().collect();
        Ok(match (kind, words.as_slice()) {
            ("held", []) => Self::Held,
            ("module", [name, base, size]) => Self::Module {
                name: (*name).to_owned(),
                base: hexadecimal(base)?,
                size: hexadecimal(size)?,
            },
            ("driver-object", [address]) => Self::DriverObject {
                address: hexadecimal(address)?,
            },
            ("ready", words) => Self::Ready(Ready {
                processors: value(words, "processors")?.parse()?,
                devices: value(words, "devices")?.parse()?,
                irq: value(words, "irq")?.to_owned(),
                driver: value(words, "driver")?.to_owned(),
            }),
            ("stop", [code, words @ ..]) => Self::Stop {
                code: (*code).to_owned(),
                routine: value(words, "routine")?.to_owned(),
                processor: value(words, "processor")?.to_owned(),
                irql: value(words, "irql")?.to_owned(),
            },
            ("regs", words) => Self::Registers(registers(words)?),
            ("stack", [address, bytes @ ..]) => Self::Stack {
                address: hexadecimal(address)?,
                bytes: unhex(&bytes.concat())?,
            },
            ("self-test", [rule]) => Self::SelfTest((*rule).to_owned()),
            ("count", [name, count]) => Self::Count {
                name: (*name).to_owned(),
                count: count.parse()?,
            },
            ("rule", [rule, count]) => Self::Checks {
                rule: (*rule).to_owned(),
                count: count.parse()?,
            },
            ("import", [name, calls]) => Self::Import {
                name: (*name).to_owned(),
                calls: calls.parse()?,
            },
            ("irql-time", [processor, level, ticks]) => Self::IrqlTime {
                processor: processor.parse()?,
                level: (*level).to_owned(),
                ticks: ticks.parse()?,
            },
            ("debugger", [flag, entry]) => Self::Debugger {
                flag: hexadecimal(flag)?,
                entry: hexadecimal(entry)?,
            },
            ("marks", [marks, known, instructions]) => Self::Marks {
                marks: hexadecimal(marks)?,
                known: hexadecimal(known)?,
                instructions: instructions.parse()?,
            },
            ("mark", [code, what, name]) => Self::Mark {
                code: u16::from_str_radix(code, 16)?,
                what: (*what).to_owned(),
                name: (*name).to_owned(),
            },
            ("exit", [how]) => Self::Exit((*how).to_owned()),
            _ => bail!("there is no such record"),
        })
    }
}

fn value<'a>(words: &[&'a str], key: &str) -> anyhow::Result<&'a str> {
    words
        .iter()
        .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
        .with_context(|| format!("{key}= is missing"))
}

fn registers(words: &[&str]) -> anyhow::Result<HashMap<String, u64>> {
    words
        .iter()
        .map(|word| {
            let (name, value) = word.split_once('=').context("a register has no value")?;
            Ok((name.to_owned(), hexadecimal(value)?))
        })
        .collect()
}

fn hexadecimal(text: &str) -> anyhow::Result<u64> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u64::from_str_radix(digits, 16).with_context(|| format!("{text} is no hexadecimal number"))
}

fn unhex(digits: &str) -> anyhow::Result<Vec<u8>> {
    if !digits.len().is_multiple_of(2) || !digits.is_ascii() {
        bail!("half a byte is left over");
    }
    (0..digits.len())
        .step_by(2)
        .map(|at| {
            u8::from_str_radix(&digits[at..at + 2], 16).context("bytes are two hexadecimal digits")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Ready, Record};

    #[test]
    fn records_are_read() {
        let module = Record::parse("@module edu.sys fffff80000000000 0x9000").unwrap();
        assert_eq!(
            module,
            Some(Record::Module {
                name: "edu.sys".to_owned(),
                base: 0xffff_f800_0000_0000,
                size: 0x9000,
            })
        );
        let ready = Record::parse("@ready processors=4 devices=1 irq=msi driver=started").unwrap();
        assert_eq!(
            ready,
            Some(Record::Ready(Ready {
                processors: 4,
                devices: 1,
                irq: "msi".to_owned(),
                driver: "started".to_owned(),
            }))
        );
        let stack = Record::parse("@stack 1000 00ff10").unwrap();
        assert_eq!(
            stack,
            Some(Record::Stack {
                address: 0x1000,
                bytes: vec![0, 0xff, 0x10],
            })
        );
    }

    #[test]
    fn text_is_no_record() {
        assert_eq!(Record::parse("The rig starts.").unwrap(), None);
    }

    #[test]
    fn a_bad_record_is_an_error_that_shows_it() {
        for line in [
            "@module edu.sys 12",
            "@ready processors=4",
            "@stack 1000 0f1",
            "@regs rip",
            "@unheard-of 1",
            "@mark 10000 enter StartIo",
            "@marks 1 2",
            "@stop",
        ] {
            let error = Record::parse(line).unwrap_err();
            assert!(error.to_string().contains(line), "{error}");
        }
    }
}
