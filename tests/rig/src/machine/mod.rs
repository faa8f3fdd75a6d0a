//! The machine: processors, memory, interrupts, PCI, serial ports, PE mapping.
//!
//! Everything here is hardware and nothing is NT: the `nt` module gives the
//! calls their meaning. What the two agree on is in each module's public items.

pub(crate) mod acpi;
pub(crate) mod boot;
pub(crate) mod command_port;
pub(crate) mod configuration_space;
pub(crate) mod cpu;
pub(crate) mod fw_cfg;
pub(crate) mod hold;
pub(crate) mod hot_plug;
pub(crate) mod image;
pub(crate) mod interrupts;
pub(crate) mod log;
pub(crate) mod memory;
pub(crate) mod pci;
pub(crate) mod provoke;
mod runtime;
pub(crate) mod self_check;
pub(crate) mod stop;
pub(crate) mod sync;
pub(crate) mod time;
pub(crate) mod word;
