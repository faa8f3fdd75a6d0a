//! StartIo and the device queue. Wraps `IoStartPacket`, `IoStartNextPacket`,
//! `IoStartNextPacketByKey`, and the cancel routines that belong to them.
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
//!               |              |        ^
//!            waiting   refused |        | resume
//!               |              v        |
//!            cancelled        held (paused) --- fail: completed with the error
//! ```
//!
//! Requests wait in the order in which they came, or by a key
//! ([`Device::start_packet_by_key`], [`Packet::complete_by_key`]).
//!
//! # Cancellation
//!
//! A packet can be cancelled, and its handle closed, wherever it is:
//!
//! | where | who takes it | who completes it |
//! |---|---|---|
//! | in the queue | the cancel routine, by KeRemoveEntryDeviceQueue | the same |
//! | between the queue and StartIo | StartIo's thunk, which sees `Irp->Cancel` | the same |
//! | held | the cancel routine, under this module's lock | the same |
//! | in the device's hands | [`TakeBack::take_back`], in one critical section | its caller |
//!
//! One rule makes that exact: whoever takes the packet out completes it, and only one
//! can. A driver without [`TakeBack`] lets what it has begun come to its end.
//!
//! # Contexts
//!
//! | operation | caller | token |
//! |---|---|---|
//! | `start_packet`, `start_packet_by_key` | dispatch routines | any up to `Dispatch` |
//! | `Packet::complete` and its kin | everybody who owns the packet | any up to `Dispatch` |
//! | `StartIo::start_io` | the I/O manager | `Dispatch` is given |
//! | `TakeBack::take_back` | a cancellation, a CLEANUP | `UpToDispatch` is given |
//!
//! # Soundness
//!
//! Facts 1 to 5 of the crate, and of this module:
//!
//! 30. **One packet.** From StartIo until `start_next` there is one packet at a device,
//!     and `start_next` consumes it. So the number of the last that was started names it.
//! 31. **Cancel lock.** From `start_packet` on, an IRP's cancel routine is set and cleared
//!     with the cancel spin lock held, and nobody completes the IRP before he has
//!     held that lock once more. So a cancel routine may look at its IRP, and rely on the
//!     IRP's remove lock, until it releases the lock that it is called with.
//! 32. **Waiting.** An IRP is in the list of those that wait from before IoStartPacket
//!     until StartIo's thunk, its cancel routine or a CLEANUP takes it out, each before it
//!     completes it. So what is in the list is alive.
//!
//! # Not here
//!
//! StartIo without deferral: a packet may end inside StartIo, which starts the next
//! from inside; only the I/O manager's deferral keeps that from using up the stack.
//!
//! See "Writing StartIo Routines" and "Cancel Routines in Drivers with StartIo Routines"
//! in the Windows driver documentation.

mod cancel;
mod hold;
mod waiting;

use core::mem::ManuallyDrop;

use zerocopy::{Immutable, IntoBytes};

use crate::{
    cancel_lock,
    device::{Device, Header},
    driver::Driver,
    irp::{PendingIrp, buffers_of},
    irql::{self, AtMostDispatch, Dispatch, Passive, UpToDispatch},
    status::{NtError, Result},
    stop_code::{Reason, stop},
    sys,
};
pub(crate) use cancel::{Beginning, begin, cancel_started};
use hold::Fate;
pub(crate) use hold::PacketQueue;

/// The IRP that is in StartIo's hands.
#[must_use = "a packet is completed in the end; dropping it aborts the request"]
#[derive(Debug)]
pub struct Packet(ManuallyDrop<PendingIrp>);

buffers_of!(Packet);

/// Which packet it is; never that of another one of the same device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PacketId(u64);

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
    ///
    /// # IRQL
    /// DISPATCH_LEVEL, with no lock held. Not called again before it has returned.
    fn start_io(device: &Device<Self>, irql: &mut Dispatch, packet: Packet) -> Start;
}

