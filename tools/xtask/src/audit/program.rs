//! The whole image, read: its routines, who calls whom, and whose address is taken where.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use anyhow::{Context as _, ensure};
use iced_x86::{Instruction, Mnemonic, OpKind};

use super::{
    image::Image,
    routine::{self, Call, End, Routine, Surroundings, Target},
    symbols::Symbols,
    types::{self, Types},
};

/// An image with its symbols and its routines.
pub(super) struct Program<'a> {
    pub(super) image: &'a Image,
    pub(super) symbols: &'a Symbols<'a>,
    pub(super) routines: BTreeMap<u64, Routine>,
    /// Routines whose address is taken, and the routines that take it; none where the
    /// image's data has it.
    pub(super) taken: BTreeMap<u64, BTreeSet<u64>>,
    /// Where the state of an interrupt has the pointers of mapped registers.
    pub(super) mappings: BTreeSet<u64>,
    /// Where a device has the pointer to the routine that is told of completions.
    pub(super) completing: Option<u64>,
}

impl<'a> Program<'a> {
    /// Reads every routine.
    ///
    /// # Errors
    /// If some code cannot be followed.
    pub(super) fn read(
        image: &'a Image,
        symbols: &'a Symbols<'a>,
        types: &Types,
    ) -> anyhow::Result<Self> {
        let mut program = Self {
            image,
            symbols,
            routines: BTreeMap::new(),
            taken: BTreeMap::new(),
            mappings: mappings(symbols, types),
            completing: types.member("dirql::device::Header", "completing"),
        };
        let mut starts: BTreeSet<u64> = symbols
            .routines()
            .keys()
            .chain(image.frames().keys())
            .copied()
            .chain(image.pointers())
            .chain([image.entry()])
            .filter(|&start| image.is_code(start))
            .collect();
        // Reading finds further routines, and that a call never returns.
        let data = program.data(&starts);
        let mut silent = BTreeSet::new();
        loop {
            program.read_all(&starts, &data, &silent)?;
            let found = program.starts();
            let never = program.never_returning(&silent);
            let is_more = !found.is_subset(&starts) || never != silent;
            starts.extend(found);
            silent = never;
            if !is_more {
                break;
            }
        }
        program.taken = program.find_taken();
        Ok(program)
    }

    /// What a routine is called: the first of its names, else its address.
    pub(super) fn name(&self, routine: u64) -> String {
        match self.symbols.names(routine) {
            [] => format!("the routine at {routine:#x}"),
            names => names.iter().min().cloned().unwrap_or_default(),
        }
    }

    /// Bytes of stack that a routine takes itself, as its unwind record says; a leaf has none.
    pub(super) fn recorded_frame(&self, routine: u64) -> Option<u64> {
        self.image.frames().get(&routine).map(|frame| frame.stack)
    }

    /// The import that a routine is only a stub of: it does nothing but jump there.
    pub(super) fn stub(&self, routine: u64) -> Option<&str> {
        let stub = self.routines.get(&routine)?;
        let mut calls = stub.calls();
        match (&calls.next()?.target, calls.next()) {
            (Target::Import(name), None) if stub.instructions().count() == 1 => Some(name),
            _ => None,
        }
    }

    /// The import that a call reaches, by itself or by its stub.
    pub(super) fn imported<'b>(&'b self, call: &'b Call) -> Option<&'b str> {
        match &call.target {
            Target::Import(name) => Some(name),
            Target::Routine(start) => self.stub(*start),
            Target::Unknown => None,
        }
    }

    /// The calls of every routine that is no stub, and the routine.
    pub(super) fn calls(&self) -> impl Iterator<Item = (u64, &Call)> {
        let routines = self
            .routines
            .values()
            .filter(|routine| self.stub(routine.entry).is_none());
        routines.flat_map(|routine| routine.calls().map(|call| (routine.entry, call)))
    }

    fn read_all(
        &mut self,
        starts: &BTreeSet<u64>,
        data: &BTreeSet<u64>,
        silent: &BTreeSet<u64>,
    ) -> anyhow::Result<()> {
        let never_returns = |target: &Target| is_silent(target, silent);
        for &start in starts {
            let around = Surroundings {
                image: self.image,
                end: self.end(start, starts),
                data,
                never_returns: &never_returns,
            };
            let routine = routine::read(start, &around)
                .with_context(|| format!("cannot follow {}", self.name(start)))?;
            self.routines.insert(start, routine);
        }
        Ok(())
    }

    /// Where a routine ends: as the PDB says, else as its unwind record does, else where the
    /// next one begins.
    fn end(&self, start: u64, starts: &BTreeSet<u64>) -> u64 {
        let symbol = self.symbols.routines().get(&start).and_then(|it| it.end);
        let record = self.image.frames().get(&start).map(|frame| frame.end);
        let behind = (Bound::Excluded(start), Bound::Unbounded);
        let next = || starts.range(behind).next().copied();
        symbol.max(record).or_else(next).unwrap_or(u64::MAX)
    }

