//! Memory: page frames, the rig's own page tables, the heap, address ranges.
//!
//! Physical memory is mapped where it lies (identity), readable and writable and
//! never executable, but for the rig's image, whose sections have the rights that
//! its headers give them. Page 0 is not mapped. Everything else that the rig maps
//! lies in ranges of its own in the upper half, each between unmapped pages, and
//! an address that was unmapped is not used again: a stale pointer faults.
//!
//! | range from | what |
//! |---|---|
//! | `0xffff_9000_0000_0000` | stacks |
//! | `0xffff_a000_0000_0000` | device registers |
//! | `0xffff_b000_0000_0000` | guarded allocations |
//! | `0xffff_f800_0000_0000` | driver images |

mod frames;
mod heap;
mod paging;
mod ranges;
mod rig_image;
mod stacks;
mod translation;

pub(crate) use paging::{Protection, check_protections, page_table_root, physical_address};
pub(crate) use ranges::{
    Place, allocate_guarded, free_guarded, map_device, map_driver_image, protect_driver_image,
    unmap_device, unmap_driver_image,
};
pub(crate) use stacks::{EXCEPTION_STACK, PROCESSOR_STACK, allocate_stack, stack_above};
pub(crate) use translation::acknowledge_translation_change;

pub(crate) use paging::{install_low_page, remove_low_page};

use crate::machine::boot::BootInformation;
use crate::machine::{cpu, stop};

/// Bytes in a page.
pub(crate) const PAGE: usize = 4096;

/// Takes the memory over from the firmware: heap, page tables. Once, on processor
/// 0, with no other processor running and interrupts disabled.
pub(crate) fn initialize(boot: &BootInformation) {
    if cpu::has_five_levels() {
        stop::refuse(format_args!(
            "The firmware uses five levels of page tables and the rig has four: start QEMU with -cpu max,la57=off."
        ));
    }
    frames::initialize(boot.memory_ranges());
    heap::initialize();
    let image = rig_image::RigImage::of(boot);
    paging::initialize(boot, &image);
}
