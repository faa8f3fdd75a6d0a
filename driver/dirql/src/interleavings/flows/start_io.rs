//! Packets that are started, cancelled, held and completed at the same time.
//!
//! What is asked for: each request is completed once; one that is cancelled is completed though
//! the device never ends it, wherever it is: in the queue, on its way to StartIo, in StartIo, in
//! the device's hands, or held.

use std::rc::Rc;

use pin_project_lite::pin_project;
use uuid::Uuid;

use crate::{
    device::Device,
    driver::{Driver, Routines, Stop},
    interleavings::{
        explore::{Bounds, explore},
        machine::{Machine, Threads},
        mistake::{Mistake, Seed},
        tracked::Ground,
    },
    irp::{Dispatched, Irp},
    irql::{Dispatch, Passive, UpToDispatch},
    resources::Resources,
    spin_lock::SpinLock,
    start_io::{Packet, PacketId, Start, StartIo, TakeBack},
    status::Result,
    sys,
};

pin_project! {
    struct Extension {
        // The packet in the device's hands.
        device: SpinLock<Option<Packet>>,
        ground: Ground,
    }
}

impl Driver for Extension {
    const ROUTINES: Routines<Self> = Routines::new().start_io().take_back();
    const INTERFACE: Option<Uuid> = None;

    fn add_device(_: &mut Passive) -> Result<Self> {
        Ok(Self {
            device: SpinLock::new(None),
            ground: Ground::new(),
        })
    }

    fn start_device(_: &Device<Self>, _: &mut Passive, _: &Resources<'_>) -> Result<()> {
        Ok(())
    }

    fn stop_device(device: &Device<Self>, irql: &mut Passive, _: Stop) -> Option<Packet> {
        device.device.with(irql, |_, packet| packet.take())
    }

    fn device_control(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        device.ground.touch();
        irp.pend(|irp| device.start_packet(irql, irp))
    }

    /// What the device has, it ends.
    fn create(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        device.ground.touch();
        if let Some(packet) = device.device.with(irql, |_, packet| packet.take()) {
            packet.complete(irql, Ok(()));
        }
        irp.complete(irql, Ok(0))
    }
}

impl StartIo for Extension {
    fn start_io(device: &Device<Self>, irql: &mut Dispatch, packet: Packet) -> Start {
        device.ground.touch();
        device.device.with(irql, |_, place| {
            assert!(place.is_none(), "the device has a packet");
            *place = Some(packet);
        });
        Start::Accepted
    }
}

impl TakeBack for Extension {
    fn take_back(
        device: &Device<Self>,
        irql: &mut UpToDispatch,
        packet: PacketId,
    ) -> Option<Packet> {
        device
            .device
            .with(irql, |_, place| place.take_if(|place| place.id() == packet))
    }
}

const FILE: usize = 0x1000;

/// One request, which the device never ends, and its cancellation.
fn cancelled() {
    let machine = Machine::new::<Extension>(2);
    let mut threads = Threads::new(&[]);
    assert_eq!(machine.pnp(sys::IRP_MN_START_DEVICE), 0);
    let request = machine.request(FILE);
    threads.spawn(1, move || request.cancel());
    machine.send(&request, sys::IRP_MJ_DEVICE_CONTROL);
    threads.wait_for_flow();
    assert!(request.is_completed(), "a request pends for ever");
    threads.join();
}

/// Two requests, one of them cancelled, while the device ends what it has.
fn completed() {
    let machine = Machine::new::<Extension>(2);
    let mut threads = Threads::new(&[]);
    assert_eq!(machine.pnp(sys::IRP_MN_START_DEVICE), 0);
    let requests = [machine.request(FILE), machine.request(FILE)];
    let other = Rc::clone(&machine);
    threads.spawn(0, move || {
        for request in requests {
            other.send(&request, sys::IRP_MJ_DEVICE_CONTROL);
        }
    });
    threads.spawn(1, move || requests[1].cancel());
    machine.send(&machine.request(FILE), sys::IRP_MJ_CREATE);
    threads.wait_for_flow();
    machine.send(&machine.request(FILE), sys::IRP_MJ_CREATE);
    machine.send(&machine.request(FILE), sys::IRP_MJ_CREATE);
    for request in requests {
        assert!(request.is_completed(), "a request pends for ever");
    }
    threads.join();
}

