//! The second witness: mingw-w64's DDK headers, without our supplements, as mingw-w64's
//! own compiler reads them.
//!
//! Nothing that it compiles is run. Layouts are in the debug information, which names each
//! field that there is; alignments and the values of macros become enumerators, which are
//! there, too. The compiler follows Microsoft's rules for bit-fields (`-mms-bitfields` is
//! its default).

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;

use super::{
    debug_information::Debug,
    layout::{Constant, Structure, Witness},
};
use crate::{command, workspace};

/// What our bindings are made of, in the same order.
const INCLUDES: &str = "#include <ntifs.h>\n#include <ntddk.h>\n#include <ntstrsafe.h>\n";
/// Windows 10 1809, as for our bindings, and what makes this kernel code for x64.
const DEFINITIONS: [&str; 6] = [
    "_WIN32_WINNT=0x0A00",
    "NTDDI_VERSION=0x0A000006",
    "_WIN64",
    "_AMD64_",
    "AMD64",
    "_KERNEL_MODE",
];
const DDK: &str = "/usr/share/mingw-w64/include/ddk";
const ALIGNMENT: &str = "dirql_alignment_";
const VALUE: &str = "dirql_value_";
const WIDTH: &str = "dirql_width_";

/// The headers, read.
pub(super) struct Headers {
    debug: Debug,
}

impl Headers {
    /// Has the headers compiled in `folder`, with a question for each of `macros`.
    pub(super) fn read<'a>(
        folder: &Path,
        macros: impl Iterator<Item = &'a str>,
    ) -> anyhow::Result<Self> {
        workspace::create_folder(folder)?;
        let types = compile(folder, "types", INCLUDES)?;
        let mut questions = INCLUDES.to_owned();
        for (name, spelling) in types.records() {
            writeln!(
                questions,
                "enum {{ {ALIGNMENT}{name} = _Alignof({spelling}) }};"
            )?;
        }
        for name in macros.collect::<BTreeSet<_>>() {
            writeln!(
                questions,
                "#ifdef {name}\nenum {{ {VALUE}{name} = (long long)({name}), \
                 {WIDTH}{name} = sizeof({name}) }};\n#endif"
            )?;
        }
        let debug = compile(folder, "questions", &questions)?;
        Ok(Self { debug })
    }
}

fn compile(folder: &Path, name: &str, text: &str) -> anyhow::Result<Debug> {
    let source: PathBuf = folder.join(name).with_extension("c");
    let object = source.with_extension("o");
    workspace::write_if_changed(&source, text.as_bytes())?;
    let mut compiler = Command::new("x86_64-w64-mingw32-gcc");
    compiler
        .args(["-c", "-gdwarf-5", "-fno-eliminate-unused-debug-types", "-w"])
        .args(DEFINITIONS.map(|definition| format!("-D{definition}")))
        .arg("-isystem")
        .arg(DDK);
    command::run(compiler.arg(&source).arg("-o").arg(&object))?;
    Debug::read(&workspace::read(&object)?)
        .with_context(|| format!("the debug information in {}", object.display()))
}

impl Witness for Headers {
    fn name(&self) -> &'static str {
        "mingw-w64"
    }

    fn structure(&self, names: &[String]) -> anyhow::Result<Option<Structure>> {
        let Some((name, record)) = names
            .iter()
            .find_map(|name| Some((name, self.debug.record(name)?)))
        else {
            return Ok(None);
        };
        let mut structure = self.debug.laid_out(record)?;
        structure.align = self
            .debug
            .enumerator(&format!("{ALIGNMENT}{name}"))
            .and_then(|(value, _)| value.try_into().ok());
        Ok(Some(structure))
    }

    fn constant(&self, name: &str) -> Option<Constant> {
        if let Some((of, name)) = name.split_once("::") {
            let (value, width) = self.debug.enumerator_of(of, name)?;
            return Some(Constant { value, width });
        }
        let (value, _) = self.debug.enumerator(&format!("{VALUE}{name}"))?;
        let (width, _) = self.debug.enumerator(&format!("{WIDTH}{name}"))?;
        let width = width.try_into().ok()?;
        Some(Constant { value, width })
    }
}
