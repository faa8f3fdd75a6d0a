//! The log: lines of text on the first serial port.
//!
//! Any processor writes at any IRQL, and lines never mix. A processor that fails
//! while it writes a line (a fault in the middle of formatting) must still be able
//! to say so; the log's lock therefore knows its owner and lets it in again, and
//! the port is written without any state that a second writer could spoil.

use core::fmt::{self, Write};
use core::hint;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use uart_16550::{Config, Uart16550};
use x86_64::instructions::interrupts;
use x86_64::instructions::port::{PortReadOnly, PortWriteOnly};

use crate::machine::cpu;

/// Base of the first serial port.
const COM1: u16 = 0x3f8;

/// Line status register: what follows may be written.
const TRANSMITTER_EMPTY: u8 = 1 << 5;

/// Bytes that an empty transmitter takes at once.
const FIFO: usize = 16;

/// Owner of the log while nobody writes.
const NOBODY: usize = usize::MAX;

/// The processor that is writing a line.
static WRITER: AtomicUsize = AtomicUsize::new(NOBODY);

/// A line has been begun and not ended. At first it is the firmware's.
static WITHIN_LINE: AtomicBool = AtomicBool::new(true);

/// Writes one line to the log. Any IRQL.
macro_rules! log {
    ($($argument:tt)*) => {
        $crate::machine::log::record(::core::format_args!($($argument)*))
    };
}
pub(crate) use log;

/// Sets the port up. Nobody can be told when that fails: without a log there is
/// no run, and the host sees that nothing came.
pub(crate) fn initialize() -> Result<(), &'static str> {
    // SAFETY: The first serial port of a PC is at this address; processor 0 is
    // alone and this module is the only one to use the port.
    let port = unsafe { Uart16550::new_port(COM1) };
    port.map_err(|_| "the first serial port has no valid address")?
        .init(Config::default())
        .map_err(|_| "the first serial port does not work")
}

/// One line without anything in front; [`log!`] calls it.
pub(crate) fn record(text: fmt::Arguments<'_>) {
    interrupts::without_interrupts(|| {
        let nested = acquire(cpu::current_processor());
        let mut line = Line {
            bytes: [0; FIFO],
            length: 0,
        };
        // Another line, this processor's or a halted one's, ends here.
        if WITHIN_LINE.swap(true, Ordering::Relaxed) {
            line.push(b'\n');
        }
        if line.write_fmt(text).is_err() {
            line.put_text("(this line's text could not be formatted)");
        }
        line.push(b'\n');
        line.flush();
        WITHIN_LINE.store(false, Ordering::Relaxed);
        if !nested {
            WRITER.store(NOBODY, Ordering::Release);
        }
    });
}

/// Makes the log this processor's for good; the others are halted, one of them
/// perhaps in the middle of a line.
pub(crate) fn break_lock() {
    WRITER.store(cpu::current_processor(), Ordering::Release);
}

/// Waits for the log; true when this processor has it already. Not bounded by a
/// time limit, because reporting the hang would need the log: a processor that
/// holds it only writes to the port, and the host bounds the whole run.
fn acquire(processor: usize) -> bool {
    loop {
        match WRITER.compare_exchange_weak(NOBODY, processor, Ordering::Acquire, Ordering::Relaxed)
        {
            Ok(_) => return false,
            Err(owner) if owner == processor => return true,
            Err(_) => hint::spin_loop(),
        }
    }
}

/// Collects bytes and writes them a FIFO at a time.
struct Line {
    bytes: [u8; FIFO],
    length: usize,
}

impl Line {
    /// One byte more.
    fn push(&mut self, byte: u8) {
        if self.length == FIFO {
            self.flush();
        }
        self.bytes[self.length] = byte;
        self.length += 1;
    }

    /// Text as it is.
    fn put_text(&mut self, text: &str) {
        text.bytes().for_each(|byte| self.push(byte));
    }

    /// Hands everything to the port.
    fn flush(&mut self) {
        if self.length == 0 {
            return;
        }
        let mut status = PortReadOnly::<u8>::new(COM1 + 5);
        // SAFETY: This module owns the port; reading its line status only clears
        // error bits, which nobody looks at.
        while unsafe { status.read() } & TRANSMITTER_EMPTY == 0 {
            hint::spin_loop();
        }
        let mut data = PortWriteOnly::<u8>::new(COM1);
        for byte in &self.bytes[..self.length] {
            // SAFETY: This module owns the port, and the transmitter is empty, so
            // its FIFO takes as many bytes as `bytes` holds.
            unsafe { data.write(*byte) };
        }
        self.length = 0;
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put_text(text);
        Ok(())
    }
}
