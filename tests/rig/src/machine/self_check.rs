//! Does the machine keep its promises? Asked at every boot, before the driver is
//! loaded: a verifier that stands on a wrong assumption proves nothing.

use core::fmt;

use crate::machine::interrupts::{clocks, differing_instruction, dispatches};
use crate::machine::log::log;
use crate::machine::{cpu, memory, stop, time};

/// How long an interrupt may take to arrive.
const ARRIVAL_LIMIT: u64 = 10 * time::TICKS_PER_SECOND;

/// How long an interrupt that must not arrive is waited for: 3 ms, three periods
/// of processor 0's clock.
const ABSENCE_MICROSECONDS: u64 = 3000;

/// IRQLs that the checks use.
const PASSIVE_LEVEL: u8 = 0;
const DISPATCH_LEVEL: u8 = 2;
const CLOCK_LEVEL: u8 = 13;

/// Checks the machine; a promise that it does not keep ends the run. Processor 0
/// at `PASSIVE_LEVEL`, the others waiting with interrupts enabled.
pub(crate) fn run() {
    let mappings = match memory::check_protections() {
        Ok(mappings) => mappings,
        Err(why) => fail(format_args!("{why}")),
    };
    check_the_check();
    check_unmapping();
    check_instructions();
    if !cpu::is_pageable_memory_watched() {
        log!(
            "The processor has no SMAP and SMEP: accesses to pageable memory at raised IRQL are not noticed."
        );
    }
    check_priorities();
    for processor in 0..cpu::processor_count() {
        check_arrival(processor);
    }
    log!(
        "The machine keeps its promises: {mappings} mappings, no memory both writable and executable; \
         IRQL holds interrupts back; interrupts reach all {} processors.",
        cpu::processor_count()
    );
}

/// A promise is not kept.
fn fail(what: fmt::Arguments<'_>) -> ! {
    stop::refuse(format_args!(
        "The machine does not do what the rig relies on: {what}."
    ))
}

/// The look at the page tables notices memory that is writable at one address and
/// executable at another: the rig's code, mapped once more as if it were a device.
fn check_the_check() {
    let code = memory::physical_address(run as *const u8);
    let Some(alias) = code.and_then(|code| memory::map_device(code, 1)) else {
        fail(format_args!("the rig's own code cannot be found"));
    };
    let noticed = memory::check_protections().is_err();
    memory::unmap_device(alias, 1);
    if !noticed {
        fail(format_args!(
            "code that was mapped writable was not noticed"
        ));
    }
}

/// An access to a device register has the effect that the processor's own would have.
fn check_instructions() {
    if let Some(instruction) = differing_instruction() {
        fail(format_args!(
            "the processor does something else for '{instruction}'"
        ));
    }
}

/// What is unmapped is gone, and what is mapped anew lies elsewhere.
fn check_unmapping() {
    let Some(address) = memory::allocate_guarded(memory::PAGE) else {
        fail(format_args!("there is no memory for a single page"));
    };
    // SAFETY: The page was just allocated and is writable.
    unsafe { address.write_volatile(1) };
    memory::free_guarded(address, memory::PAGE);
    if memory::physical_address(address).is_some() {
        fail(format_args!("a page that was unmapped is still mapped"));
    }
    let Some(other) = memory::allocate_guarded(memory::PAGE) else {
        fail(format_args!("there is no memory for a single page"));
    };
    if other == address {
        fail(format_args!("an address that was unmapped is used again"));
    }
    memory::free_guarded(other, memory::PAGE);
}

/// CR8 holds back what is not above it, and lets it in when it is lowered.
fn check_priorities() {
    let before = dispatches(0);
    cpu::set_irql(DISPATCH_LEVEL);
    cpu::request_dispatch_interrupt(0);
    cpu::stall(ABSENCE_MICROSECONDS);
    let early = dispatches(0) != before;
    cpu::set_irql(PASSIVE_LEVEL);
    if early {
        fail(format_args!(
            "a dispatch interrupt came in at DISPATCH_LEVEL"
        ));
    }
    wait_for("a dispatch interrupt after IRQL was lowered", || {
        dispatches(0) != before
    });
    cpu::set_irql(CLOCK_LEVEL);
    let before = clocks(0);
    cpu::stall(ABSENCE_MICROSECONDS);
    let early = clocks(0) != before;
    cpu::set_irql(PASSIVE_LEVEL);
    if early {
        fail(format_args!("a clock interrupt came in at CLOCK_LEVEL"));
    }
    wait_for("a clock interrupt after IRQL was lowered", || {
        clocks(0) != before
    });
}

/// Software interrupts reach a processor, and its clock runs.
fn check_arrival(processor: usize) {
    let before = dispatches(processor);
    cpu::request_dispatch_interrupt(processor);
    wait_for("a dispatch interrupt on another processor", || {
        dispatches(processor) != before
    });
    let before = clocks(processor);
    wait_for("a clock interrupt on another processor", || {
        clocks(processor) != before
    });
}

/// Waits for an interrupt that must come.
fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let limit = time::system_time_100ns() + ARRIVAL_LIMIT;
    while !condition() {
        if time::system_time_100ns() > limit {
            fail(format_args!("{what} did not come within 10 seconds"));
        }
        core::hint::spin_loop();
    }
}
