//! Reading an image: all the instructions that a routine reaches.
//!
//! Code is followed, not scanned: through jumps both ways, into the routines of the
//! image that it calls, and into those whose address it takes, which is how a closure
//! gets to KeSynchronizeExecution. Each instruction counts once. What fills gaps does
//! not count, nor what stands behind a call that never returns.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    io::Cursor,
    path::Path,
};

use anyhow::{Context as _, bail, ensure};
use iced_x86::{
    Code as Operation, Decoder, DecoderOptions, FastFormatter, FlowControl, Instruction, Mnemonic,
    OpKind,
};
use object::{
    LittleEndian as LE,
    pe::{IMAGE_SCN_MEM_EXECUTE, ImageSectionHeader},
    read::pe::PeFile64,
};
use pdb_addr2line::{ContextPdbData, pdb::PDB};

use crate::workspace;

/// An image's code, and where its routines begin.
#[derive(Debug)]
pub(super) struct Code {
    sections: Vec<Section>,
    /// Addresses are relative to the image's base.
    routines: BTreeMap<String, u64>,
}

#[derive(Debug)]
struct Section {
    start: u64,
    bytes: Vec<u8>,
}

/// All instructions that a routine reaches, by address.
#[derive(Debug)]
pub(super) struct Reached {
    instructions: BTreeMap<u64, Instruction>,
    /// Where the routines among them begin, and what those are called.
    names: BTreeMap<u64, String>,
}

impl Code {
    /// Reads an image and its symbols.
    pub(super) fn read(image: &Path, symbols: &Path) -> anyhow::Result<Self> {
        let bytes = workspace::read(image)?;
        let pe = PeFile64::parse(bytes.as_slice())
            .with_context(|| format!("{} is no 64-bit PE image", image.display()))?;
        let sections = pe
            .section_table()
            .iter()
            .filter(|section| section.characteristics.get(LE).0 & IMAGE_SCN_MEM_EXECUTE.0 != 0)
            .map(|section| Section::read(section, &bytes))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let routines = routines(&workspace::read(symbols)?)
            .with_context(|| format!("cannot read {}", symbols.display()))?;
        Ok(Self { sections, routines })
    }

    /// All that the routine `name` reaches in this image.
    pub(super) fn reached_from(&self, name: &str) -> anyhow::Result<Reached> {
        let entry = *self
            .routines
            .get(name)
            .with_context(|| format!("there is no routine {name}"))?;
        let mut instructions = BTreeMap::new();
        let mut begins = BTreeSet::from([entry]);
        let mut open = vec![entry];
        while let Some(start) = open.pop() {
            self.follow(start, &mut instructions, &mut open, &mut begins)
                .with_context(|| format!("cannot follow {name} at {start:#x}"))?;
        }
        let names = self
            .routines
            .iter()
            .filter(|(_, address)| begins.contains(address))
            .map(|(name, &address)| (address, name.clone()))
            .collect();
        Ok(Reached {
            instructions,
            names,
        })
    }

    /// Takes in the instructions from `start` to where control goes elsewhere; `open`
    /// gets the places where it may go.
    fn follow(
        &self,
        start: u64,
        instructions: &mut BTreeMap<u64, Instruction>,
        open: &mut Vec<u64>,
        begins: &mut BTreeSet<u64>,
    ) -> anyhow::Result<()> {
        let section = self.section(start).context("this is no code")?;
        let offset = usize::try_from(start - section.start)?;
        let mut decoder =
            Decoder::with_ip(64, &section.bytes[offset..], start, DecoderOptions::NONE);
        while decoder.can_decode() {
            let instruction = decoder.decode();
            ensure!(!instruction.is_invalid(), "there is no instruction");
            if is_a_trap(&instruction)
                || instructions.insert(instruction.ip(), instruction).is_some()
            {
                return Ok(());
            }
            match instruction.flow_control() {
                FlowControl::Next | FlowControl::IndirectCall => {
                    if let Some(routine) = self.taken_address(&instruction) {
                        begins.insert(routine);
                        open.push(routine);
                    }
                }
                FlowControl::Call => {
                    begins.insert(instruction.near_branch_target());
                    open.push(instruction.near_branch_target());
                }
                FlowControl::ConditionalBranch => open.push(instruction.near_branch_target()),
                FlowControl::UnconditionalBranch => {
                    open.push(instruction.near_branch_target());
                    return Ok(());
                }
                // A routine of another image, called as the last act.
                FlowControl::IndirectBranch if instruction.is_ip_rel_memory_operand() => {
                    return Ok(());
                }
                FlowControl::Return => return Ok(()),
                other => bail!("an instruction of the kind {other:?} leads nobody knows where"),
            }
        }
        bail!("the section ends here")
    }

