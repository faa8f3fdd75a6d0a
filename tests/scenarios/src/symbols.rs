//! A stack with names: unwound by the images' own unwind information, named
//! from their PDBs.

use std::{collections::HashMap, fs, ops::Range};

use anyhow::Context as _;
use eductl::symbols;
use framehop::{
    FrameAddress, ModuleSectionInfo, Unwinder as _,
    x86_64::{CacheX86_64, Reg, UnwindRegsX86_64, UnwinderX86_64},
};
use object::{Object as _, ObjectSection as _};

use crate::artifacts::Artifacts;

/// Deepest stack that is shown.
const DEEPEST: usize = 64;

/// An image in the rig.
#[derive(Clone, Debug)]
pub(crate) struct Module {
    pub(crate) name: String,
    pub(crate) base: u64,
    pub(crate) size: u64,
}

impl Module {
    fn range(&self) -> Range<u64> {
        self.base..self.base.saturating_add(self.size)
    }
}

/// Registers by name.
pub(crate) struct Registers(pub(crate) HashMap<String, u64>);

impl Registers {
    fn get(&self, name: &str) -> anyhow::Result<u64> {
        self.0
            .get(name)
            .copied()
            .with_context(|| format!("the rig did not give {name}"))
    }

    fn for_unwinding(&self) -> anyhow::Result<UnwindRegsX86_64> {
        let [ip, sp, bp] = [self.get("rip")?, self.get("rsp")?, self.get("rbp")?];
        let mut registers = UnwindRegsX86_64::new(ip, sp, bp);
        for (name, register) in [
            ("rbx", Reg::RBX),
            ("rsi", Reg::RSI),
            ("rdi", Reg::RDI),
            ("r12", Reg::R12),
            ("r13", Reg::R13),
            ("r14", Reg::R14),
            ("r15", Reg::R15),
        ] {
            registers.set(register, self.get(name)?);
        }
        Ok(registers)
    }
}

/// The calls on the stack, innermost first, one line for each.
pub(crate) fn frames(
    artifacts: &Artifacts,
    modules: &[Module],
    registers: &Registers,
    stack: &[(u64, Vec<u8>)],
) -> anyhow::Result<Vec<String>> {
    let mut unwinder = UnwinderX86_64::<Vec<u8>>::new();
    for module in modules {
        let path = artifacts.symbols(&module.name).with_file_name(&module.name);
        let image = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let image = object::File::parse(image.as_slice())
            .with_context(|| format!("{} is no image", path.display()))?;
        unwinder.add_module(framehop::Module::new(
            module.name.clone(),
            module.range(),
            module.base,
            Sections(&image),
        ));
    }
    let mut lines = Vec::new();
    for address in unwind(&unwinder, registers, stack)? {
        name(artifacts, modules, address, &mut lines);
    }
    Ok(lines)
}

fn unwind(
    unwinder: &UnwinderX86_64<Vec<u8>>,
    registers: &Registers,
    stack: &[(u64, Vec<u8>)],
) -> anyhow::Result<Vec<FrameAddress>> {
    let mut read = |address: u64| read_word(stack, address).ok_or(());
    let start = registers.for_unwinding()?;
    let mut cache = CacheX86_64::<_>::new();
    let mut frames = unwinder.iter_frames(start.ip(), start, &mut cache, &mut read);
    let mut addresses = Vec::new();
    // An error is the end of what can be known: the stack record is bounded.
    while let Ok(Some(frame)) = frames.next() {
        addresses.push(frame);
        if addresses.len() == DEEPEST {
            break;
        }
    }
    Ok(addresses)
}

fn read_word(stack: &[(u64, Vec<u8>)], address: u64) -> Option<u64> {
    stack.iter().find_map(|(start, bytes)| {
        let offset = usize::try_from(address.checked_sub(*start)?).ok()?;
        let word = bytes.get(offset..offset.checked_add(8)?)?;
        Some(u64::from_le_bytes(word.try_into().ok()?))
    })
}

/// Adds the lines of one frame: the function, after what is inlined into it.
fn name(artifacts: &Artifacts, modules: &[Module], frame: FrameAddress, lines: &mut Vec<String>) {
    let address = frame.address_for_lookup();
    let Some(module) = modules
        .iter()
        .find(|module| module.range().contains(&address))
    else {
        lines.push(format!("{address:#x}"));
        return;
    };
    let offset = address - module.base;
    let place = format!("{}+{offset:#x}", module.name);
    let pdb = artifacts.symbols(&module.name);
    match u32::try_from(offset)
        .context("an image is smaller than 4 GiB")
        .and_then(|offset| Ok(symbols::functions(&pdb, offset)?))
    {
        Ok(functions) if !functions.is_empty() => {
            lines.extend(
                functions
                    .iter()
                    .map(|function| format!("{place}  {function}")),
            );
        }
        Ok(_) => lines.push(place),
        Err(error) => lines.push(format!("{place}  ({error:#})")),
    }
}

/// An image's sections, as the unwinder asks for them.
struct Sections<'a>(&'a object::File<'a>);

impl ModuleSectionInfo<Vec<u8>> for Sections<'_> {
    fn base_svma(&self) -> u64 {
        self.0.relative_address_base()
    }

    fn section_svma_range(&mut self, name: &[u8]) -> Option<Range<u64>> {
        let section = self.0.section_by_name_bytes(name)?;
        Some(section.address()..section.address().checked_add(section.size())?)
    }

    fn section_data(&mut self, name: &[u8]) -> Option<Vec<u8>> {
        let section = self.0.section_by_name_bytes(name)?;
        section.data().ok().map(<[u8]>::to_vec)
    }
}

#[cfg(test)]
mod tests {
    use super::read_word;

    #[test]
    fn a_word_is_read_only_where_the_stack_is_known() {
        let stack = [
            (0x1000, vec![1, 0, 0, 0, 0, 0, 0, 0, 2]),
            (0x2000, vec![7; 8]),
        ];
        assert_eq!(read_word(&stack, 0x1000), Some(1));
        assert_eq!(read_word(&stack, 0x1001), Some(2 << 56));
        assert_eq!(read_word(&stack, 0x1002), None);
        assert_eq!(read_word(&stack, 0xfff), None);
        assert_eq!(read_word(&stack, 0x2000), Some(0x0707_0707_0707_0707));
        assert_eq!(read_word(&stack, u64::MAX), None);
    }
}
