//! A copy of the image, to be made wrong in one place.

use anyhow::{Context as _, ensure};
use object::{LittleEndian as LE, pe::IMAGE_SCN_MEM_WRITE, read::pe::PeFile64};

use super::super::{image::Image, measure::ACCESSORS, symbols::Symbols};

/// The critical section that is overwritten. It is a leaf, and a long one.
pub(super) const VICTIM: &str = "edu::power::silence";
/// One that reads registers.
const READER: &str = "edu::power::quiet";
/// What their names begin with.
const THUNK: &str = "dirql::interrupt::synchronize::synch_crit_section<";

/// Of a section header, which ends with them.
const SECTION_FLAGS: usize = 36;

/// The copy.
pub(super) struct Altered<'a> {
    pub(super) bytes: Vec<u8>,
    image: &'a Image,
    symbols: &'a Symbols<'a>,
    /// What every failure has to name; empty for the whole image.
    pub(super) victim: &'static str,
}

impl<'a> Altered<'a> {
    pub(super) fn new(bytes: &[u8], image: &'a Image, symbols: &'a Symbols<'a>) -> Self {
        Self {
            bytes: bytes.to_vec(),
            image,
            symbols,
            victim: "",
        }
    }

    /// Where the critical section begins, and its end.
    fn section(&self) -> anyhow::Result<(u64, u64)> {
        self.section_of(VICTIM)
    }

    fn section_of(&self, function: &str) -> anyhow::Result<(u64, u64)> {
        let closure = format!("{function}::closure_env$0");
        self.routine(|name| name.starts_with(THUNK) && name.contains(&closure))
            .context(closure)
    }

    /// Where the routine begins of which a name is so, and its end.
    fn routine(&self, is_it: impl Fn(&str) -> bool) -> anyhow::Result<(u64, u64)> {
        let routines = self.symbols.routines();
        let found = routines
            .iter()
            .find(|(_, routine)| routine.names.iter().any(|name| is_it(name)));
        let (start, routine) = found.context("there is no such routine")?;
        let end = routine.end.context("the routine has no end")?;
        Ok((*start, end))
    }

    /// Where in the file an address is.
    fn offset(&self, address: u64) -> anyhow::Result<usize> {
        let pe = PeFile64::parse(self.bytes.as_slice())?;
        let address = u32::try_from(address)?;
        let (offset, _) = pe
            .section_table()
            .pe_file_range_at(address)
            .with_context(|| format!("{address:#x} is not in the file"))?;
        Ok(usize::try_from(offset)?)
    }

    pub(super) fn put(&mut self, offset: usize, bytes: &[u8]) -> anyhow::Result<()> {
        self.bytes
            .get_mut(offset..offset + bytes.len())
            .context("the file ends there")?
            .copy_from_slice(bytes);
        Ok(())
    }

    /// Overwrites the critical section, all of it.
    pub(super) fn code(&mut self, code: &[u8]) -> anyhow::Result<()> {
        self.victim = VICTIM;
        let (start, end) = self.section()?;
        self.overwrite(start, end, code)
    }

    /// Overwrites the routine whose name begins so.
    pub(super) fn code_of(&mut self, begin: &'static str, code: &[u8]) -> anyhow::Result<()> {
        self.victim = begin;
        let (start, end) = self.routine(|name| name.starts_with(begin))?;
        self.overwrite(start, end, code)
    }

    fn overwrite(&mut self, start: u64, end: u64, code: &[u8]) -> anyhow::Result<()> {
        let offset = self.offset(start)?;
        // int3, which fills gaps
        self.put(offset, &vec![0xcc; usize::try_from(end - start)?])?;
        self.put(offset, code)
    }

    /// Has the critical section do nothing but this, whose last four bytes are the distance to
    /// `target`, and return.
    fn go(&mut self, opcode: &[u8], target: u64) -> anyhow::Result<()> {
        let mut code = self.distance(opcode, target)?;
        code.push(0xc3);
        self.code(&code)
    }

    /// An instruction at the beginning of the critical section.
    fn distance(&self, opcode: &[u8], target: u64) -> anyhow::Result<Vec<u8>> {
        let (start, _) = self.section()?;
        let next = start + u64::try_from(opcode.len())? + 4;
        let distance = i32::try_from(target.cast_signed() - next.cast_signed())?;
        Ok([opcode, &distance.to_le_bytes()].concat())
    }