    /// The routine of this image whose address an instruction takes.
    fn taken_address(&self, instruction: &Instruction) -> Option<u64> {
        if instruction.mnemonic() != Mnemonic::Lea || !instruction.is_ip_rel_memory_operand() {
            return None;
        }
        let address = instruction.ip_rel_memory_address();
        self.section(address).map(|_| address)
    }

    fn section(&self, address: u64) -> Option<&Section> {
        self.sections.iter().find(|section| {
            address
                .checked_sub(section.start)
                .and_then(|offset| usize::try_from(offset).ok())
                .is_some_and(|offset| offset < section.bytes.len())
        })
    }
}

impl Section {
    fn read(header: &ImageSectionHeader, image: &[u8]) -> anyhow::Result<Self> {
        let bytes = header
            .pe_data(image)
            .context("a section lies outside the image")?;
        Ok(Self {
            start: u64::from(header.virtual_address.get(LE)),
            bytes: bytes.to_vec(),
        })
    }
}

impl Reached {
    /// How many there are, without those that only fill gaps.
    pub(super) fn count(&self) -> usize {
        self.instructions
            .values()
            .filter(|instruction| !is_filler(instruction))
            .count()
    }
}

/// The listing.
impl fmt::Display for Reached {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut written = FastFormatter::new();
        for (address, instruction) in &self.instructions {
            if let Some(name) = self.names.get(address) {
                writeln!(formatter, "{name}:")?;
            }
            let mut line = String::new();
            written.format(instruction, &mut line);
            writeln!(formatter, "    {line}")?;
        }
        Ok(())
    }
}

/// What the compilers put where control never gets.
fn is_a_trap(instruction: &Instruction) -> bool {
    matches!(instruction.code(), Operation::Int3 | Operation::Ud2)
}

fn is_filler(instruction: &Instruction) -> bool {
    instruction.mnemonic() == Mnemonic::Nop
        // `xchg ax, ax` is the two-byte filler.
        || (instruction.mnemonic() == Mnemonic::Xchg
            && instruction.op0_kind() == OpKind::Register
            && instruction.op0_register() == instruction.op1_register())
}

/// The routines that a PDB has, by their names without arguments.
fn routines(pdb: &[u8]) -> anyhow::Result<BTreeMap<String, u64>> {
    let pdb = PDB::open(Cursor::new(pdb))?;
    let symbols = ContextPdbData::try_from_pdb(pdb)?;
    let context = symbols.make_context()?;
    Ok(context
        .functions()
        .filter_map(|function| {
            let name = function.name?;
            let end = name.find('(').unwrap_or(name.len());
            Some((name[..end].to_owned(), u64::from(function.start_rva)))
        })
        .collect())
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Code, Reached, Section};

    const START: u64 = 0x1000;

    /// What a routine of these bytes reaches.
    fn reached(bytes: &[u8]) -> anyhow::Result<Reached> {
        let code = Code {
            sections: vec![Section {
                start: START,
                bytes: bytes.to_vec(),
            }],
            routines: [("entry".to_owned(), START)].into(),
        };
        code.reached_from("entry")
    }

    /// A routine of `count` instructions, one after the other.
    pub(in crate::cost) fn straight(count: usize) -> Reached {
        let mut bytes = vec![0x50; count.saturating_sub(1)];
        bytes.push(0xc3);
        reached(&bytes).expect("it ends with a return")
    }

    #[test]
    fn what_is_called_or_taken_the_address_of_is_followed_and_counted_once() {
        let bytes = [
            0x48, 0x8d, 0x05, 0x12, 0x00, 0x00, 0x00, // lea rax, [first]
            0xe8, 0x0d, 0x00, 0x00, 0x00, // call first
            0xe8, 0x0a, 0x00, 0x00, 0x00, // call second
            0x74, 0x01, // je over
            0xcc, // int3, where control never gets
            0x0f, 0x1f, 0x00, // over: nop
            0xc3, // ret
            0xcc, // between routines
            0x50, // first: push rax
            0xc3, // ret
            0x58, // second: pop rax
            0xc3, // ret
        ];
        let found = reached(&bytes).expect("all of it is code");
        // lea, call, call, je, ret; push, ret; pop, ret.
        assert_eq!(found.count(), 5 + 2 + 2, "{found}");
    }

    #[test]
    fn a_call_into_another_image_is_one_instruction() {
        // call [rip]; ret
        let found = reached(&[0xff, 0x15, 0, 0, 0, 0, 0xc3]).expect("it ends with a return");
        assert_eq!(found.count(), 2);
        // jmp [rip]
        let found = reached(&[0xff, 0x25, 0, 0, 0, 0]).expect("it ends there");
        assert_eq!(found.count(), 1);
    }

    #[test]
    fn what_cannot_be_followed_is_an_error() {
        // jmp rax
        assert!(reached(&[0xff, 0xe0]).is_err());
        // A routine that runs out of its section, and one that jumps out.
        assert!(reached(&[0x50]).is_err());
        assert!(reached(&[0xeb, 0x20]).is_err());
    }
}