/// A StartIo driver that can take back what it has begun, when the request is cancelled
/// or its file closed.
pub trait TakeBack: StartIo {
    /// Takes this packet away from the device, in one critical section, and returns it;
    /// it is then completed with STATUS_CANCELLED. `None` if the device does not have it:
    /// it has just ended, or was not begun yet.
    ///
    /// May be called for a packet that is gone, and for one more than once.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL, with no lock held.
    fn take_back(
        device: &Device<Self>,
        irql: &mut UpToDispatch,
        packet: PacketId,
    ) -> Option<Packet>;
}

/// Which of those that wait is the next packet.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// The first.
    First,
    /// The first whose key is at least this, else the first.
    Key(u32),
}

impl Packet {
    /// # Safety
    /// `irp` is what [`begin`] has made a packet of.
    pub(crate) const unsafe fn from_raw(irp: *mut sys::IRP) -> Self {
        // SAFETY: (Caller) the IRP's owner gave it to the device queue, which gave it to
        // StartIo, fact 30.
        Self(ManuallyDrop::new(unsafe { PendingIrp::from_raw(irp) }))
    }

    /// The device object whose packet it is.
    pub(crate) fn device_object(&self) -> *mut sys::DEVICE_OBJECT {
        self.0.device_object()
    }

    /// The IRP, which stays in this packet's hands.
    pub(crate) fn as_raw(&self) -> *mut sys::IRP {
        self.0.as_raw()
    }

    /// Gives the packet up without starting the next.
    pub(crate) fn into_raw(self) -> *mut sys::IRP {
        let mut packet = ManuallyDrop::new(self);
        // SAFETY: (Caller) taken once: `packet` is never dropped and not used again, fact 4.
        unsafe { ManuallyDrop::take(&mut packet.0) }.into_raw()
    }

    /// Which packet it is.
    #[must_use]
    pub fn id(&self) -> PacketId {
        // SAFETY: (Ready) `begin` wrote it when it made the packet, which is in no queue,
        // fact 30.
        let word = unsafe { sys::word(self.0.as_raw()) };
        PacketId(word.addr() as u64)
    }

    /// Starts the next packet, then completes this one, with the reply if there is one.
    /// Wraps `IoStartNextPacket`, `IoCompleteRequest`.
    pub fn complete<I: AtMostDispatch, T: IntoBytes + Immutable>(
        self,
        irql: &mut I,
        reply: Result<T>,
    ) {
        self.complete_with(irql, Next::First, reply);
    }

    /// As [`complete`](Self::complete); the next packet is the first of those waiting whose
    /// key is at least `key`, and the first of all if there is none. Wraps
    /// `IoStartNextPacketByKey`.
    pub fn complete_by_key<I: AtMostDispatch, T: IntoBytes + Immutable>(
        self,
        irql: &mut I,
        key: u32,
        reply: Result<T>,
    ) {
        self.complete_with(irql, Next::Key(key), reply);
    }

    fn complete_with<I: AtMostDispatch, T: IntoBytes + Immutable>(
        self,
        irql: &mut I,
        next: Next,
        reply: Result<T>,
    ) {
        let mut irp = self.start_next(irql, next);
        let result = reply.and_then(|reply| irp.write_output(&reply));
        irp.complete(irql, result);
    }

