//! Memory: page frames, the rig's own page tables, the heap, address ranges.
//!
//! The heap, the page tables, the rig's image and what the firmware left are mapped
//! where they lie in physical memory (identity), readable and writable and never
//! executable, but for the image, whose sections have the rights that its headers
//! give them. All other memory is not mapped until it is used, and then lies in
//! ranges of the upper half, each piece between unmapped pages; so no page has a
//! second address with other rights. An address that was unmapped is not used again, or
//! in the case of pool not for a long while, and page 0 is never mapped: a stale or null
//! pointer faults.
//!
//! | range from | what |
//! |---|---|
//! | `0xffff_9000_0000_0000` | stacks |
//! | `0xffff_a000_0000_0000` | device registers |
//! | `0xffff_b000_0000_0000` | guarded allocations |
//! | `0xffff_c000_0000_0000` | pool blocks |
//! | `0xffff_d000_0000_0000` | kernel objects |
//! | `0xffff_f800_0000_0000` | driver images |

mod blocks;
mod check;
mod frames;
mod heap;
mod low_page;
mod objects;
mod paging;
mod ranges;
mod rig_image;
mod stacks;
mod translation;

pub(crate) use blocks::{map_block, reuse_block, unmap_block};
pub(crate) use check::check_protections;
pub(crate) use low_page::{install_low_page, remove_low_page};
pub(crate) use objects::{OBJECT_ALIGNMENT, allocate_object_memory};
pub(crate) use paging::{
    Protection, is_pageable, page_table_root, physical_address, while_in_reach,
};
pub(crate) use ranges::{
    Place, allocate_guarded, allocate_low, free_guarded, is_device, is_kernels, map_device,
    map_driver_image, protect_driver_image, reserve_device, unmap_device, unmap_driver_image,
};
pub(crate) use stacks::{
    EXCEPTION_STACK, PROCESSOR_STACK, THREAD_STACK, allocate_stack, is_guard as is_stack_guard,
    is_stack, stack_above,
};
pub(crate) use translation::acknowledge_translation_change;

use crate::machine::boot::BootInformation;
use crate::machine::{cpu, stop};

/// What the names of sections begin with that may be paged out.
pub(crate) const PAGEABLE_SECTION: &[u8] = b"PAGE";

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
    let own = [heap::initialize(), frames::reserve_tables()];
    let image = rig_image::RigImage::of(boot);
    paging::initialize(boot, &image, &own);
}