    /// Has the critical section call an import.
    pub(super) fn call_import(&mut self, name: &str) -> anyhow::Result<()> {
        let slot = self.slot(name)?;
        // call [rip + distance]
        self.go(&[0xff, 0x15], slot)
    }

    /// Has it jump to an import.
    pub(super) fn jump_to_import(&mut self, name: &str) -> anyhow::Result<()> {
        let slot = self.slot(name)?;
        // jmp [rip + distance]
        let jump = self.distance(&[0xff, 0x25], slot)?;
        self.code(&jump)
    }

    fn slot(&self, name: &str) -> anyhow::Result<u64> {
        self.image
            .slot(name)
            .with_context(|| format!("{name} is not imported"))
    }

    /// Has the critical section call what a place in the data points to, which can be written.
    pub(super) fn call_data(&mut self) -> anyhow::Result<()> {
        let mut addresses = self.image.addresses();
        let place = addresses
            .find(|&(_, address)| self.image.is_code(address))
            .map(|(place, _)| place)
            .context("no data points to code")?;
        drop(addresses);
        self.go(&[0xff, 0x15], place)?;
        let flags = self.header_of(place)? + SECTION_FLAGS + 3;
        let writable = self.bytes[flags] | IMAGE_SCN_MEM_WRITE.0.to_le_bytes()[3];
        self.put(flags, &[writable])
    }

    /// Has the memory manager page the code.
    pub(super) fn page_code(&mut self) -> anyhow::Result<()> {
        let (start, _) = self.section()?;
        let header = self.header_of(start)?;
        self.put(header, b"PAGE\0\0\0\0")
    }

    /// Where the header of the section is that has this address in it.
    fn header_of(&self, address: u64) -> anyhow::Result<usize> {
        // The offset of the PE signature, the size of the optional header behind the file header,
        // and that of a section's, from Microsoft's "PE Format".
        const SIGNATURE: usize = 0x3c;
        const OPTIONAL_SIZE: usize = 20;
        const OPTIONAL: usize = 24;
        const HEADER: usize = 40;
        let pe = PeFile64::parse(self.bytes.as_slice())?;
        let index = pe
            .section_table()
            .iter()
            .position(|section| {
                let start = u64::from(section.virtual_address.get(LE));
                (start..start + u64::from(section.virtual_size.get(LE))).contains(&address)
            })
            .with_context(|| format!("{address:#x} is in no section"))?;
        let signature = u32::from_le_bytes(self.bytes[SIGNATURE..SIGNATURE + 4].try_into()?);
        let signature = usize::try_from(signature)?;
        let size = signature + OPTIONAL_SIZE;
        let size = u16::from_le_bytes(self.bytes[size..size + 2].try_into()?);
        Ok(signature + OPTIONAL + usize::from(size) + index * HEADER)
    }

    /// Calls an import by another name. All of its calls are meant, so its own name must not be
    /// shorter.
    pub(super) fn rename(&mut self, import: &str, other: &str) -> anyhow::Result<()> {
        let at = find(&self.bytes, format!("{import}\0").as_bytes())?;
        let length = import.len() - other.len();
        let name = [other.as_bytes(), &vec![0; length + 1]].concat();
        self.put(at, &name)
    }

