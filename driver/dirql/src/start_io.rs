//! StartIo and the device queue. Wraps `IoStartPacket`, `IoStartNextPacket`.
//!
//! # Model
//!
//! The I/O manager hands out one packet at a time. A [`Packet`] is that packet:
//! completing it starts the next, always both, so the queue can neither stall nor
//! run ahead. While the device is stopped the packet in hand is held: the queue
//! stays busy behind it, later requests line up in order, and resuming starts with
//! the held one. Nothing is lost and nothing overtakes.
//!
//! ```text
//!            start_packet                     Packet::complete
//!  dispatch ---------------> StartIo routine ------------------> next packet
//!                              |        ^
//!                      refused |        | resume
//!                              v        |
//!                             held (paused) --- fail: completed with the error
//! ```
//!
//! # Not here
//!
//! Cancellation: a packet has no cancel routine, so a request pends until it is done,
//! past its driver's deadline, or failed by removal.

use core::{
    mem::ManuallyDrop,
    sync::atomic::{AtomicBool, Ordering},
};

use zerocopy::{Immutable, IntoBytes};

use crate::{
    device::{Device, Header},
    driver::Driver,
    irp::{PendingIrp, buffers_of},
    irql::{self, AtMostDispatch, Dispatch, Passive},
    spin_lock::SpinLock,
    status::{NtError, Result},
    stop_code::{Reason, stop},
    sys,
};

/// The IRP that is in StartIo's hands.
#[must_use = "a packet is completed in the end; dropping it aborts the request"]
#[derive(Debug)]
pub struct Packet(ManuallyDrop<PendingIrp>);

buffers_of!(Packet);

/// What a StartIo routine did with its packet.
#[must_use]
#[derive(Debug)]
pub enum Start {
    /// The packet is on its way; it will be, or has been, completed.
    Accepted,
    /// The device takes no packets now: hold it until it does.
    Refused(Packet),
}

/// A StartIo routine.
pub trait StartIo: Driver {
    /// Starts the packet: programs the device in one critical section, or completes.
    fn start_io(device: &Device<Self>, irql: &mut Dispatch, packet: Packet) -> Start;
}

impl Packet {
    /// # Safety
    /// `irp` is what the I/O manager gave to StartIo, after
    /// [`start_packet`](Device::start_packet) gave it up.
    pub(crate) const unsafe fn from_raw(irp: *mut sys::IRP) -> Self {
        // SAFETY: the IRP's owner gave it to the device queue, which gives it back here.
        Self(ManuallyDrop::new(unsafe { PendingIrp::from_raw(irp) }))
    }

    /// Starts the next packet, then completes this one, with the reply if there is one.
    pub fn complete<I: AtMostDispatch, T: IntoBytes + Immutable>(
        self,
        irql: &mut I,
        reply: Result<T>,
    ) {
        let mut irp = self.start_next(irql);
        let result = reply.and_then(|reply| irp.write_output(&reply));
        irp.complete(irql, result);
    }

    /// Starts the next packet, then completes this one with an error.
    pub fn fail<I: AtMostDispatch>(self, irql: &mut I, error: NtError) {
        let irp = self.start_next(irql);
        irp.complete(irql, Err(error));
    }

    /// Lets the queue go on; the packet is one no more.
    fn start_next<I: AtMostDispatch>(self, irql: &mut I) -> PendingIrp {
        let mut packet = ManuallyDrop::new(self);
        let object = packet.0.device_object();
        irql::at_dispatch(irql, |_| {
            // SAFETY: (IRQL) DISPATCH_LEVEL, just raised. (Pointer) the packet's device,
            // which its remove lock keeps alive. (Caller) once for each packet: `self` was
            // consumed.
            unsafe { sys::IoStartNextPacket(object, 0) };
        });
        // SAFETY: taken once: `packet` is never dropped and not used again.
        unsafe { ManuallyDrop::take(&mut packet.0) }
    }
}

impl Drop for Packet {
    fn drop(&mut self) {
        if irql::current() > irql::DISPATCH_LEVEL {
            stop(Reason::DroppedTooHigh, self.0.device_object().addr());
        }
        // SAFETY: (IRQL) looked at just now.
        let mut irql = unsafe { irql::UpToDispatch::assume() };
        // SAFETY: taken once: `self` is being dropped.
        let irp = unsafe { ManuallyDrop::take(&mut self.0) };
        Self(ManuallyDrop::new(irp)).fail(&mut irql, NtError::STATUS_REQUEST_ABORTED);
    }
}

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
    hold: SpinLock<Hold>,
}

