//! How long a routine runs at most, what it does to the device, how much stack it takes.
//!
//! All are the greatest over every way through the routine and through what it calls. A loop
//! counts as often as [`super::loops`] proves that it can run. Which way that is, is not
//! asked: a way that no input takes counts too, so the figures are limits.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, bail, ensure};
use iced_x86::{Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register};

use super::{
    graph, loops,
    program::Program,
    routine::{Block, Call, Routine, Target},
    values::{Value, Values},
};

/// What is measured along a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Measure {
    Instructions,
    RegisterReads,
    RegisterWrites,
    /// Bytes that `rep movs` and `rep stos` move, each of which is one instruction.
    BytesCopied,
}

/// A device register that an instruction accesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Access {
    /// Which register, if the instruction says so.
    pub(super) offset: Option<u64>,
    pub(super) reads: bool,
    pub(super) writes: bool,
}

/// Measures routines of a program, each once.
pub(super) struct Measurer<'a> {
    program: &'a Program<'a>,
    known: BTreeMap<(u64, Measure), u64>,
    accesses: BTreeMap<u64, Vec<(u64, Access)>>,
    /// The routines that are being measured, to notice recursion.
    open: Vec<u64>,
}

impl<'a> Measurer<'a> {
    pub(super) const fn new(program: &'a Program<'a>) -> Self {
        Self {
            program,
            known: BTreeMap::new(),
            accesses: BTreeMap::new(),
            open: Vec::new(),
        }
    }

    /// The greatest `measure` of any way through a routine.
    ///
    /// # Errors
    /// If a loop has no proven bound, a call goes nobody knows where, or a routine calls
    /// itself.
    pub(super) fn longest(&mut self, start: u64, measure: Measure) -> anyhow::Result<u64> {
        if let Some(&known) = self.known.get(&(start, measure)) {
            return Ok(known);
        }
        let name = self.program.name(start);
        ensure!(
            !self.open.contains(&start),
            "{name} calls itself, so nothing bounds how often"
        );
        let routine = self
            .program
            .routines
            .get(&start)
            .with_context(|| format!("there is no routine at {start:#x}"))?;
        self.open.push(start);
        let all: BTreeSet<u64> = routine.blocks.keys().copied().collect();
        let found = self.through(routine, start, &all, measure);
        self.open.pop();
        let found = found.with_context(|| format!("in {name}"))?;
        self.known.insert((start, measure), found);
        Ok(found)
    }

    /// The greatest `measure` of any way through these blocks that begins at `head`.
    fn through(
        &mut self,
        routine: &Routine,
        head: u64,
        within: &BTreeSet<u64>,
        measure: Measure,
    ) -> anyhow::Result<u64> {
        let next = |block: u64| {
            routine
                .blocks
                .get(&block)
                .map_or(&[][..], |block| block.next.as_slice())
        };
        // From there to the end, by block.
        let mut rest: BTreeMap<u64, u64> = BTreeMap::new();
        for component in graph::components(within, next) {
            let own = if component.is_loop {
                self.around(routine, &component.nodes, measure)?
            } else {
                let mut own = 0;
                for at in &component.nodes {
                    own += self.block(routine, *at, measure)?;
                }
                own
            };
            let behind = component
                .nodes
                .iter()
                .flat_map(|&node| next(node))
                .filter(|to| !component.nodes.contains(to))
                .filter_map(|to| rest.get(to))
                .max()
                .copied()
                .unwrap_or_default();
            for node in component.nodes {
                rest.insert(node, own + behind);
            }
        }
        rest.get(&head)
            .copied()
            .with_context(|| format!("there is no block at {head:#x}"))
    }

    /// All the rounds of a loop.
    fn around(
        &mut self,
        routine: &Routine,
        body: &BTreeSet<u64>,
        measure: Measure,
    ) -> anyhow::Result<u64> {
        let entered: BTreeSet<u64> = routine
            .blocks
            .iter()
            .filter(|(at, _)| !body.contains(at))
            .flat_map(|(_, block)| block.next.iter().copied())
            .chain([routine.entry])
            .filter(|at| body.contains(at))
            .collect();
        let (Some(&head), 1) = (entered.first(), entered.len()) else {
            bail!("{} is entered in several places", self.described(body));
        };
        let rounds = loops::bound(routine, head, body)
            .with_context(|| format!("{} has no proven bound", self.described(body)))?;
        let mut round = routine.clone();
        // One way around ends where the next begins.
        for block in round.blocks.values_mut() {
            block.next.retain(|&to| to != head);
        }
        Ok(rounds * self.through(&round, head, body, measure)?)
    }

    fn described(&self, body: &BTreeSet<u64>) -> String {
        let at = body.first().copied().unwrap_or_default();
        match self.program.symbols.places(at).unwrap_or_default().first() {
            Some(place) => format!(
                "the loop at {at:#x} ({}, {}:{})",
                place.function, place.file, place.line
            ),
            None => format!("the loop at {at:#x}"),
        }
    }

    fn block(&mut self, routine: &Routine, at: u64, measure: Measure) -> anyhow::Result<u64> {
        let block = routine
            .blocks
            .get(&at)
            .with_context(|| format!("there is no block at {at:#x}"))?;
        let mut own = match measure {
            Measure::Instructions => u64::try_from(block.instructions.len())?,
            Measure::BytesCopied => self.copied(routine.entry, block)?,
            Measure::RegisterReads => self.count(routine, block, |access| access.reads)?,
            Measure::RegisterWrites => self.count(routine, block, |access| access.writes)?,
        };
        for call in &block.calls {
            own += self.called(call, measure)?;
        }
        Ok(own)
    }

