//! How deep the stack gets below an entry.
//!
//! Frames are those of the unwind records. A call takes eight bytes more; room for the
//! arguments of what is called is in the caller's frame. A critical section runs on the stack
//! of whoever asks the kernel for it, so it counts there, too. What the kernel itself takes is
//! the kernel's.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use iced_x86::{Instruction, Mnemonic, OpKind, Register};

use super::{
    entry::Kind,
    program::Program,
    routine::{Call, End, Target},
    values::Value,
};

/// A return address.
const RETURN: u64 = 8;

/// Measures stacks, each routine's once for each rank.
pub(super) struct Stacks<'a> {
    program: &'a Program<'a>,
    entries: &'a BTreeMap<u64, Kind>,
    known: BTreeMap<(u64, u8), u64>,
    open: Vec<u64>,
}

/// The rank of what is no callback, above all of them.
const TOP: u8 = u8::MAX;

impl<'a> Stacks<'a> {
    pub(super) const fn new(program: &'a Program<'a>, entries: &'a BTreeMap<u64, Kind>) -> Self {
        Self {
            program,
            entries,
            known: BTreeMap::new(),
            open: Vec::new(),
        }
    }

    /// Bytes from the return address of `entry` on.
    ///
    /// # Errors
    /// If a routine calls itself.
    pub(super) fn below(&mut self, entry: u64) -> anyhow::Result<u64> {
        let rank = match self.entries.get(&entry) {
            Some(Kind::Callback(rank)) => *rank,
            _ => TOP,
        };
        self.of(entry, rank)
    }

    /// Of a routine that a callback of `rank` has called: what it calls through a pointer is
    /// of a lower one.
    fn of(&mut self, start: u64, rank: u8) -> anyhow::Result<u64> {
        if let Some(&known) = self.known.get(&(start, rank)) {
            return Ok(known);
        }
        let name = self.program.name(start);
        ensure!(
            !self.open.contains(&start),
            "{name} calls itself, so nothing bounds its stack"
        );
        let routine = self
            .program
            .routines
            .get(&start)
            .with_context(|| format!("there is no routine at {start:#x}"))?;
        let frame = self.program.frame(start);
        ensure!(
            frame > 0 || !routine.instructions().any(moves_stack),
            "{name} moves the stack pointer and has no unwind record, so nobody can tell how much \
             stack it takes"
        );
        self.open.push(start);
        let mut deepest = frame;
        for block in routine.blocks.values() {
            let last = block.last().map_or(0, Instruction::ip);
            for call in &block.calls {
                // The frame of a routine that ends with a jump to another is gone by then.
                let below = if block.end == End::TailCall && call.at == last {
                    0
                } else {
                    frame
                };
                let callee = self.called(call, rank);
                deepest = deepest.max(below + callee.with_context(|| format!("below {name}"))?);
            }
        }
        self.open.pop();
        self.known.insert((start, rank), RETURN + deepest);
        Ok(RETURN + deepest)
    }

    fn called(&mut self, call: &Call, rank: u8) -> anyhow::Result<u64> {
        match &call.target {
            Target::Routine(start) => self.of(*start, rank),
            Target::Import(name) if name == "KeSynchronizeExecution" => {
                match call.values.get(Register::RDX) {
                    Some(Value::Address(section)) => Ok(RETURN + self.of(section, rank)?),
                    _ => Ok(RETURN),
                }
            }
            Target::Import(_) => Ok(RETURN),
            Target::Unknown => self.through_pointer(call, rank),
        }
    }

    /// The deepest of the callbacks that a call through a pointer may reach.
    fn through_pointer(&mut self, call: &Call, rank: u8) -> anyhow::Result<u64> {
        let places = self.program.symbols.places(call.at)?;
        let site = SITES.iter().find(|(function, ..)| {
            places
                .iter()
                .any(|place| place.function.starts_with(function))
        });
        let is_told = matches!(call.pointer(), Some(Value::Loaded(offset))
            if self.program.completing == Some(offset));
        let (reaches, rank) = match (site, is_told) {
            (_, true) => (COMPLETING, rank),
            (Some((_, reaches, most)), false) => (*reaches, rank.min(*most)),
            (None, false) => ("", rank),
        };
        let mut deepest = RETURN;
        for (&start, &kind) in self.entries {
            if let Kind::Callback(below) = kind
                && below < rank
                && self.program.name(start).contains(reaches)
            {
                deepest = deepest.max(self.of(start, below)?);
            }
        }
        Ok(deepest)
    }
}

/// Whether an instruction takes stack.
fn moves_stack(instruction: &Instruction) -> bool {
    match instruction.mnemonic() {
        Mnemonic::Push => true,
        Mnemonic::Sub | Mnemonic::Lea | Mnemonic::Mov | Mnemonic::And => {
            instruction.op0_kind() == OpKind::Register
                && instruction.op0_register() == Register::RSP
        }
        _ => false,
    }
}

/// The routine that a driver names to be told of completions.
const COMPLETING: &str = "dirql::completing::routine";
/// In no name, for the kernel's routines.
const KERNEL: &str = "\0";

/// Functions that call through a pointer, what is in the names of the routines that they
/// can reach, and the rank below which those are; what is not here may reach any callback.
const SITES: &[(&str, &str, u8)] = &[
    ("dirql::completing::tell", COMPLETING, TOP),
    (
        "dirql::irp_holders::Holder::close",
        "dirql::irp_holders::",
        TOP,
    ),
    (
        "dirql::irp_holders::Holder::end",
        "dirql::irp_holders::",
        TOP,
    ),
    ("dirql::irp_queue::search::", "", 1),
    // The operations of a DMA adapter.
    ("dirql::dma::", KERNEL, TOP),
];