/// A request is cancelled while its device is stopped for rebalancing, and stays so.
fn held() {
    let machine = Machine::new::<Extension>(2);
    let mut threads = Threads::new(&[]);
    assert_eq!(machine.pnp(sys::IRP_MN_START_DEVICE), 0);
    let request = machine.request(FILE);
    let other = Rc::clone(&machine);
    threads.spawn(1, move || {
        other.send(&request, sys::IRP_MJ_DEVICE_CONTROL);
    });
    threads.spawn(1, move || request.cancel());
    assert_eq!(machine.pnp(sys::IRP_MN_STOP_DEVICE), 0);
    threads.wait_for_flow();
    assert!(request.is_completed(), "a request pends for ever");
    threads.join();
}

/// Requests of a file that is closed, one with the device and one behind it.
fn cleaned_up() {
    let machine = Machine::new::<Extension>(2);
    let mut threads = Threads::new(&[]);
    assert_eq!(machine.pnp(sys::IRP_MN_START_DEVICE), 0);
    let requests = [machine.request(FILE), machine.request(FILE)];
    for request in requests {
        machine.send(&request, sys::IRP_MJ_DEVICE_CONTROL);
    }
    let (other, cleanup) = (Rc::clone(&machine), machine.request(FILE));
    threads.spawn(1, move || {
        other.send(&cleanup, sys::IRP_MJ_CLEANUP);
    });
    threads.spawn(1, move || requests[1].cancel());
    machine.send(&machine.request(FILE), sys::IRP_MJ_CREATE);
    threads.wait_for_flow();
    machine.send(&machine.request(FILE), sys::IRP_MJ_CLEANUP);
    for request in requests {
        assert!(request.is_completed(), "a request pends for ever");
    }
    threads.join();
}

const NO_CANCEL_LOCK: Seed = Seed {
    name: "the cancel spin lock is not taken",
    mistake: Mistake::NoCancelLock,
    symptoms: &[
        "pends for ever",
        "completed twice",
        "after it was completed",
        "Causality violation",
    ],
};

const NO_SPIN_LOCK: Seed = Seed {
    name: "no spin lock is taken",
    mistake: Mistake::NoSpinLock,
    symptoms: &["Causality violation"],
};

const GIVEN_UP_UNSEEN: Seed = Seed {
    name: "who starts a packet does not see that it was given up",
    mistake: Mistake::Blind {
        file: "start_io/hold.rs",
        operation: "AtomicU64.load",
    },
    symptoms: &["pends for ever"],
};

const BOUNDS: Bounds = Bounds {
    preemptions: 2,
    preemptions_long: 3,
};

#[test]
fn every_order_of_a_cancellation() {
    explore(
        "interleavings::flows::start_io::every_order_of_a_cancellation",
        BOUNDS,
        &[NO_CANCEL_LOCK, GIVEN_UP_UNSEEN],
        cancelled,
    );
}

#[test]
fn every_order_of_completions() {
    explore(
        "interleavings::flows::start_io::every_order_of_completions",
        BOUNDS,
        &[NO_CANCEL_LOCK, NO_SPIN_LOCK],
        completed,
    );
}

#[test]
fn every_order_of_a_stop() {
    explore(
        "interleavings::flows::start_io::every_order_of_a_stop",
        BOUNDS,
        &[NO_CANCEL_LOCK, NO_SPIN_LOCK],
        held,
    );
}

#[test]
fn every_order_of_a_cleanup() {
    explore(
        "interleavings::flows::start_io::every_order_of_a_cleanup",
        BOUNDS,
        &[NO_CANCEL_LOCK, NO_SPIN_LOCK],
        cleaned_up,
    );
}