    fn called(&mut self, call: &Call, measure: Measure) -> anyhow::Result<u64> {
        match &call.target {
            Target::Routine(start) if self.is_copy(*start) && measure == Measure::BytesCopied => {
                call.values.constant(Register::R8).with_context(|| {
                    format!("{:#x} copies, and the code does not say how much", call.at)
                })
            }
            Target::Routine(start) => self.longest(*start, measure),
            // What the kernel does is not this driver's.
            Target::Import(_) => Ok(0),
            Target::Unknown => bail!("the call at {:#x} goes nobody knows where", call.at),
        }
    }

    /// Whether a routine is one of those that move as many bytes as they are told, by
    /// `rep movs` or `rep stos`, and loop in no other way.
    fn is_copy(&self, start: u64) -> bool {
        const COPIES: [&str; 2] = [
            "compiler_builtins::mem::memcpy::memcpy",
            "compiler_builtins::mem::memset::memset",
        ];
        self.program
            .symbols
            .names(start)
            .iter()
            .any(|name| COPIES.contains(&name.as_str()))
    }

    /// Bytes that a block's own string instructions move.
    fn copied(&self, routine: u64, block: &Block) -> anyhow::Result<u64> {
        if self.is_copy(routine) {
            return Ok(0);
        }
        let mut factory = InstructionInfoFactory::new();
        let mut values: Values = block.before.clone();
        let mut bytes = 0;
        for instruction in &block.instructions {
            if instruction.has_rep_prefix() || instruction.has_repne_prefix() {
                let count = values.constant(Register::RCX).with_context(|| {
                    format!(
                        "the string instruction at {:#x} has no proven bound",
                        instruction.ip()
                    )
                })?;
                bytes += count * u64::try_from(instruction.memory_size().size())?;
            }
            values.step(instruction, self.program.image, &mut factory);
        }
        Ok(bytes)
    }

    fn count(
        &mut self,
        routine: &Routine,
        block: &Block,
        is_it: impl Fn(&Access) -> bool,
    ) -> anyhow::Result<u64> {
        let accesses = self.accesses(routine)?;
        let here = accesses.iter().filter(|(at, access)| {
            block.instructions.iter().any(|it| it.ip() == *at) && is_it(access)
        });
        Ok(u64::try_from(here.count())?)
    }

    /// The device registers that a routine itself accesses, and where.
    ///
    /// # Errors
    /// If the PDB is damaged.
    pub(super) fn accesses(&mut self, routine: &Routine) -> anyhow::Result<Vec<(u64, Access)>> {
        if let Some(known) = self.accesses.get(&routine.entry) {
            return Ok(known.clone());
        }
        let mut factory = InstructionInfoFactory::new();
        let mut found = Vec::new();
        for block in routine.blocks.values() {
            let mut values = block.before.clone();
            for instruction in &block.instructions {
                if self.is_register_access(instruction, &values) {
                    found.push((instruction.ip(), access(instruction, &mut factory)));
                }
                values.step(instruction, self.program.image, &mut factory);
            }
        }
        self.check_accesses(routine, !found.is_empty())?;
        self.accesses.insert(routine.entry, found.clone());
        Ok(found)
    }

    /// Whether an instruction accesses memory through the pointer of a mapping, which lies at
    /// a known place of the state that the interrupt protects.
    fn is_register_access(&self, instruction: &Instruction, values: &Values) -> bool {
        let is_mapping = |register: Register| {
            matches!(values.get(register), Some(Value::Loaded(offset))
                if self.program.mappings.contains(&offset))
        };
        instruction.op_kinds().any(|kind| kind == OpKind::Memory)
            && instruction.mnemonic() != Mnemonic::Lea
            && (is_mapping(instruction.memory_base()) || is_mapping(instruction.memory_index()))
    }

    /// Fails if the source accesses registers and the code was not seen to. The other way round
    /// would fail wrongly: compilers forget from which line a volatile store comes.
    fn check_accesses(&self, routine: &Routine, are_seen: bool) -> anyhow::Result<()> {
        let mut in_source = false;
        for instruction in routine.instructions() {
            let places = self.program.symbols.places(instruction.ip())?;
            in_source |= places
                .iter()
                .any(|place| ACCESSORS.contains(&place.file.as_str()));
        }
        ensure!(
            are_seen || !in_source,
            "the PDB says that {} accesses device registers, and the audit does not see which \
             instructions do",
            self.program.name(routine.entry),
        );
        Ok(())
    }
}

/// The source of the register accessors.
const ACCESSORS: [&str; 1] = ["driver/dirql/src/io_mem/mod.rs"];

fn access(instruction: &Instruction, factory: &mut InstructionInfoFactory) -> Access {
    let accesses: Vec<OpAccess> = factory
        .info(instruction)
        .used_memory()
        .iter()
        .map(iced_x86::UsedMemory::access)
        .collect();
    let any = |kinds: &[OpAccess]| accesses.iter().any(|access| kinds.contains(access));
    let is_fixed = instruction.memory_index() == Register::None;
    Access {
        offset: is_fixed.then(|| instruction.memory_displacement64()),
        reads: any(&[
            OpAccess::Read,
            OpAccess::CondRead,
            OpAccess::ReadWrite,
            OpAccess::ReadCondWrite,
        ]),
        writes: any(&[
            OpAccess::Write,
            OpAccess::CondWrite,
            OpAccess::ReadWrite,
            OpAccess::ReadCondWrite,
        ]),
    }
}
