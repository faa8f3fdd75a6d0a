//! QEMU's log of executed instructions, read.
//!
//! A line `Trace` says that a piece of guest code is about to be executed, which is one
//! instruction here. A line `Stopped` or `rewound` takes it back: an interrupt, or the end of a
//! slice of time, came first, and the instruction is written down once more later. With
//! registers, the line is followed by what the processor holds.

use std::io::BufRead;

use anyhow::Context as _;

/// An instruction that was executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Executed {
    /// Where it is.
    pub(super) address: u64,
    /// The stack pointer before it, if that was written down.
    pub(super) stack: Option<u64>,
}

/// What a line of the log says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Executed(u64),
    TakenBack(u64),
    Stack(u64),
    Other,
}

/// Hands every instruction of the log to `take`, in order. One that repeats itself (`rep`) is
/// written down for each time, and is one.
///
/// # Errors
/// When the log cannot be read, or `take` fails.
pub(super) fn read(
    mut log: impl BufRead,
    mut take: impl FnMut(Executed) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut pending: Option<Executed> = None;
    // Whether the last one is the same instruction, executed again.
    let mut last: Option<u64> = None;
    let mut line = String::new();
    loop {
        line.clear();
        if log.read_line(&mut line).context("cannot read QEMU's log")? == 0 {
            break;
        }
        match parse(&line).with_context(|| format!("QEMU's log has a strange line: {line}"))? {
            Line::Executed(address) => {
                if let Some(executed) = pending.take() {
                    last = Some(executed.address);
                    take(executed)?;
                }
                if last != Some(address) {
                    pending = Some(Executed {
                        address,
                        stack: None,
                    });
                }
            }
            Line::TakenBack(address) => {
                if pending.is_some_and(|executed| executed.address == address) {
                    pending = None;
                }
            }
            Line::Stack(stack) => {
                if let Some(executed) = &mut pending {
                    executed.stack = Some(stack);
                }
            }
            Line::Other => {}
        }
    }
    pending.map_or(Ok(()), take)
}

fn parse(line: &str) -> Option<Line> {
    if line.starts_with("Trace ") {
        let (_, fields) = line.split_once('[')?;
        let address = fields.split('/').nth(1)?;
        return hexadecimal(address).map(Line::Executed);
    }
    if line.starts_with("Stopped execution of TB chain before") {
        let (_, rest) = line.split_once('[')?;
        return hexadecimal(rest.split(']').next()?).map(Line::TakenBack);
    }
    if let Some(rest) = line.strip_prefix("cpu_io_recompile: rewound execution of TB to ") {
        return hexadecimal(rest.trim()).map(Line::TakenBack);
    }
    match line.split_once("RSP=") {
        Some((_, rest)) => hexadecimal(rest.get(..16)?).map(Line::Stack),
        None => Some(Line::Other),
    }
}

fn hexadecimal(digits: &str) -> Option<u64> {
    u64::from_str_radix(digits.trim_start_matches("0x"), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(log: &str) -> anyhow::Result<Vec<(u64, Option<u64>)>> {
        let mut found = Vec::new();
        read(log.as_bytes(), |executed| {
            found.push((executed.address, executed.stack));
            Ok(())
        })?;
        Ok(found)
    }

    fn executed(address: u64) -> String {
        format!("Trace 0: 0x7f8a1c000100 [0000000000000000/{address:016x}/0040c0b3/ff000201] \n")
    }

    #[test]
    fn instructions_come_in_their_order() {
        let log = [executed(0x10), executed(0x13), executed(0x10)].concat();
        assert_eq!(
            addresses(&log).unwrap(),
            [(0x10, None), (0x13, None), (0x10, None)]
        );
    }

    #[test]
    fn what_was_not_executed_is_not_counted() {
        let log = [
            executed(0x10),
            executed(0x13),
            "Stopped execution of TB chain before 0x7f8a1c000100 [0000000000000013] \n".to_owned(),
            executed(0x40),
            executed(0x13),
            "cpu_io_recompile: rewound execution of TB to 0000000000000013\n".to_owned(),
            executed(0x13),
        ]
        .concat();
        assert_eq!(
            addresses(&log).unwrap(),
            [(0x10, None), (0x40, None), (0x13, None)]
        );
    }

    #[test]
    fn an_instruction_that_repeats_itself_is_one() {
        let log = [
            executed(0x10),
            executed(0x13),
            executed(0x13),
            executed(0x13),
            executed(0x15),
        ]
        .concat();
        assert_eq!(addresses(&log).unwrap().len(), 3);
    }

    #[test]
    fn the_stack_pointer_belongs_to_the_instruction_before_it() {
        let registers = "RAX=0000000000000001 RBX=0000000000000002 RCX=0 RDX=0\n\
             RSI=0000000000000001 RDI=0000000000000002 RBP=0000000000000003 RSP=ffff900000001ff8\n";
        let log = [executed(0x10), registers.to_owned(), executed(0x13)].concat();
        assert_eq!(
            addresses(&log).unwrap(),
            [(0x10, Some(0xffff_9000_0000_1ff8)), (0x13, None)]
        );
    }

    #[test]
    fn a_line_that_was_cut_off_is_an_error() {
        let error = addresses("Trace 0: 0x7f8a1c000100 [0000000000000000").unwrap_err();
        assert!(error.to_string().contains("strange line"), "{error}");
        assert!(addresses("Trace 0: 0x7f [0/xyz/0/0]\n").is_err());
    }
}
