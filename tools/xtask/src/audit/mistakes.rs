//! That the audit notices: in a copy of the image a critical section is overwritten with
//! machine code that breaks one rule, and just that has to be found, and there.
//!
//! The real image is what is made wrong, so all of it takes part: its sections, its imports,
//! its unwind records and its PDB.

mod altered;
mod damage;

use anyhow::{Context as _, ensure};

use super::{
    Pdb, Symbols, audit,
    image::Image,
    judge::{Audit, LONGEST},
};
use crate::image_check::Verdict;
use altered::{Altered, VICTIM, find};

/// What an ISR's name begins with.
const ISR: &str = "dirql::interrupt::service::isr_message<";

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
            copy.code_of(ISR, &code)
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
        make: |copy| copy.rename("KeAcquireSpinLockRaiseToDpc", "KeAcquireInterruptSpinLock"),
    },
    Mistake {
        what: "a raised IRQL in the middle of a routine",
        says: "may raise IRQL above DISPATCH_LEVEL at",
        // mov cl, 2; call, by the stub or by the slot
        make: |copy| {
            let at = find(&copy.bytes, &[0xb1, 0x02, 0xe8])
                .or_else(|_| find(&copy.bytes, &[0xb1, 0x02, 0xff, 0x15]))?;
            copy.put(at + 1, &[3])
        },
    },
    Mistake {
        what: "too deep a frame of a DPC",
        says: "a DPC may take 2048",
        make: |copy| copy.deepen(DEEP, 2048),
    },
    Mistake {
        what: "too deep a frame at PASSIVE_LEVEL",
        says: "may take 8192",
        make: |copy| copy.deepen(DEEP_PASSIVE, 8192),
    },
    Mistake {
        what: "a frame that its unwind record does not tell of",
        says: "bytes of stack, and its unwind record says",
        make: |copy| copy.deepen_record(DEEP, 8),
    },
    Mistake {
        what: "a panic in a DPC",
        says: "can panic",
        // ud2
        make: |copy| copy.code_of(DPC, &[0x0f, 0x0b]),
    },
    Mistake {
        what: "a jump to an import that may not be called",
        says: "can call IofCompleteRequest, which may not be called",
        make: |copy| copy.jump_to_import("IofCompleteRequest"),
    },
    Mistake {
        what: "a call without an unwind record",
        says: "it calls others and has no unwind record",
        make: |copy| copy.call_import("KeGetCurrentProcessorNumberEx"),
    },
    Mistake {
        what: "an import that takes as long as it is told",
        says: "wcslen, which is called at",
        make: |copy| {
            copy.call_import("IofCompleteRequest")?;
            copy.rename("IofCompleteRequest", "wcslen")
        },
    },
    Mistake {
        what: "an import that copies as much as it is told",
        says: "and that is no constant",
        make: |copy| {
            copy.call_import("IofCompleteRequest")?;
            copy.rename("IofCompleteRequest", "memcpy")
        },
    },
    Mistake {
        what: "a call of what data point to that can be written",
        says: "through a pointer, and the code does not say whom",
        make: |copy| copy.call_data(),
    },
    Mistake {
        what: "a section's code in memory that is paged",
        says: "which is in a section that may be paged out",
        make: |copy| copy.page_code(),
    },
    Mistake {
        what: "a register access that it does not see",
        says: "accesses a device register, and the audit does not see which one",
        make: |copy| copy.access_elsewhere(),
    },
    Mistake {
        what: "loops in loops without end",
        says: "it is too long to be counted",
        make: |copy| copy.code(&nested(6, 0x0fff)),
    },
    Mistake {
        what: "an ISR that nobody connects",
        says: "is an ISR, and no routine that takes its address connects an interrupt",
        make: |copy| copy.rename("IoConnectInterruptEx", "IoGetDeviceProperty"),
    },
    Mistake {
        what: "an import that nobody knows",
        says: "is not in the table",
        make: |copy| copy.rename("IoConnectInterruptEx", "IoNobodyKnows"),
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
    Mistake {
        what: "a PDB of another age",
        says: "the PDB has the age",
        make: |copy| {
            let signature = find(&copy.bytes, b"RSDS")?;
            copy.put(signature + 20, &[!copy.bytes[signature + 20]])
        },
    },
];

/// A DPC. Nothing else calls it.
const DPC: &str = "dirql::timer::custom_timer_dpc<";
/// Routines that nothing else calls, one of which has a large frame; and the same at PASSIVE_LEVEL.
const DEEP: &[&str] = &[
    "dirql::dpc::custom_dpc<",
    "dirql::thunks::dpc_for_isr<",
    DPC,
];
const DEEP_PASSIVE: &[&str] = &[
    "dirql::pnp::dispatch<",
    "dirql::thunks::add_device<",
    "dirql::power::dispatch::at_passive<",
];

