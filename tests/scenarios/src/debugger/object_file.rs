//! Functions and lines of a PDB as an ELF file with DWARF.
//!
//! It is a relocatable file without relocations. gdb moves such a file's symbols to where
//! it is told that the image lies, and leaves DWARF to the relocations; so the symbols are
//! relative to the image's base, and the DWARF has the addresses themselves.

use std::{collections::HashMap, fs::File, path::Path};

use anyhow::{Context as _, anyhow};
use gimli::{
    DW_AT_comp_dir, DW_AT_high_pc, DW_AT_language, DW_AT_low_pc, DW_AT_name, DW_AT_stmt_list,
    DW_LANG_Rust, DW_TAG_subprogram, Encoding, Format, LineEncoding, LittleEndian,
    write::{
        Address, AttributeValue, DirectoryId, DwarfUnit, EndianVec, FileId, LineProgram,
        LineString, Sections,
    },
};
use object::{
    Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
    write::{Object, StandardSection, Symbol, SymbolSection},
};
use pdb_addr2line::pdb::{self, FallibleIterator as _, PDB};

/// A function: its name, where it begins, how long it is.
struct Function {
    name: String,
    start: u64,
    length: u64,
}

/// A line of source and the code that begins there.
struct Line {
    address: u64,
    length: u64,
    file: String,
    number: u64,
}

/// The file for the image `name`, which lies at `base` and is `size` bytes long.
///
/// # Errors
/// When the PDB is none, or holds what cannot be written.
pub(super) fn from_pdb(
    symbols: &Path,
    name: &str,
    base: u64,
    size: u64,
) -> anyhow::Result<Vec<u8>> {
    let (functions, mut lines) = read(symbols)?;
    lines.sort_by_key(|line| line.address);
    let mut object = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
    let text = object.section_id(StandardSection::Text);
    let length = usize::try_from(size).context("an image is smaller than that")?;
    object.append_section_data(text, &vec![0; length], 4096);
    for function in &functions {
        object.add_symbol(Symbol {
            name: function.name.clone().into_bytes(),
            value: function.start,
            size: function.length,
            kind: SymbolKind::Text,
            scope: SymbolScope::Linkage,
            weak: false,
            section: SymbolSection::Section(text),
            flags: SymbolFlags::None,
        });
    }
    let mut sections = Sections::new(EndianVec::new(LittleEndian));
    describe(name, base, size, &functions, &lines)
        .write(&mut sections)
        .context("the DWARF cannot be written")?;
    sections.for_each(|id, data| -> anyhow::Result<()> {
        if !data.slice().is_empty() {
            let section = object.add_section(
                Vec::new(),
                id.name().as_bytes().to_vec(),
                SectionKind::Debug,
            );
            object.append_section_data(section, data.slice(), 1);
        }
        Ok(())
    })?;
    object.write().context("the ELF file cannot be written")
}

/// The functions and lines of a PDB.
fn read(symbols: &Path) -> anyhow::Result<(Vec<Function>, Vec<Line>)> {
    let file = File::open(symbols)?;
    let mut pdb = PDB::open(file)?;
    let addresses = pdb.address_map()?;
    let strings = pdb.string_table()?;
    let information = pdb.debug_information()?;
    let mut functions = Vec::new();
    let mut lines = Vec::new();
    let mut modules = information.modules()?;
    while let Some(module) = modules.next()? {
        let Some(module) = pdb.module_info(&module)? else {
            continue;
        };
        let program = module.line_program()?;
        let mut symbols = module.symbols()?;
        while let Some(symbol) = symbols.next()? {
            let Ok(pdb::SymbolData::Procedure(procedure)) = symbol.parse() else {
                continue;
            };
            let Some(start) = procedure.offset.to_rva(&addresses) else {
                continue;
            };
            functions.push(Function {
                name: procedure.name.to_string().into_owned(),
                start: start.0.into(),
                length: procedure.len.into(),
            });
            let mut each = program.lines_for_symbol(procedure.offset);
            while let Some(line) = each.next()? {
                let Some(address) = line.offset.to_rva(&addresses) else {
                    continue;
                };
                let file = program.get_file_info(line.file_index)?;
                lines.push(Line {
                    address: address.0.into(),
                    length: line.length.unwrap_or(1).into(),
                    file: strings.get(file.name)?.to_string().into_owned(),
                    number: line.line_start.into(),
                });
            }
        }
    }
    if functions.is_empty() {
        return Err(anyhow!("there is no function in it"));
    }
    Ok((functions, lines))
}

/// The DWARF of the whole image: one unit.
fn describe(name: &str, base: u64, size: u64, functions: &[Function], lines: &[Line]) -> DwarfUnit {
    let encoding = Encoding {
        format: Format::Dwarf32,
        version: 4,
        address_size: 8,
    };
    let mut dwarf = DwarfUnit::new(encoding);
    dwarf.unit.line_program = line_program(encoding, name, base, lines);
    let root = dwarf.unit.root();
    let entry = dwarf.unit.get_mut(root);
    entry.set(DW_AT_name, AttributeValue::String(name.into()));
    entry.set(DW_AT_comp_dir, AttributeValue::String(b"/".to_vec()));
    entry.set(DW_AT_language, AttributeValue::Language(DW_LANG_Rust));
    entry.set(
        DW_AT_low_pc,
        AttributeValue::Address(Address::Constant(base)),
    );
    entry.set(DW_AT_high_pc, AttributeValue::Udata(size));
    entry.set(DW_AT_stmt_list, AttributeValue::LineProgramRef);
    for function in functions {
        let id = dwarf.unit.add(root, DW_TAG_subprogram);
        let entry = dwarf.unit.get_mut(id);
        entry.set(
            DW_AT_name,
            AttributeValue::String(function.name.clone().into_bytes()),
        );
        entry.set(
            DW_AT_low_pc,
            AttributeValue::Address(Address::Constant(base + function.start)),
        );
        entry.set(DW_AT_high_pc, AttributeValue::Udata(function.length));
    }
    dwarf
}

/// The line table, out of lines in the order of their addresses.
fn line_program(encoding: Encoding, name: &str, base: u64, lines: &[Line]) -> LineProgram {
    let text = |text: &str| LineString::String(text.as_bytes().to_vec());
    let mut program = LineProgram::new(
        encoding,
        LineEncoding::default(),
        text("/"),
        None,
        text(name),
        None,
    );
    let directory = program.default_directory();
    let mut files = HashMap::new();
    let mut lines = lines.iter().peekable();
    let mut begin = 0;
    while let Some(line) = lines.next() {
        let file = file_id(&mut program, &mut files, directory, &line.file);
        if !program.in_sequence() {
            begin = line.address;
            program.begin_sequence(Some(Address::Constant(base + begin)));
        }
        let row = program.row();
        row.address_offset = line.address - begin;
        row.file = file;
        row.line = line.number;
        program.generate_row();
        let end = line.address + line.length;
        // A line ends where the next begins, whatever its length says.
        if lines.peek().is_none_or(|next| end < next.address) {
            program.end_sequence(end - begin);
        }
    }
    program
}

/// The number of a source file.
fn file_id<'a>(
    program: &mut LineProgram,
    files: &mut HashMap<&'a str, FileId>,
    directory: DirectoryId,
    name: &'a str,
) -> FileId {
    *files.entry(name).or_insert_with(|| {
        program.add_file(
            LineString::String(name.as_bytes().to_vec()),
            directory,
            None,
        )
    })
}
