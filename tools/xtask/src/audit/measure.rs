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
    /// Loops around what is being measured.
    loops: usize,
    /// Whether an instruction was met that comes from a register accessor.
    met_accessor: bool,
}

/// No driver's calls go deeper, and no loops are in more others: what a damaged image says is not
/// to be followed for ever.
const DEEPEST: usize = 256;
const NESTED: usize = 16;
const TOO_LONG: &str = "it is too long to be counted";

fn sum(one: u64, other: u64) -> anyhow::Result<u64> {
    one.checked_add(other).context(TOO_LONG)
}

/// What the kernel does is not this driver's, but for what it does as often as the driver says.
fn imported(name: &str, call: &Call, measure: Measure) -> anyhow::Result<u64> {
    const COPIES: [&str; 4] = ["memcpy", "memmove", "memset", "memcmp"];
    const AS_LONG_AS_TOLD: [&str; 3] = ["strlen", "wcslen", "KeStallExecutionProcessor"];
    ensure!(
        !AS_LONG_AS_TOLD.contains(&name),
        "{name}, which is called at {:#x}, takes as long as its argument says",
        call.at
    );
    if measure != Measure::BytesCopied || !COPIES.contains(&name) {
        return Ok(0);
    }
    call.values.constant(Register::R8).with_context(|| {
        format!(
            "{name}, which is called at {:#x}, takes as long as its argument says, and that is no \
             constant",
            call.at
        )
    })
}

impl<'a> Measurer<'a> {
    pub(super) const fn new(program: &'a Program<'a>) -> Self {
        Self {
            program,
            known: BTreeMap::new(),
            accesses: BTreeMap::new(),
            open: Vec::new(),
            loops: 0,
            met_accessor: false,
        }
    }

    /// Whether the source of the register accessors is what the PDB calls it: some measured
    /// instruction came from there.
    pub(super) const fn has_met_accessor(&self) -> bool {
        self.met_accessor
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
        ensure!(
            self.open.len() < DEEPEST,
            "{name} is more than {DEEPEST} calls deep, which is too deep to follow"
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
                    own = sum(own, self.block(routine, *at, measure)?)?;
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
            let all = sum(own, behind)?;
            for node in component.nodes {
                rest.insert(node, all);
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
        ensure!(
            self.loops < NESTED,
            "{} is in more than {NESTED} others, which is too many to follow",
            self.described(body)
        );
        self.loops += 1;
        let once = self.through(&round, head, body, measure);
        self.loops -= 1;
        rounds.checked_mul(once?).context(TOO_LONG)
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
            own = sum(own, self.called(call, measure)?)?;
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
            Target::Import(name) => imported(name, call, measure),
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
                let each = u64::try_from(instruction.memory_size().size())?;
                bytes = sum(bytes, count.checked_mul(each).context(TOO_LONG)?)?;
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
                let is_access = self.is_register_access(instruction, &values);
                if is_access {
                    found.push((instruction.ip(), access(instruction, &mut factory)));
                }
                if is_access || self.may_access(instruction) {
                    self.check_access(routine, instruction, is_access)?;
                }
                values.step(instruction, self.program.image, &mut factory);
            }
        }
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

    /// Fails if the source accesses a register there and that was not seen. The other way round
    /// would fail wrongly: compilers forget from which line a volatile store comes.
    fn check_access(
        &mut self,
        routine: &Routine,
        instruction: &Instruction,
        is_seen: bool,
    ) -> anyhow::Result<()> {
        let places = self.program.symbols.places(instruction.ip())?;
        let in_source = places
            .iter()
            .any(|place| ACCESSORS.contains(&place.file.as_str()));
        self.met_accessor |= in_source;
        ensure!(
            is_seen || !in_source,
            "the PDB says that {:#x}, in {}, accesses a device register, and the audit does not \
             see which one",
            instruction.ip(),
            self.program.name(routine.entry),
        );
        Ok(())
    }

    /// Whether an instruction reads or writes memory that may be a register: neither the stack
    /// nor a constant of the image, nor the place where the pointer of a mapping is.
    fn may_access(&self, instruction: &Instruction) -> bool {
        let is_mapping = instruction.memory_size().size() == 8
            && self
                .program
                .mappings
                .contains(&instruction.memory_displacement64());
        instruction.op_kinds().any(|kind| kind == OpKind::Memory)
            && !matches!(instruction.mnemonic(), Mnemonic::Lea | Mnemonic::Nop)
            && instruction.memory_base() != Register::RSP
            && !instruction.is_ip_rel_memory_operand()
            && !is_mapping
    }
}

/// The source of the register accessors.
pub(super) const ACCESSORS: [&str; 1] = ["driver/dirql/src/io_mem/mod.rs"];

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