    /// Starts the next packet, then completes this one: `Ok` with the number of bytes
    /// transferred, or the error. For requests whose data is no reply in the system buffer:
    /// see [`crate::direct_io`]. Wraps `IoStartNextPacket`, `IoCompleteRequest`.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    pub fn complete_transfer<I: AtMostDispatch>(self, irql: &mut I, result: Result<usize>) {
        let irp = self.start_next(irql, Next::First);
        irp.complete(irql, result);
    }

    /// Starts the next packet, then completes this one with an error.
    // Where errors go: not worth a copy at each of them.
    #[inline(never)]
    pub fn fail<I: AtMostDispatch>(self, irql: &mut I, error: NtError) {
        let irp = self.start_next(irql, Next::First);
        irp.complete(irql, Err(error));
    }

    /// Lets the queue go on; the packet is one no more.
    fn start_next<I: AtMostDispatch>(self, irql: &mut I, next: Next) -> PendingIrp {
        let mut packet = ManuallyDrop::new(self);
        let object = packet.0.device_object();
        let raw = packet.0.as_raw();
        cancel_lock::with(irql, |_| {
            // SAFETY: (Pointer) this owner's IRP is alive. Fact 31: under the cancel lock,
            // whether or not there is a routine to clear.
            let _was_cancelable = unsafe { sys::set_cancel_routine(raw, None) };
        });
        irql::at_dispatch(irql, |_| match next {
            // SAFETY: (IRQL) DISPATCH_LEVEL, just raised. (Pointer) the packet's device,
            // which its remove lock keeps alive, fact 4. (Caller) once for each packet: `self`
            // was consumed, fact 30. Packets are started with a cancel routine.
            Next::First => unsafe { sys::IoStartNextPacket(object, 1) },
            // SAFETY: as above, facts 4 and 30.
            Next::Key(key) => unsafe { sys::IoStartNextPacketByKey(object, 1, key) },
        });
        // SAFETY: taken once: `packet` is never dropped and not used again, fact 4.
        unsafe { ManuallyDrop::take(&mut packet.0) }
    }
}

impl Drop for Packet {
    fn drop(&mut self) {
        if irql::current() > irql::DISPATCH_LEVEL {
            stop(Reason::DroppedTooHigh, self.0.device_object().addr());
        }
        // SAFETY: (IRQL) looked at just now, fact 5.
        let mut irql = unsafe { UpToDispatch::assume() };
        // SAFETY: taken once: `self` is being dropped, fact 4.
        let irp = unsafe { ManuallyDrop::take(&mut self.0) };
        Self(ManuallyDrop::new(irp)).fail(&mut irql, NtError::STATUS_REQUEST_ABORTED);
    }
}

impl<E: StartIo> Device<E> {
    /// Gives an IRP to the device queue: StartIo gets it now or when its turn comes.
    /// Wraps `IoStartPacket`.
    ///
    /// # IRQL
    /// At most DISPATCH_LEVEL.
    pub fn start_packet<I: AtMostDispatch>(&self, irql: &mut I, irp: PendingIrp) {
        self.start(irql, irp, core::ptr::null_mut());
    }

    /// As [`start_packet`](Self::start_packet), but before those that wait with a larger
    /// key. A key of zero is none: the packet waits behind all others.
    pub fn start_packet_by_key<I: AtMostDispatch>(&self, irql: &mut I, irp: PendingIrp, key: u32) {
        let mut key = key;
        self.start(irql, irp, &raw mut key);
    }

    fn start<I: AtMostDispatch>(&self, irql: &mut I, irp: PendingIrp, key: *mut u32) {
        const {
            assert!(
                E::ROUTINES.has_start_io(),
                "`Driver::ROUTINES` lacks `.start_io()`"
            );
        }
        self.header().start_packet(irql, irp, key);
    }
}

impl Header {
    /// Gives an IRP to the device queue. `key` is NULL or a variable of the caller's.
    pub(crate) fn start_packet<I: AtMostDispatch>(
        &self,
        irql: &mut I,
        irp: PendingIrp,
        key: *mut u32,
    ) {
        self.expect_own(irp.device_object());
        let irp = irp.into_raw();
        // SAFETY: (Pointer) the IRP was owned, and is the queue's from here on. Fact 32.
        unsafe { self.packets().waiting().add(irql, irp) };
        // SAFETY: (IRQL) the token says at most DISPATCH_LEVEL. (Pointer) as above; the key
        // is NULL or a variable that lives across the call, fact 11.
        unsafe { sys::IoStartPacket(self.object(), irp, key, Some(cancel::cancel_waiting)) };
    }
}

