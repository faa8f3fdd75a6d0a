//! What happens to a packet that the device does not take: held, failed, resumed.

use super::{Packet, PacketId, waiting::Waiting};
use crate::{
    cancel_lock,
    irql::{AtMostDispatch, Passive},
    spin_lock::SpinLock,
    status::NtError,
    stop_code::{Reason, stop},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    sys::{self, CancelRoutine},
};

/// What happens to a packet that the device does not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Packets go to the StartIo routine.
    Running,
    /// The one in hand is held, the others wait behind it.
    Paused,
    /// Packets fail.
    Failing(NtError),
}

/// The state of a device's queue beside the I/O manager's own.
#[derive(Debug)]
pub(crate) struct PacketQueue {
    /// `mode == Running`, readable without the lock: the usual packet takes no lock
    /// here. Written under the lock.
    running: AtomicBool,
    /// Of the packets that were to be given up, the latest one's number. Written by
    /// cancellations, before they look for the packet; read by StartIo's thunk, after the
    /// device has it.
    given_up: AtomicU64,
    hold: SpinLock<Hold>,
    waiting: Waiting,
}

#[derive(Debug)]
struct Hold {
    mode: Mode,
    packet: Option<Packet>,
}

/// What became of a packet that was to be held.
pub(super) enum Fate {
    /// It is held.
    Kept,
    /// Packets go to the device again.
    Resumed(Packet),
    /// Packets fail, or this one was cancelled.
    Failed(Packet, NtError),
}

impl PacketQueue {
    /// A queue of a device that is not started.
    pub(crate) const fn new() -> Self {
        Self {
            running: AtomicBool::new(false),
            given_up: AtomicU64::new(0),
            hold: SpinLock::new(Hold {
                mode: Mode::Paused,
                packet: None,
            }),
            waiting: Waiting::new(),
        }
    }

    /// Those that wait for StartIo.
    pub(crate) const fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    /// From now on packets are held.
    pub(crate) fn pause(&self, irql: &mut Passive) {
        let _nothing_held_so_far = self.switch(irql, Mode::Paused, false);
    }

    /// Packets fail from now on, the held one first.
    pub(crate) fn fail(&self, irql: &mut Passive, error: NtError) {
        if let Some(packet) = self.switch(irql, Mode::Failing(error), true) {
            packet.fail(irql, error);
        }
    }

    /// Packets go to the device again; the held one is returned, to be started.
    pub(super) fn resume(&self, irql: &mut Passive) -> Option<Packet> {
        self.switch(irql, Mode::Running, true)
    }

    // Start, stop and power: seldom, from many places.
    #[inline(never)]
    fn switch(&self, irql: &mut Passive, mode: Mode, take: bool) -> Option<Packet> {
        self.hold.with(irql, |_, hold| {
            hold.mode = mode;
            self.running.store(mode == Mode::Running, Ordering::Relaxed);
            if take { hold.packet.take() } else { None }
        })
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }

    /// This packet is wanted no more. Sequentially consistent, as is the look: of one who
    /// gives up and one who starts, one sees the other.
    pub(super) fn give_up(&self, id: PacketId) {
        self.given_up.fetch_max(id.0, Ordering::SeqCst);
    }

    /// Whether this packet is wanted no more.
    pub(super) fn is_given_up(&self, id: PacketId) -> bool {
        self.given_up.load(Ordering::SeqCst) == id.0
    }

    /// Takes this packet, if it is the held one. A new one is held only after it.
    pub(super) fn take_held<I: AtMostDispatch>(
        &self,
        irql: &mut I,
        id: PacketId,
    ) -> Option<Packet> {
        self.hold.with(irql, |_, hold| {
            hold.packet.take_if(|packet| packet.id() == id)
        })
    }

    /// Holds a packet, which can be cancelled meanwhile.
    pub(super) fn hold<I: AtMostDispatch>(
        &self,
        irql: &mut I,
        packet: Packet,
        cancel_routine: CancelRoutine,
    ) -> Fate {
        // The cancel lock outside: a cancel routine takes it first, too.
        cancel_lock::with(irql, |irql| {
            self.hold.with(irql, |_, hold| match hold.mode {
                Mode::Running => Fate::Resumed(packet),
                Mode::Failing(error) => Fate::Failed(packet, error),
                Mode::Paused if packet.is_cancelled() || self.is_given_up(packet.id()) => {
                    Fate::Failed(packet, NtError::STATUS_CANCELLED)
                }
                Mode::Paused => {
                    if hold.packet.is_some() {
                        stop(Reason::SecondPacketHeld, 0);
                    }
                    // SAFETY: (Pointer) the packet's IRP is alive. Fact 31: the cancel lock
                    // is held. The routine is this module's, for a packet of this device.
                    let _was_set =
                        unsafe { sys::set_cancel_routine(packet.0.as_raw(), Some(cancel_routine)) };
                    hold.packet = Some(packet);
                    Fate::Kept
                }
            })
        })
    }
}