/// Loops in each other, each of which runs so often whenever it is entered. Each has a register
/// of its own to count in.
fn nested(loops: u8, times: u16) -> Vec<u8> {
    // ecx, edx, esi, edi, ebx, ebp
    const COUNTERS: [u8; 6] = [1, 2, 6, 7, 3, 5];
    let counters = COUNTERS.iter().take(loops.into());
    let mut code = Vec::new();
    let mut heads = Vec::new();
    for &counter in counters.clone() {
        // xor counter, counter
        code.extend([0x31, 0xc0 | counter << 3 | counter]);
        heads.push(code.len());
    }
    for (&counter, head) in counters.rev().zip(heads.into_iter().rev()) {
        // inc counter; cmp counter, times
        code.extend([0xff, 0xc0 | counter, 0x81, 0xf8 | counter]);
        code.extend(u32::from(times).to_le_bytes());
        // jne to the loop's head
        let next = code.len() + 6;
        let back = i32::try_from(next - head).unwrap_or(i32::MAX);
        code.extend([0x0f, 0x85]);
        code.extend((-back).to_le_bytes());
    }
    // ret
    code.push(0xc3);
    code
}

/// One instruction more than is allowed.
fn too_long() -> anyhow::Result<Vec<u8>> {
    // nop, as often as is allowed; ret
    let mut code = vec![0x90; usize::try_from(LONGEST)?];
    code.push(0xc3);
    Ok(code)
}

/// One verdict for each mistake.
pub(super) fn verdicts(bytes: &[u8], pdb: &[u8], is_long: bool) -> anyhow::Result<Vec<Verdict>> {
    let image = Image::parse(bytes)?;
    let parsed = Pdb::parse(pdb, image.identity())?;
    let symbols = Symbols::of(&parsed)?;
    let copy = || Altered::new(bytes, &image, &symbols);
    let noticed = MISTAKES.iter().map(|mistake| Verdict {
        check: format!("notices {}", mistake.what),
        result: notices(mistake, copy(), pdb),
    });
    let mut verdicts: Vec<Verdict> = noticed.collect();
    let mut verdict = |check: &str, result| {
        verdicts.push(Verdict {
            check: check.to_owned(),
            result,
        });
    };
    // Whether a counter is looked at before or after the step is left open, so a loop that runs
    // eight times counts as one of nine rounds, of three instructions each.
    let once = 9 * 3;
    verdict(
        "proves a loop that counts to eight",
        proves(copy(), pdb, &nested(1, 8), 1 + once + 1),
    );
    verdict(
        "proves a loop in a loop",
        proves(copy(), pdb, &nested(2, 8), 1 + 9 * (1 + once + 3) + 1),
    );
    verdict("refuses what was cut off", damage::cut_off(bytes, pdb));
    verdict(
        "says so of what was damaged",
        damage::flipped(bytes, pdb, is_long),
    );
    Ok(verdicts)
}

/// Makes a mistake; what was found says what it is, and of whom.
fn notices(mistake: &Mistake, mut copy: Altered<'_>, pdb: &[u8]) -> anyhow::Result<String> {
    (mistake.make)(&mut copy)?;
    let said = said(&copy.bytes, pdb);
    ensure!(
        said.iter().any(|line| line.contains(mistake.says)),
        "it says {said:?} and not {:?}",
        mistake.says
    );
    let other = said.iter().find(|line| !line.contains(copy.victim));
    ensure!(
        other.is_none(),
        "it says {other:?}, which is not of {}",
        copy.victim
    );
    Ok(format!("\"{}\"", mistake.says))
}

/// What the audit of an image says.
fn said(bytes: &[u8], pdb: &[u8]) -> Vec<String> {
    match audited(bytes, pdb) {
        Ok(audit) => audit.failures,
        Err(error) => vec![format!("{error:#}")],
    }
}

fn audited(bytes: &[u8], pdb: &[u8]) -> anyhow::Result<Audit> {
    audit(&Image::parse(bytes)?, pdb).map(|(_, audit)| audit)
}

/// Loops that are right are no failure, and count as often as they run at most.
fn proves(mut copy: Altered<'_>, pdb: &[u8], code: &[u8], longest: u64) -> anyhow::Result<String> {
    copy.code(code)?;
    let audit = audited(&copy.bytes, pdb)?;
    let section = audit
        .sections
        .iter()
        .find(|section| section.named.name.contains(VICTIM))
        .context("the section was not found")?;
    // What takes too long is a failure of its own.
    let failures = audit
        .failures
        .iter()
        .filter(|failure| !failure.contains("instructions, and"));
    ensure!(
        section.longest == longest && failures.count() == 0,
        "it says {} instructions and {:?}",
        section.longest,
        audit.failures
    );
    Ok(format!("at most {longest} instructions"))
}