impl<E: Driver> Device<E> {
    /// Lets packets go to the device, the held one first.
    pub(crate) fn resume_packets(&self, irql: &mut Passive)
    where
        E: StartIo,
    {
        if let Some(packet) = self.header().packets().resume(irql) {
            irql::at_dispatch(irql, |irql| self.offer(irql, packet));
        }
    }

    /// Gives a packet to the StartIo routine, or holds or fails it.
    ///
    /// A refusal while packets run means that the device was paused and resumed in
    /// between. That can repeat, but not for ever: a routine that always refuses is
    /// wrong, and the packet fails rather than hang the processor.
    pub(crate) fn offer(&self, irql: &mut Dispatch, mut packet: Packet)
    where
        E: StartIo,
    {
        const ATTEMPTS: u32 = 16;
        let packets = self.header().packets();
        for _ in 0..ATTEMPTS {
            let id = packet.id();
            if packet.is_cancelled() || packets.is_given_up(id) {
                return packet.fail(irql, NtError::STATUS_CANCELLED);
            }
            if packets.is_running() {
                packet = match E::start_io(self, irql, packet) {
                    Start::Accepted => return self.catch_up(irql, id),
                    Start::Refused(packet) => packet,
                };
                self.header().expect_own(packet.0.device_object());
            }
            packet = match packets.hold(irql, packet, cancel_started::<E>) {
                Fate::Kept => return,
                Fate::Failed(packet, error) => return packet.fail(irql, error),
                Fate::Resumed(packet) => packet,
            };
        }
        packet.fail(irql, NtError::STATUS_DEVICE_NOT_READY);
    }

    /// A cancellation that came before the device had the packet found nothing to take
    /// back; it has left word.
    fn catch_up(&self, irql: &mut Dispatch, id: PacketId) {
        if self.header().packets().is_given_up(id)
            && let Some(packet) = self.take_back(irql, id)
        {
            packet.fail(irql, NtError::STATUS_CANCELLED);
        }
    }

    /// Takes back a packet that was started, if it is held or the driver can, and completes
    /// it with STATUS_CANCELLED.
    pub(crate) fn give_up_packet<I: AtMostDispatch>(&self, irql: &mut I, id: PacketId) {
        let packets = self.header().packets();
        // Before the look: whoever starts the packet looks afterwards.
        packets.give_up(id);
        let packet = packets.take_held(irql, id);
        if let Some(packet) = packet.or_else(|| self.take_back(irql, id)) {
            packet.fail(irql, NtError::STATUS_CANCELLED);
        }
    }

    fn take_back<I: AtMostDispatch>(&self, _irql: &mut I, id: PacketId) -> Option<Packet> {
        let take_back = E::ROUTINES.take_back?;
        // SAFETY: (IRQL) the token says at most DISPATCH_LEVEL, and is borrowed meanwhile,
        // fact 5.
        let mut irql = unsafe { UpToDispatch::assume() };
        take_back(self, &mut irql, id)
    }

    /// Keeps a packet that was taken back from a device that stops; a device that is
    /// gone fails it.
    pub(crate) fn hold_packet(&self, irql: &mut Passive, packet: Packet) {
        let header = self.header();
        header.expect_own(packet.0.device_object());
        match header.packets().hold(irql, packet, cancel_started::<E>) {
            Fate::Kept => {}
            Fate::Failed(packet, error) => packet.fail(irql, error),
            // Stopping has paused the queue, and nothing resumes it meanwhile: PnP
            // requests come one after the other.
            Fate::Resumed(packet) => packet.fail(irql, NtError::STATUS_DEVICE_NOT_READY),
        }
    }
}

impl Packet {
    /// Whether the request was cancelled.
    fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

impl Header {
    /// IRPs are `Send`, so the types do not keep one device's from another's queue; the
    /// remove lock that it holds would be the wrong one.
    pub(crate) fn expect_own(&self, object: *mut sys::DEVICE_OBJECT) {
        if object != self.object() {
            stop(Reason::ForeignIrp, object.addr());
        }
    }
}