    /// Has one of these routines take so much more stack, in its code and in its unwind record.
    pub(super) fn deepen(&mut self, begins: &[&'static str], by: u16) -> anyhow::Result<()> {
        let (old, (start, end)) = self.recorded(begins, by)?;
        // sub rsp, old
        let mut before = vec![0x48, 0x81, 0xec];
        before.extend(u32::from(old).to_le_bytes());
        let (from, to) = (self.offset(start)?, self.offset(end - 1)?);
        let at = from + find(&self.bytes[from..to], &before)?;
        self.put(at + 3, &(u32::from(old) + u32::from(by)).to_le_bytes())
    }

    /// Has the unwind record of one of these routines say that it takes so much more.
    pub(super) fn deepen_record(&mut self, begins: &[&'static str], by: u16) -> anyhow::Result<()> {
        self.recorded(begins, by).map(|_| ())
    }

    /// Deepens the record alone; what it said, and of whom. Routines with the same prologue share
    /// what says so, and are of no use here.
    fn recorded(&mut self, begins: &[&'static str], by: u16) -> anyhow::Result<(u16, (u64, u64))> {
        let records = self.records()?;
        for &begin in begins {
            let (start, end) = self.routine(|name| name.starts_with(begin))?;
            let Some(&(_, information)) = records.iter().find(|(of, _)| *of == start) else {
                continue;
            };
            if records.iter().filter(|(_, of)| *of == information).count() > 1 {
                continue;
            }
            let information = self.offset(information)?;
            // UWOP_ALLOC_LARGE with its size in eights; saved registers have other codes in front.
            let codes = usize::from(self.bytes[information + 2]);
            let mut slots = (0..codes.saturating_sub(1)).map(|slot| information + 4 + 2 * slot);
            let Some(code) = slots.find(|&slot| self.bytes[slot + 1] == 1) else {
                continue;
            };
            let eights = u16::from_le_bytes([self.bytes[code + 2], self.bytes[code + 3]]);
            self.put(code + 2, &(eights + by / 8).to_le_bytes())?;
            self.victim = begin;
            return Ok((eights * 8, (start, end)));
        }
        anyhow::bail!("none of {begins:?} has a large frame and a record of its own")
    }

    /// Of each unwind record the routine and where its codes are.
    fn records(&self) -> anyhow::Result<Vec<(u64, u64)>> {
        let pe = PeFile64::parse(self.bytes.as_slice())?;
        let (records, size) = pe
            .data_directory(object::pe::IMAGE_DIRECTORY_ENTRY_EXCEPTION)
            .context("there are no unwind records")?
            .address_range();
        let word = |at: usize| -> anyhow::Result<u64> {
            Ok(u32::from_le_bytes(self.bytes[at..at + 4].try_into()?).into())
        };
        (records..records + size)
            .step_by(12)
            .map(|record| {
                let at = self.offset(record.into())?;
                Ok((word(at)?, word(at + 8)?))
            })
            .collect()
    }

    /// Has the critical section's address come from a register that nobody knows.
    pub(super) fn hide(&mut self) -> anyhow::Result<()> {
        let (start, _) = self.section()?;
        // lea rdx, [rip + distance], which is seven bytes long
        let opcode = [0x48, 0x8d, 0x15];
        for offset in 0..self.bytes.len().saturating_sub(7) {
            if self.bytes[offset..offset + 3] != opcode {
                continue;
            }
            let distance = i32::from_le_bytes(self.bytes[offset + 3..offset + 7].try_into()?);
            let next = self.address(offset + 7)?;
            if next.checked_add_signed(distance.into()) == Some(start) {
                // mov rdx, rax; nop
                return self.put(offset, &[0x48, 0x89, 0xc2, 0x0f, 0x1f, 0x40, 0x00]);
            }
        }
        anyhow::bail!("nothing takes the address of the section into rdx")
    }

    /// Has a critical section access a register by a pointer that comes from nowhere, in a line
    /// of the accessors.
    pub(super) fn access_elsewhere(&mut self) -> anyhow::Result<()> {
        self.victim = READER;
        let (start, end) = self.section_of(READER)?;
        let mut accessors = (start..end).filter(|&at| {
            let places = self.symbols.places(at).unwrap_or_default();
            places
                .iter()
                .any(|place| ACCESSORS.contains(&place.file.as_str()))
        });
        let at = accessors.next().context("it accesses no register")?;
        drop(accessors);
        ensure!(at >= start + 5, "the access is at its beginning");
        let distance = i32::try_from(at - start - 5)?;
        // jmp there
        let mut code = [&[0xe9], distance.to_le_bytes().as_slice()].concat();
        code.resize(usize::try_from(at - start)?, 0xcc);
        // mov eax, [rdx]; ret
        code.extend([0x8b, 0x02, 0xc3]);
        self.overwrite(start, end, &code)
    }

    /// Which address a place in the file has.
    fn address(&self, offset: usize) -> anyhow::Result<u64> {
        let pe = PeFile64::parse(self.bytes.as_slice())?;
        let offset = u32::try_from(offset)?;
        pe.section_table()
            .iter()
            .find_map(|section| {
                let inside = offset.checked_sub(section.pointer_to_raw_data.get(LE))?;
                (inside < section.size_of_raw_data.get(LE))
                    .then(|| u64::from(section.virtual_address.get(LE)) + u64::from(inside))
            })
            .with_context(|| format!("{offset:#x} is in no section"))
    }
}

/// Where in some bytes others are.
pub(super) fn find(bytes: &[u8], text: &[u8]) -> anyhow::Result<usize> {
    bytes
        .windows(text.len())
        .position(|window| window == text)
        .context("the image has nothing of the kind")
}
