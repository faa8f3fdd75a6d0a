//! Faults: which rule does the driver break whose access faults?
//!
//! Much of what the executive forbids it has the page tables forbid: pool that was
//! freed, what lies beyond a block, registers of a device that sleeps, the image's code.
//! The exception that comes of it is the check, and here it gets the name of the rule.
//! Nothing runs on this processor any more, but it may have been stopped with one of
//! the rig's locks held, so each look is one that such a lock does not keep waiting.

use core::fmt::Write as _;

use crate::machine::cpu;
use crate::machine::image;
use crate::machine::interrupts::{Access, BrokenRule, Detail, Fault};
use crate::machine::memory;
use crate::nt::irql::DISPATCH_LEVEL;
use crate::nt::rule::Rule;
use crate::nt::{fault, interrupt, mmio, pool, system_buffer, thread, user_memory};

/// The rule that a fault broke, if it broke one.
pub(crate) fn explain(fault: &Fault) -> Option<BrokenRule> {
    let mut detail = Detail::new();
    let rule = fault
        .access
        .and_then(|access| forbidden(&access, &mut detail))
        .or_else(|| (cpu::irql() >= DISPATCH_LEVEL).then_some(Rule::Irql08))
        .filter(|_| is_drivers(fault))?;
    Some(BrokenRule {
        id: rule.id(),
        sentence: rule.sentence(),
        detail,
    })
}

/// The rule that forbids an access, and what is known of the place.
fn forbidden(access: &Access, detail: &mut Detail) -> Option<Rule> {
    if memory::is_stack_guard(access.address) {
        return Some(Rule::Stk01);
    }
    if mmio::was_register(access.address) {
        return Some(Rule::Pnp02);
    }
    let elsewhere = interrupt::opaque::explain_fault(access.address)
        .or_else(|| system_buffer::explain_fault(access.address))
        .or_else(|| user_memory::explain_fault(access.address))
        .or_else(|| fault::explain_fault(access.address));
    if elsewhere.is_some() {
        return elsewhere;
    }
    if !access.is_mapped
        && let Some(place) = pool::describe(access.address)
    {
        say(detail, format_args!("{place}"));
        return Some(Rule::Pool03);
    }
    if access.is_mapped && cpu::irql() >= DISPATCH_LEVEL && memory::is_pageable(access.address) {
        match pool::block_around(access.address) {
            Some(block) => say(detail, format_args!("That is in {block}.")),
            None => say(detail, format_args!("That is in a pageable section.")),
        }
        return Some(Rule::Irql06);
    }
    let breaks_image =
        access.is_mapped && (access.is_fetch || access.is_write && is_image(access.address));
    breaks_image.then_some(Rule::Img01)
}

/// Whether the driver raised the exception, or a routine of the executive's that it called.
fn is_drivers(fault: &Fault) -> bool {
    image::is_driver(fault.instruction) || thread::is_in_driver()
}

/// Whether an address lies in an image.
fn is_image(address: u64) -> bool {
    image::Location::of(address).is_some()
}

/// Says something; what does not fit is cut off.
fn say(detail: &mut Detail, text: core::fmt::Arguments<'_>) {
    struct Cut<'a>(&'a mut Detail);
    impl core::fmt::Write for Cut<'_> {
        fn write_str(&mut self, text: &str) -> core::fmt::Result {
            for letter in text.chars() {
                if self.0.try_push(letter).is_err() {
                    break;
                }
            }
            Ok(())
        }
    }
    if Cut(detail).write_fmt(text).is_err() {
        detail.clear();
    }
}
