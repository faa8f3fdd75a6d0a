//! What the ISR shares: the registers and the packet in the device's hands.

use dirql::{
    interrupt::{Claim, ServiceRoutine},
    irql::Dirql,
    start_io::{Packet, PacketId},
};
use test_driver::EduBar;

/// The cause by which the device says that it has finished.
const FINISHED: u32 = 1 << 4;

/// A packet that has ended.
#[derive(Debug, Default)]
pub(crate) struct Ended {
    pub(crate) packet: Option<Packet>,
    /// The next packet is to be the first with at least this key.
    pub(crate) next_key: Option<u32>,
}

/// State of the interrupt. Nothing is dropped here: packets move in and out.
#[derive(Debug)]
pub(crate) struct Shared {
    bar: EduBar,
    is_silent: bool,
    /// Each packet is finished as soon as it is started.
    is_automatic: bool,
    /// The device works on it.
    under_way: Option<Packet>,
    /// It has finished, and the DPC has not come yet.
    ended: Ended,
}

impl Shared {
    pub(crate) fn new(bar: EduBar) -> Self {
        Self {
            bar,
            is_silent: true,
            is_automatic: false,
            under_way: None,
            ended: Ended::default(),
        }
    }

    pub(crate) const fn enable(&mut self) {
        self.is_silent = false;
    }

    pub(crate) const fn set_automatic(&mut self, is_automatic: bool) {
        self.is_automatic = is_automatic;
    }

    /// No interrupt any more; the packet that was under way comes back.
    pub(crate) fn silence(&mut self) -> Option<Packet> {
        self.is_silent = true;
        self.bar.silence();
        self.under_way.take()
    }

    /// Begins a packet, or hands it back.
    pub(crate) fn start(&mut self, packet: Packet) -> Result<(), Packet> {
        match &mut self.under_way {
            slot @ None if !self.is_silent => *slot = Some(packet),
            _ => return Err(packet),
        }
        if self.is_automatic {
            self.bar.raise(FINISHED);
        }
        Ok(())
    }

    /// Has the device finish; whether there was something under way.
    pub(crate) fn finish(&mut self, next_key: Option<u32>) -> bool {
        let is_busy = self.under_way.is_some();
        if is_busy {
            self.ended.next_key = next_key;
            self.bar.raise(FINISHED);
        }
        is_busy
    }

    /// Takes this packet away from the device.
    pub(crate) fn take_back(&mut self, id: PacketId) -> Option<Packet> {
        self.under_way.take_if(|packet| packet.id() == id)
    }

    /// Takes what has ended, for the DPC.
    pub(crate) const fn take_ended(&mut self) -> Ended {
        Ended {
            packet: self.ended.packet.take(),
            next_key: self.ended.next_key.take(),
        }
    }
}

impl ServiceRoutine for Shared {
    fn service(&mut self, _irql: &mut Dirql) -> Claim {
        let causes = self.bar.causes();
        // All ones: the device is gone.
        if causes == 0 || causes == u32::MAX {
            return Claim::NotOurs;
        }
        self.bar.acknowledge(causes);
        // An interrupt for a packet that was taken back finds nothing, or the next one,
        // which then ends a little early: for this device that is all the same.
        if self.ended.packet.is_none() {
            core::mem::swap(&mut self.under_way, &mut self.ended.packet);
        }
        Claim::OursRequestDpc
    }
}