    /// Code that no way leads to, by the routine in which it lies: what was not read was not
    /// measured. What fills gaps is not meant, nor the trap behind a call that never returns.
    pub(super) fn unread(&self) -> Vec<(u64, u64)> {
        let starts: BTreeSet<u64> = self.routines.keys().copied().collect();
        let read: BTreeMap<u64, u64> = self
            .routines
            .values()
            .flat_map(Routine::instructions)
            .map(|instruction| (instruction.ip(), instruction.next_ip()))
            .collect();
        let calls: BTreeSet<u64> = self
            .routines
            .values()
            .flat_map(Routine::calls)
            .filter_map(|call| read.get(&call.at).copied())
            .collect();
        let mut unread = Vec::new();
        for &start in &starts {
            let end = self.end(start, &starts);
            let mut address = start;
            while address < end {
                if let Some(&next) = read.get(&address) {
                    address = next;
                    continue;
                }
                // Behind the last routine there may be anything.
                let Ok(instruction) = self.image.instruction(address) else {
                    break;
                };
                let fills = match instruction.mnemonic() {
                    Mnemonic::Int3 | Mnemonic::Nop => true,
                    Mnemonic::Ud2 => calls.contains(&address),
                    _ => false,
                };
                if !fills {
                    unread.push((start, address));
                    break;
                }
                address = instruction.next_ip();
            }
        }
        unread
    }

    /// Routines that are called, or whose address is taken.
    fn starts(&self) -> BTreeSet<u64> {
        let called = self
            .routines
            .values()
            .flat_map(Routine::calls)
            .filter_map(|call| match call.target {
                Target::Routine(start) => Some(start),
                _ => None,
            });
        let taken = self.addresses().filter(|(_, at)| self.image.is_code(*at));
        called.chain(taken.map(|(_, at)| at)).collect()
    }

    /// Addresses of data that are taken anywhere: a jump table ends where the next begins.
    /// For that the code is scanned, because what is not followed yet may take one.
    fn data(&self, starts: &BTreeSet<u64>) -> BTreeSet<u64> {
        let mut data = BTreeSet::new();
        for &start in starts {
            let end = self.end(start, starts);
            let mut address = start;
            while address < end {
                // Between instructions there may be anything.
                let Ok(instruction) = self.image.instruction(address) else {
                    break;
                };
                if takes_address(&instruction) {
                    data.insert(instruction.ip_rel_memory_address());
                }
                address = instruction.next_ip();
            }
        }
        data
    }

    /// Every address that an instruction takes, and the routine that has it.
    fn addresses(&self) -> impl Iterator<Item = (u64, u64)> {
        self.routines.values().flat_map(|routine| {
            routine
                .instructions()
                .filter(|instruction| takes_address(instruction))
                .map(|instruction| (routine.entry, instruction.ip_rel_memory_address()))
        })
    }

    /// Routines from which nothing ever returns.
    fn never_returning(&self, known: &BTreeSet<u64>) -> BTreeSet<u64> {
        self.routines
            .values()
            .filter(|routine| {
                !routine.blocks.values().any(|block| match block.end {
                    End::Return => true,
                    End::TailCall => block
                        .calls
                        .last()
                        .is_none_or(|call| !is_silent(&call.target, known)),
                    End::Flow | End::NeverReturns | End::Trap => false,
                })
            })
            .map(|routine| routine.entry)
            .collect()
    }

    fn find_taken(&self) -> BTreeMap<u64, BTreeSet<u64>> {
        let mut taken: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
        for (routine, address) in self.addresses() {
            if self.image.is_code(address) {
                taken.entry(address).or_default().insert(routine);
            }
        }
        for address in self.image.pointers() {
            if self.image.is_code(address) {
                taken.entry(address).or_default();
            }
        }
        taken
    }

    /// Fails unless every import is one that the rules know.
    pub(super) fn check_imports(&self, knows: impl Fn(&str) -> bool) -> anyhow::Result<()> {
        for name in self.image.imports() {
            ensure!(
                knows(name),
                "the image imports {name}, and at which IRQL that may be called is not in the \
                 table (tests/rig/src/nt/exports.rs): add it"
            );
        }
        Ok(())
    }
}

/// Where the states of all interrupts have their mappings: each thunk of an ISR or of a
/// critical section has the state as its first argument. An ISR is given the interrupt, which
/// has the state in it.
fn mappings(symbols: &Symbols<'_>, types: &Types) -> BTreeSet<u64> {
    let names = symbols
        .routines()
        .values()
        .flat_map(|routine| &routine.names)
        .filter(|name| name.starts_with("dirql::interrupt::"));
    let mut mappings = BTreeSet::new();
    for name in names {
        let arguments = types::arguments(name);
        let Some(state) = arguments.first() else {
            continue;
        };
        let interrupt = format!("dirql::interrupt::Interrupt<{}>", arguments.join(","));
        let inside = types.member(&interrupt, "state");
        for part in types.parts(state, "dirql::io_mem::IoMem<") {
            mappings.insert(part);
            mappings.extend(inside.map(|inside| inside + part));
        }
    }
    mappings
}

fn takes_address(instruction: &Instruction) -> bool {
    instruction.mnemonic() == Mnemonic::Lea
        && instruction.is_ip_rel_memory_operand()
        && instruction.op0_kind() == OpKind::Register
}

/// Whether a call of `target` never returns.
fn is_silent(target: &Target, silent: &BTreeSet<u64>) -> bool {
    match target {
        Target::Routine(start) => silent.contains(start),
        Target::Import(name) => name == "KeBugCheckEx",
        Target::Unknown => false,
    }
}
