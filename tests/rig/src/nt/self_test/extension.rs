//! The self-test driver's device extension: kernel objects, and what it remembers.
//!
//! # Soundness
//! 1. A device extension is the driver's alone, zeroed when its device object is
//!    made, and never freed; the kernel calls the driver's routines with its own
//!    device objects.

use wdk_sys::{
    IO_INTERRUPT_MESSAGE_INFO, IO_REMOVE_LOCK, KDPC, KSPIN_LOCK, KTIMER, PDEVICE_OBJECT, PIRP,
    PKINTERRUPT, ULONG, UNICODE_STRING,
};

use crate::nt::kernel_memory::fields;
use crate::nt::self_test::queue::Queue;

/// Requests that can be held.
pub(super) const MAX_HELD: usize = 4;

/// The device extension.
#[repr(C)]
pub(super) struct Extension {
    remove_lock: IO_REMOVE_LOCK,
    lower: PDEVICE_OBJECT,
    pdo: PDEVICE_OBJECT,
    timer: KTIMER,
    timer_dpc: KDPC,
    dpc: KDPC,
    interrupt: PKINTERRUPT,
    table: *mut IO_INTERRUPT_MESSAGE_INFO,
    version: ULONG,
    spin_lock: KSPIN_LOCK,
    link: UNICODE_STRING,
    registers: *mut u32,
    is_enabled: bool,
    queue: Queue,
    queue_lock: KSPIN_LOCK,
    held: [PIRP; MAX_HELD],
    held_count: usize,
    is_remove_pending: bool,
    is_gone: bool,
}

/// A device object of this driver's, for its extension.
#[derive(Clone, Copy)]
pub(super) struct Own(PDEVICE_OBJECT);

/// The extension of a device object of this driver's.
pub(super) fn own(device: PDEVICE_OBJECT) -> Own {
    Own(device)
}

impl Own {
    /// The extension.
    fn pointer(self) -> *mut Extension {
        // SAFETY: Fact 1.
        unsafe { (*self.0).DeviceExtension.cast() }
    }
}

fields!(Own {
    lower / set_lower: PDEVICE_OBJECT = lower;
    pdo / set_pdo: PDEVICE_OBJECT = pdo;
    interrupt / set_interrupt: PKINTERRUPT = interrupt;
    table: *mut IO_INTERRUPT_MESSAGE_INFO = table;
    version / set_version: ULONG = version;
    registers / set_registers: *mut u32 = registers;
    is_enabled / set_is_enabled: bool = is_enabled;
    held / set_held: [PIRP; MAX_HELD] = held;
    held_count / set_held_count: usize = held_count;
    is_remove_pending / set_is_remove_pending: bool = is_remove_pending;
    is_gone / set_is_gone: bool = is_gone;
});

/// Defines functions that give the address of a kernel object in the extension.
macro_rules! objects {
    ($($name:ident: $kind:ty = $field:ident;)+) => {
        impl Own {
            $(
                #[doc = concat!("Where `", stringify!($field), "` is.")]
                pub(super) fn $name(self) -> *mut $kind {
                    // SAFETY: Fact 1.
                    unsafe { &raw mut (*self.pointer()).$field }
                }
            )+
        }
    };
}

objects! {
    at_remove_lock: IO_REMOVE_LOCK = remove_lock;
    at_timer: KTIMER = timer;
    at_timer_dpc: KDPC = timer_dpc;
    at_dpc: KDPC = dpc;
    at_interrupt: PKINTERRUPT = interrupt;
    at_table: *mut IO_INTERRUPT_MESSAGE_INFO = table;
    at_spin_lock: KSPIN_LOCK = spin_lock;
    at_link: UNICODE_STRING = link;
    at_queue: Queue = queue;
    at_queue_lock: KSPIN_LOCK = queue_lock;
}
