//! The ends of a packet: StartIo, DpcForIsr, and a cancellation in between.

use dirql::{
    device::Device,
    driver::DpcForIsr,
    irql::{AtMostDispatch, Dispatch, UpToDispatch},
    start_io::{Packet, PacketId, Start, StartIo, TakeBack},
};

use crate::{Counts, Queues, requests, shared::Ended};

impl StartIo for Queues {
    fn start_io(device: &Device<Self>, irql: &mut Dispatch, packet: Packet) -> Start {
        Counts::count(&device.counts.started);
        if requests::ends_in_start_io(&packet) {
            // Starts the next packet from inside StartIo; the I/O manager defers that.
            let reply = requests::reply(device, &packet);
            packet.complete(irql, Ok(reply));
            return Start::Accepted;
        }
        let mut packet = Some(packet);
        let refused = device.interrupt.synchronize(irql, |_, shared| {
            packet.take().and_then(|packet| shared.start(packet).err())
        });
        // Still here if no critical section ran: the device is stopped.
        match packet.or(refused.flatten()) {
            Some(packet) => Start::Refused(packet),
            None => Start::Accepted,
        }
    }
}

impl TakeBack for Queues {
    fn take_back(
        device: &Device<Self>,
        irql: &mut UpToDispatch,
        packet: PacketId,
    ) -> Option<Packet> {
        let taken = device
            .interrupt
            .synchronize(irql, |_, shared| shared.take_back(packet));
        let taken = taken.flatten();
        if taken.is_some() {
            Counts::count(&device.counts.taken_back);
        }
        taken
    }
}

impl DpcForIsr for Queues {
    fn dpc_for_isr(device: &Device<Self>, irql: &mut Dispatch) {
        let ended = device
            .interrupt
            .synchronize(irql, |_, shared| shared.take_ended());
        complete(device, irql, ended.unwrap_or_default());
    }
}

/// Completes a packet that has ended.
pub(crate) fn complete<I: AtMostDispatch>(device: &Device<Queues>, irql: &mut I, ended: Ended) {
    let Some(packet) = ended.packet else { return };
    let reply = requests::reply(device, &packet);
    match ended.next_key {
        Some(key) => packet.complete_by_key(irql, key, Ok(reply)),
        None => packet.complete(irql, Ok(reply)),
    }
}
