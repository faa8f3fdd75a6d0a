//! That the audit notices: in a copy of the image a critical section is overwritten with
//! machine code that breaks one rule, and just that has to be found.
//!
//! The real image is what is made wrong, so all of it takes part: its sections, its imports,
//! its unwind records and its PDB.

use anyhow::{Context as _, ensure};
use object::{LittleEndian as LE, read::pe::PeFile64};

use super::{
    Pdb, Symbols, audit,
    image::Image,
    judge::{Audit, LONGEST},
};
use crate::image_check::Verdict;

/// The critical section that is overwritten. It is a leaf, and a long one.
const VICTIM: &str = "edu::power::silence::closure_env$0";
/// One that takes stack.
const DEEP: &str = "edu::power::counters::closure_env$1";
/// What an ISR's name begins with.
const ISR: &str = "dirql::interrupt::service::isr_message<";
/// What both sections' names begin with.
const THUNK: &str = "dirql::interrupt::synchronize::synch_crit_section<";

/// A way to make the image wrong.
struct Mistake {
    /// To follow "notices".
    what: &'static str,
    /// What is found must say this.
    says: &'static str,
    make: fn(&mut Altered<'_>) -> anyhow::Result<()>,
}

const MISTAKES: &[Mistake] = &[
    Mistake {
        what: "a loop without a bound",
        says: "has no proven bound",
        // pause; jmp to it
        make: |copy| copy.code(&[0xf3, 0x90, 0xeb, 0xfc]),
    },
    Mistake {
        what: "a loop whose counter something else changes too",
        says: "has no proven bound",
        // xor ecx, ecx; again: inc ecx; and ecx, edx; cmp ecx, 8; jne again; ret
        make: |copy| {
            copy.code(&[
                0x31, 0xc9, 0xff, 0xc1, 0x21, 0xd1, 0x83, 0xf9, 0x08, 0x75, 0xf7, 0xc3,
            ])
        },
    },
    Mistake {
        what: "a string instruction without a bound",
        says: "has no proven bound",
        // rep stosb; ret
        make: |copy| copy.code(&[0xf3, 0xaa, 0xc3]),
    },
    Mistake {
        what: "a panic in a critical section",
        says: "can panic",
        // ud2
        make: |copy| copy.code(&[0x0f, 0x0b]),
    },
    Mistake {
        what: "a panic handler's loop",
        says: "can panic",
        // jmp to itself
        make: |copy| copy.code(&[0xeb, 0xfe]),
    },
    Mistake {
        what: "recursion",
        says: "calls itself",
        // call of itself; ret
        make: |copy| copy.code(&[0xe8, 0xfb, 0xff, 0xff, 0xff, 0xc3]),
    },
    Mistake {
        what: "a call through a pointer",
        says: "through a pointer, and the code does not say whom",
        // call rax; ret
        make: |copy| copy.code(&[0xff, 0xd0, 0xc3]),
    },
    Mistake {
        what: "an allocation in a critical section",
        says: "can call ExAllocatePoolWithTag, which may not be called",
        make: |copy| copy.call_import("ExAllocatePoolWithTag"),
    },
    Mistake {
        what: "a completion in a critical section",
        says: "can call IofCompleteRequest, which may not be called",
        make: |copy| copy.call_import("IofCompleteRequest"),
    },
    Mistake {
        what: "too long a critical section",
        says: "instructions, and 150 are allowed",
        make: |copy| {
            let code = too_long()?;
            copy.code(&code)
        },
    },
    Mistake {
        what: "too long an ISR",
        says: "isr_message<Shared,Saved> may take 151 instructions, and 150 are allowed",
        make: |copy| {
            let code = too_long()?;
            copy.overwrite(ISR, &code)
        },
    },
    Mistake {
        what: "too much that is copied",
        says: "bytes, and 512 are allowed",
        // mov ecx, 0x10_0000; rep stosb; ret
        make: |copy| copy.code(&[0xb9, 0x00, 0x00, 0x10, 0x00, 0xf3, 0xaa, 0xc3]),
    },
    Mistake {
        what: "a counter of which half is stepped",
        says: "has no proven bound",
        // mov ecx, 8; again: dec ecx; cmp rcx, -1; jne again; ret
        make: |copy| {
            copy.code(&[
                0xb9, 0x08, 0x00, 0x00, 0x00, 0xff, 0xc9, 0x48, 0x83, 0xf9, 0xff, 0x75, 0xf8, 0xc3,
            ])
        },
    },
    Mistake {
        what: "code that it does not get to",
        says: "does not get to the code at",
        // ret; xor eax, eax; ret
        make: |copy| copy.code(&[0xc3, 0x31, 0xc0, 0xc3]),
    },
    Mistake {
        what: "an interrupt's lock in the middle of a routine",
        says: "takes an interrupt's lock at",
        make: |copy| {
            let name = b"KeAcquireSpinLockRaiseToDpc\0";
            let at = find(&copy.bytes, name)?;
            copy.put(at, b"KeAcquireInterruptSpinLock\0")
        },
    },
    Mistake {
        what: "too deep a frame",
        says: "bytes of stack",
        make: |copy| copy.deepen(),
    },
    Mistake {
        what: "a frame that no unwind record tells of",
        says: "has no unwind record",
        // push rax; pop rax; ret
        make: |copy| copy.code(&[0x50, 0x58, 0xc3]),
    },
    Mistake {
        what: "a critical section that nobody can name",
        says: "a routine that the audit cannot name",
        make: |copy| copy.hide(),
    },
    Mistake {
        what: "a PDB of another build",
        says: "is of another build",
        make: |copy| {
            let signature = find(&copy.bytes, b"RSDS")?;
            copy.put(signature + 4, &[!copy.bytes[signature + 4]])
        },
    },
];

/// A copy of the image, to be made wrong.
struct Altered<'a> {
    bytes: Vec<u8>,
    image: &'a Image,
    symbols: &'a Symbols<'a>,
}

