//! Requests that need the device: held while it sleeps, done when it is awake.

use dirql::{
    device::Device,
    driver::DpcForIsr,
    irp::Buffers,
    irql::{AtMostDispatch, Dispatch},
    start_io::{Packet, Start, StartIo},
};
use test_driver::{figures, reply, request};

use crate::Sleeper;

/// The check that computes a factorial with the device.
const FACTORIAL: u32 = 3;

/// Whether a request needs the device.
pub(crate) fn is_packet(irp: &impl Buffers) -> bool {
    request(irp).is_ok_and(|(number, _)| number == FACTORIAL)
}

impl StartIo for Sleeper {
    fn start_io(device: &Device<Self>, irql: &mut Dispatch, packet: Packet) -> Start {
        let n = match request(&packet) {
            Ok((_, arguments)) => {
                let [n, ..] = arguments.values;
                u32::try_from(n).unwrap_or(u32::MAX)
            }
            Err(error) => {
                packet.fail(irql, error);
                return Start::Accepted;
            }
        };
        let mut packet = Some(packet);
        let refused = device.interrupt.synchronize(irql, |_, shared| {
            packet.take().and_then(|packet| shared.begin(packet, n))
        });
        match packet.or(refused.flatten()) {
            Some(packet) => Start::Refused(packet),
            None => Start::Accepted,
        }
    }
}

impl DpcForIsr for Sleeper {
    fn dpc_for_isr(device: &Device<Self>, irql: &mut Dispatch) {
        complete_done(device, irql);
    }
}

/// Completes the packet that the device has finished, if there is one.
pub(crate) fn complete_done<I: AtMostDispatch>(device: &Device<Sleeper>, irql: &mut I) {
    let done = device
        .interrupt
        .synchronize(irql, |_, shared| shared.take_done());
    if let Some((packet, value)) = done.flatten() {
        packet.complete(irql, Ok(reply(Ok(figures([u64::from(value)])))));
    }
}
