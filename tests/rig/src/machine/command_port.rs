//! The command channel's bytes: the second serial port, driven by interrupts.
//!
//! Received bytes wait in a ring; when it is full they wait in the port, whose
//! receiver makes the host wait, so none is lost. Bytes to send wait in a queue,
//! which the port's interrupt empties.

use alloc::collections::VecDeque;

use uart_16550::backend::PioBackend;
use uart_16550::spec::registers::IER;
use uart_16550::{BaudRate, Config, Uart16550};

use crate::machine::interrupts::{COMMAND_PORT_VECTOR, route_isa_edge};
use crate::machine::stop;
use crate::machine::sync::IrqLock;
use crate::machine::time::SpinLimit;

/// Base of the second serial port.
const COM2: u16 = 0x2f8;

/// Its ISA interrupt.
const ISA_INTERRUPT: u8 = 3;

/// Received bytes that wait.
const RECEIVE_LIMIT: usize = 64 << 10;

/// Bytes to send that wait.
const SEND_LIMIT: usize = 64 << 10;

/// Bytes that one interrupt sends at most: the rest has interrupts of its own.
const SEND_BURST: usize = 512;

/// The port and its queues.
struct CommandPort {
    uart: Uart16550<PioBackend>,
    received: VecDeque<u8>,
    to_send: VecDeque<u8>,
}

static PORT: IrqLock<Option<CommandPort>> = IrqLock::new(None);

/// Sets the port up and lets it interrupt processor 0.
pub(crate) fn initialize() {
    let config = Config {
        baud_rate: BaudRate::Baud115200,
        ..Config::default()
    };
    // SAFETY: The second serial port of a PC is at this address, and this module
    // is the only one to use it.
    let port = unsafe { Uart16550::new_port(COM2) };
    let uart = port.ok().and_then(|mut uart| {
        uart.init(config).ok()?;
        Some(uart)
    });
    let Some(mut uart) = uart else {
        stop::refuse(format_args!(
            "The machine has no second serial port for the command channel: give QEMU a second -serial."
        ));
    };
    route_isa_edge(ISA_INTERRUPT, COMMAND_PORT_VECTOR, 0);
    uart.enable_interrupts(IER::DATA_READY);
    PORT.with(|port| {
        *port = Some(CommandPort {
            uart,
            received: VecDeque::with_capacity(RECEIVE_LIMIT),
            to_send: VecDeque::with_capacity(SEND_LIMIT),
        });
    });
}

/// Takes received bytes out; returns how many. Whoever is told that bytes have
/// come reads until there are none: bytes that are taken from the port here have
/// no interrupt of their own. Any IRQL.
pub(crate) fn read(buffer: &mut [u8]) -> usize {
    with_port(|port| {
        // First, so that nothing is left in the ring when the count is zero. The
        // receiver's interrupt may have been off because the ring was full.
        port.receive();
        let count = buffer.len().min(port.received.len());
        for (slot, byte) in buffer.iter_mut().zip(port.received.drain(..count)) {
            *slot = byte;
        }
        count
    })
}

/// Sends bytes, all of them together. Any IRQL; waits only while 64 KiB are
/// waiting to be sent.
///
/// # Panics
/// When `bytes` is longer than all that may wait.
pub(crate) fn write(bytes: &[u8]) {
    assert!(
        bytes.len() <= SEND_LIMIT,
        "a frame is longer than the command channel's queue"
    );
    let mut limit = SpinLimit::new("the host to take bytes from the command channel");
    while !with_port(|port| port.queue(bytes)) {
        limit.spin();
    }
}

/// Moves bytes between the port and the queues; the port's interrupt calls it.
pub(crate) fn service() {
    with_port(|port| {
        // The interrupt is edge-triggered: a cause that is left behind would keep
        // the line up, and no further edge would come.
        loop {
            port.receive();
            port.send();
            if !port.uart.isr().has_pending_interrupt() {
                break;
            }
        }
    });
}

/// Runs `routine` with the port, which `initialize` has set up.
fn with_port<R>(routine: impl FnOnce(&mut CommandPort) -> R) -> R {
    PORT.with(|port| {
        let Some(port) = port else {
            unreachable!("the command port is used before it is set up")
        };
        routine(port)
    })
}

impl CommandPort {
    /// Port to ring. With the ring full, the receiver must not interrupt: the
    /// bytes wait in the port until `read` makes room.
    fn receive(&mut self) {
        while self.received.len() < RECEIVE_LIMIT {
            let Ok(byte) = self.uart.try_receive_byte() else {
                break;
            };
            self.received.push_back(byte);
        }
        self.set_interrupt(IER::DATA_READY, self.received.len() < RECEIVE_LIMIT);
    }

    /// Appends a whole frame, if there is room, and sends what the port takes.
    fn queue(&mut self, bytes: &[u8]) -> bool {
        let has_room = SEND_LIMIT - self.to_send.len() >= bytes.len();
        if has_room {
            self.to_send.extend(bytes);
        }
        self.send();
        has_room
    }

    /// Queue to port, as long as the port takes bytes. When some are left, the
    /// empty transmitter interrupts.
    fn send(&mut self) {
        let mut sent = 0;
        while sent < SEND_BURST {
            let (bytes, _) = self.to_send.as_slices();
            let count = self.uart.send_bytes(bytes);
            if count == 0 {
                break;
            }
            self.to_send.drain(..count);
            sent += count;
        }
        self.set_interrupt(IER::THR_EMPTY, !self.to_send.is_empty());
    }

    /// Enables or disables an interrupt, if it is not so already.
    fn set_interrupt(&mut self, interrupt: IER, enabled: bool) {
        let is_enabled = self.uart.config().interrupts.contains(interrupt);
        match (is_enabled, enabled) {
            (false, true) => self.uart.enable_interrupts(interrupt),
            (true, false) => self.uart.disable_interrupts(interrupt),
            _ => {}
        }
    }
}