impl Altered<'_> {
    /// Where the critical section of this closure begins.
    fn section(&self, closure: &str) -> anyhow::Result<u64> {
        let routines = self.symbols.routines();
        let found = routines.iter().find(|(_, routine)| {
            let is_it = |name: &String| name.starts_with(THUNK) && name.contains(closure);
            routine.names.iter().any(is_it)
        });
        let (start, _) =
            found.with_context(|| format!("there is no critical section {closure}"))?;
        Ok(*start)
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

    fn put(&mut self, offset: usize, bytes: &[u8]) -> anyhow::Result<()> {
        self.bytes
            .get_mut(offset..offset + bytes.len())
            .context("the file ends there")?
            .copy_from_slice(bytes);
        Ok(())
    }

    /// Overwrites the critical section, all of it.
    fn code(&mut self, code: &[u8]) -> anyhow::Result<()> {
        let start = self.section(VICTIM)?;
        self.overwrite_at(start, code)
    }

    /// Overwrites the routine whose name begins so.
    fn overwrite(&mut self, name: &str, code: &[u8]) -> anyhow::Result<()> {
        let mut routines = self.symbols.routines().iter();
        let found =
            routines.find(|(_, routine)| routine.names.iter().any(|it| it.starts_with(name)));
        let (&start, _) = found.with_context(|| format!("there is no routine {name}"))?;
        self.overwrite_at(start, code)
    }

    fn overwrite_at(&mut self, start: u64, code: &[u8]) -> anyhow::Result<()> {
        let offset = self.offset(start)?;
        let routine = self.symbols.routines().get(&start);
        let end = routine.and_then(|it| it.end).context("it has no end")?;
        // int3, which fills gaps
        self.put(offset, &vec![0xcc; usize::try_from(end - start)?])?;
        self.put(offset, code)
    }

    /// Has the critical section call an import, by the stub that jumps there.
    fn call_import(&mut self, name: &str) -> anyhow::Result<()> {
        let stub = self
            .image
            .stub(name)
            .with_context(|| format!("nothing jumps to {name}"))?;
        let start = self.section(VICTIM)?;
        let distance = i32::try_from(stub.cast_signed() - start.cast_signed() - 5)?;
        let [a, b, c, d] = distance.to_le_bytes();
        self.code(&[0xe8, a, b, c, d, 0xc3])
    }

    /// Has an unwind record say that a critical section takes 16 KiB.
    fn deepen(&mut self) -> anyhow::Result<()> {
        let start = u32::try_from(self.section(DEEP)?)?;
        let pe = PeFile64::parse(self.bytes.as_slice())?;
        let (records, size) = pe
            .data_directory(object::pe::IMAGE_DIRECTORY_ENTRY_EXCEPTION)
            .context("there are no unwind records")?
            .address_range();
        for record in (records..records + size).step_by(12) {
            let at = self.offset(record.into())?;
            if self.bytes[at..at + 4] != start.to_le_bytes() {
                continue;
            }
            let information = self.bytes[at + 8..at + 12].try_into()?;
            let information = self.offset(u32::from_le_bytes(information).into())?;
            // The first code undoes the last act of the prologue: `sub rsp`, in eights.
            let (operation, in_eights) = (self.bytes[information + 5], 16 * 1024 / 8_u16);
            ensure!(operation == 1, "its first unwind code is {operation}");
            return self.put(information + 6, &in_eights.to_le_bytes());
        }
        anyhow::bail!("the section has no unwind record")
    }

    /// Has the critical section's address come from a register that nobody knows.
    fn hide(&mut self) -> anyhow::Result<()> {
        let start = self.section(VICTIM)?;
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

/// One instruction more than is allowed.
fn too_long() -> anyhow::Result<Vec<u8>> {
    // nop, as often as is allowed; ret
    let mut code = vec![0x90; usize::try_from(LONGEST)?];
    code.push(0xc3);
    Ok(code)
}

fn find(bytes: &[u8], text: &[u8]) -> anyhow::Result<usize> {
    bytes
        .windows(text.len())
        .position(|window| window == text)
        .context("the image has nothing of the kind")
}

/// One verdict for each mistake.
pub(super) fn verdicts(bytes: &[u8], pdb: &[u8]) -> anyhow::Result<Vec<Verdict>> {
    let image = Image::parse(bytes)?;
    let parsed = Pdb::parse(pdb, image.identity())?;
    let symbols = Symbols::of(&parsed)?;
    let copy = || Altered {
        bytes: bytes.to_vec(),
        image: &image,
        symbols: &symbols,
    };
    let noticed = MISTAKES.iter().map(|mistake| {
        let mut copy = copy();
        let result = (mistake.make)(&mut copy).and_then(|()| {
            let said = said(&copy.bytes, pdb);
            ensure!(
                said.contains(mistake.says),
                "it says {said:?} and not {:?}",
                mistake.says
            );
            Ok(format!("\"{}\"", mistake.says))
        });
        Verdict {
            check: format!("notices {}", mistake.what),
            result,
        }
    });
    let mut verdicts: Vec<Verdict> = noticed.collect();
    verdicts.push(Verdict {
        check: "proves a loop that counts to eight".to_owned(),
        result: counts_to_eight(copy(), pdb),
    });
    verdicts.push(Verdict {
        check: "refuses what was cut off".to_owned(),
        result: cut_off(bytes, pdb),
    });
    Ok(verdicts)
}

/// What the audit of an image says.
fn said(bytes: &[u8], pdb: &[u8]) -> String {
    match audited(bytes, pdb) {
        Ok(audit) => audit.failures.join("\n"),
        Err(error) => format!("{error:#}"),
    }
}

fn audited(bytes: &[u8], pdb: &[u8]) -> anyhow::Result<Audit> {
    audit(&Image::parse(bytes)?, pdb).map(|(_, audit)| audit)
}

/// A loop that is right is no failure, and counts as often as it runs at most.
fn counts_to_eight(mut copy: Altered<'_>, pdb: &[u8]) -> anyhow::Result<String> {
    // xor ecx, ecx; again: inc ecx; cmp ecx, 8; jne again; ret
    copy.code(&[0x31, 0xc9, 0xff, 0xc1, 0x83, 0xf9, 0x08, 0x75, 0xf9, 0xc3])?;
    let audit = audited(&copy.bytes, pdb)?;
    let section = audit
        .sections
        .iter()
        .find(|section| section.total == 5)
        .context("the section was not found")?;
    // Whether the counter is looked at before or after the step is left open: nine rounds.
    let longest = 1 + 9 * 3 + 1;
    ensure!(
        section.longest == longest && audit.failures.is_empty(),
        "it says {} instructions and {:?}",
        section.longest,
        audit.failures
    );
    Ok(format!("at most {longest} instructions"))
}

/// An image or a PDB that ends too early is an error, wherever it ends.
fn cut_off(bytes: &[u8], pdb: &[u8]) -> anyhow::Result<String> {
    const PIECES: usize = 24;
    for piece in 0..PIECES {
        let image = &bytes[..bytes.len() * piece / PIECES];
        ensure!(
            audited(image, pdb).is_err(),
            "{} of the image's bytes are taken for all of it",
            image.len()
        );
        let symbols = &pdb[..pdb.len() * piece / PIECES];
        ensure!(
            audited(bytes, symbols).is_err(),
            "{} of the PDB's bytes are taken for all of it",
            symbols.len()
        );
    }
    Ok(format!("in {} places", 2 * PIECES))
}
