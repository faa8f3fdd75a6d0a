//! The rig: a small NT executive that boots in QEMU, loads the shipped `edu.sys`,
//! runs it on the real (virtual) device on several processors, and checks it
//! against the rules.
//!
//! A UEFI program, because UEFI loads PE images with the Microsoft calling
//! convention: the rig is built for the same target as the driver and shares its
//! structure definitions. `machine` is the hardware, `nt` is what Windows would be.

#![no_std]
#![no_main]
#![expect(
    unsafe_code,
    reason = "the rig is the hardware's and the kernel's side of every contract"
)]

extern crate alloc;

mod machine;
mod nt;

use core::panic::PanicInfo;

use uefi::Status;

pub(crate) use machine::log::log;

use machine::{
    acpi, boot, command_port, cpu, hold, image, interrupts, log, memory, self_check, stop, time,
    word::word,
};

/// Name under which the host finds the rig's symbols.
const IMAGE_NAME: &str = "rig.efi";

/// Where the firmware begins.
#[uefi::entry]
fn efi_main() -> Status {
    cpu::install_block(0);
    if log::initialize().is_err() {
        return Status::DEVICE_ERROR;
    }
    let boot = boot::take_over();
    cpu::enable_features();
    memory::initialize(&boot);
    hold::wait();
    log!("Dirql's rig {}", env!("CARGO_PKG_VERSION"));
    image::register(IMAGE_NAME, boot.image_base.addr(), word(boot.image_size));
    // The firmware's stack has no guard page below; the rig's own have.
    let stack = memory::allocate_stack(memory::PROCESSOR_STACK);
    // SAFETY: The stack was just made, for this processor, and its top is a page's end.
    unsafe { cpu::continue_on(stack, boot.rsdp, processor_0) }
}

/// Processor 0, on its own stack: the machine, then the executive.
extern "C" fn processor_0(rsdp: usize) -> ! {
    let platform = acpi::read_platform(rsdp);
    time::calibrate(platform.timer);
    interrupts::initialize(&platform.controllers);
    interrupts::install_handlers(nt::handlers());
    cpu::initialize_this_processor();
    command_port::initialize();
    x86_64::instructions::interrupts::enable();
    log!("Processor 0 runs.");
    cpu::start_others(&platform.processors);
    self_check::run();
    nt::start()
}

/// Every other processor, when it is up; `machine` calls it.
fn processor_main(index: usize) -> ! {
    cpu::wait_until_released();
    nt::processor_main(index)
}

/// A bug in the rig itself.
#[panic_handler]
fn panic(information: &PanicInfo<'_>) -> ! {
    stop::stop(
        "RIG-PANIC",
        "panic",
        format_args!("The rig itself has failed: {information}"),
        &stop::capture_context(),
    )
}
