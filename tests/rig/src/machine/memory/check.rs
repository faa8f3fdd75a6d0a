//! Are the page tables what they should be? Every mapping is looked at.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use x86_64::VirtAddr;
use x86_64::structures::paging::{PageTable, PageTableFlags};

use super::PAGE;
use super::paging;
use crate::machine::word::word;

/// Levels of page tables.
const LEVELS: u32 = 4;

/// A mapping, of a page of any size.
#[derive(Clone, Copy)]
struct Mapping {
    address: u64,
    physical: u64,
    length: u64,
    flags: PageTableFlags,
}

impl Mapping {
    /// Whether anything may be written there.
    fn is_writable(&self) -> bool {
        self.flags.contains(PageTableFlags::WRITABLE)
    }

    /// Whether anything may be executed there.
    fn is_executable(&self) -> bool {
        !self.flags.contains(PageTableFlags::NO_EXECUTE)
    }

    /// Whether both mappings lead to the same memory.
    fn overlaps(&self, other: &Self) -> bool {
        self.physical < other.physical + other.length
            && other.physical < self.physical + self.length
    }
}

/// Looks at every mapping: none may be both writable and executable, no memory may
/// be writable at one address and executable at another, and page 0 must not be
/// mapped. Returns the number of mappings, or what is wrong.
pub(crate) fn check_protections() -> Result<usize, String> {
    let mut mappings = Vec::new();
    if paging::with_root(|root| collect(root, LEVELS, 0, &mut mappings)).is_none() {
        return Err(String::from("there are no page tables"));
    }
    if mappings.iter().any(|mapping| mapping.address < PAGE as u64) {
        return Err(String::from("page 0 is mapped"));
    }
    let executable: Vec<Mapping> = mappings
        .iter()
        .copied()
        .filter(Mapping::is_executable)
        .collect();
    for writable in mappings.iter().filter(|mapping| mapping.is_writable()) {
        if let Some(code) = executable.iter().find(|code| code.overlaps(writable)) {
            return Err(format!(
                "the memory at {:#x} is writable at {:#x} and executable at {:#x}",
                code.physical, writable.address, code.address
            ));
        }
    }
    Ok(mappings.len())
}

/// Collects the mappings below a table that maps from `base` on.
fn collect(table: &PageTable, level: u32, base: u64, mappings: &mut Vec<Mapping>) {
    let length = (PAGE as u64) << (9 * (level - 1));
    for (index, entry) in (0_u64..).zip(table.iter()) {
        let flags = entry.flags();
        if !flags.contains(PageTableFlags::PRESENT) {
            continue;
        }
        let address = base + index * length;
        let physical = entry.addr().as_u64();
        if level == 1 || flags.contains(PageTableFlags::HUGE_PAGE) {
            mappings.push(Mapping {
                address: VirtAddr::new_truncate(address).as_u64(),
                physical,
                length,
                flags,
            });
            continue;
        }
        let lower = core::ptr::with_exposed_provenance::<PageTable>(word(physical));
        // SAFETY: The entry is present and no page, so it holds the address of a
        // page table, which is mapped where it lies; `with_root` holds the lock
        // under which alone the tables change.
        let lower = unsafe { &*lower };
        collect(lower, level - 1, address, mappings);
    }
}
