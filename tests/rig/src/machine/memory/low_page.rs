//! The page below 1 MiB in which other processors start.

use super::PAGE;
use super::frames;
use super::paging::{self, Protection};
use crate::machine::stop;
use crate::machine::word::{low_32, word};

/// Fills the page in and makes it executable; returns its address. It is mapped
/// where it lies, because a processor turns paging on while it runs there.
pub(crate) fn install_low_page(fill: impl FnOnce(&mut [u8], u32)) -> u64 {
    let page = frames::take_low_page();
    if !paging::map(page, page, Protection::ReadWrite) {
        refuse(page);
    }
    let bytes = core::ptr::with_exposed_provenance_mut::<u8>(word(page));
    // SAFETY: The page was just taken for good and mapped, so nothing else
    // refers to it; the slice ends before the page is protected.
    let bytes = unsafe { core::slice::from_raw_parts_mut(bytes, PAGE) };
    bytes.fill(0);
    fill(bytes, low_32(page));
    // SAFETY: The only reference has ended, and `fill` has written the code that
    // a processor runs when it starts.
    if !unsafe { paging::protect(page, 1, Protection::ReadExecute) } {
        refuse(page);
    }
    page
}

/// Unmaps the page again.
///
/// # Safety
/// Every processor that was started there has left it, and none will be started.
pub(crate) unsafe fn remove_low_page(page: u64) {
    // SAFETY: By this function's contract no code runs there, and the reference
    // that `install_low_page` made has ended.
    unsafe { paging::unmap(page, 1, |_| {}) };
}

/// The page cannot be used.
fn refuse(page: u64) -> ! {
    stop::refuse(format_args!(
        "The page at {page:#x}, where processors start, could not be mapped."
    ))
}