#[derive(Debug)]
struct Hold {
    mode: Mode,
    packet: Option<Packet>,
}

/// What became of a packet that was to be held.
enum Fate {
    Kept,
    Resumed(Packet),
    Failed(Packet, NtError),
}

impl PacketQueue {
    /// A queue of a device that is not started.
    pub(crate) const fn new() -> Self {
        Self {
            running: AtomicBool::new(false),
            hold: SpinLock::new(Hold {
                mode: Mode::Paused,
                packet: None,
            }),
        }
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
    fn resume(&self, irql: &mut Passive) -> Option<Packet> {
        self.switch(irql, Mode::Running, true)
    }

    fn switch(&self, irql: &mut Passive, mode: Mode, take: bool) -> Option<Packet> {
        self.hold.with(irql, |_, hold| {
            hold.mode = mode;
            self.running.store(mode == Mode::Running, Ordering::Relaxed);
            if take { hold.packet.take() } else { None }
        })
    }

    fn is_running(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }

    fn hold<I: AtMostDispatch>(&self, irql: &mut I, packet: Packet) -> Fate {
        self.hold.with(irql, |_, hold| match hold.mode {
            Mode::Running => Fate::Resumed(packet),
            Mode::Failing(error) => Fate::Failed(packet, error),
            Mode::Paused => {
                if hold.packet.is_some() {
                    stop(Reason::SecondPacketHeld, 0);
                }
                hold.packet = Some(packet);
                Fate::Kept
            }
        })
    }
}

impl<E: StartIo> Device<E> {
    /// Gives an IRP to the device queue: StartIo gets it now or when its turn comes.
    /// Wraps `IoStartPacket`.
    pub fn start_packet<I: AtMostDispatch>(&self, _irql: &mut I, irp: PendingIrp) {
        const {
            assert!(
                E::ROUTINES.has_start_io(),
                "`Driver::ROUTINES` lacks `.start_io()`"
            );
        }
        self.header().expect_own(irp.device_object());
        let irp = irp.into_raw();
        // SAFETY: (IRQL) the token says at most DISPATCH_LEVEL. (Pointer) the IRP was
        // owned and is the queue's now; the key is optional.
        unsafe { sys::IoStartPacket(self.header().object(), irp, core::ptr::null_mut(), None) };
    }

    /// Lets packets go to the device, the held one first.
    pub(crate) fn resume_packets(&self, irql: &mut Passive) {
        if let Some(packet) = self.header().packets().resume(irql) {
            irql::at_dispatch(irql, |irql| self.offer(irql, packet));
        }
    }

    /// Gives a packet to the StartIo routine, or holds or fails it.
    ///
    /// A refusal while packets run means that the device was paused and resumed in
    /// between. That can repeat, but not for ever: a routine that always refuses is
    /// wrong, and the packet fails rather than hang the processor.
    pub(crate) fn offer(&self, irql: &mut Dispatch, mut packet: Packet) {
        const ATTEMPTS: u32 = 16;
        let packets = self.header().packets();
        for _ in 0..ATTEMPTS {
            if packets.is_running() {
                packet = match E::start_io(self, irql, packet) {
                    Start::Accepted => return,
                    Start::Refused(packet) => packet,
                };
                self.header().expect_own(packet.0.device_object());
            }
            packet = match packets.hold(irql, packet) {
                Fate::Kept => return,
                Fate::Failed(packet, error) => return packet.fail(irql, error),
                Fate::Resumed(packet) => packet,
            };
        }
        packet.fail(irql, NtError::STATUS_DEVICE_NOT_READY);
    }
}

impl Header {
    /// IRPs are `Send`, so the types do not keep one device's from another's queue; the
    /// remove lock that it holds would be the wrong one.
    fn expect_own(&self, object: *mut sys::DEVICE_OBJECT) {
        if object != self.object() {
            stop(Reason::ForeignIrp, object.addr());
        }
    }

    /// Keeps a packet that was taken back from a device that stops; a device that is
    /// gone fails it.
    pub(crate) fn hold_packet(&self, irql: &mut Passive, packet: Packet) {
        self.expect_own(packet.0.device_object());
        match self.packets().hold(irql, packet) {
            Fate::Kept => {}
            Fate::Failed(packet, error) => packet.fail(irql, error),
            // Stopping has paused the queue, and nothing resumes it meanwhile: PnP
            // requests come one after the other.
            Fate::Resumed(packet) => packet.fail(irql, NtError::STATUS_DEVICE_NOT_READY),
        }
    }
}
