//! An interrupt that is connected and disconnected while its ISR, its DPC and requests come.
//!
//! What is asked for: the `arm` closure is the first critical section, nothing is at the state
//! twice at a time, no ISR or critical section is at it after the disconnect, and no DPC is at the
//! extension after the removal.

use std::rc::Rc;

use pin_project_lite::pin_project;
use uuid::Uuid;

use crate::{
    device::Device,
    driver::{DpcForIsr, Driver, Routines, Stop},
    interleavings::{
        explore::{Bounds, explore},
        kernel,
        machine::{Machine, Threads, passive},
        mistake::{self, Mistake, Seed},
        tracked::{Ground, Tracked},
    },
    interrupt::{Claim, Interrupt, ServiceRoutine},
    irp::{Dispatched, Irp},
    irql::{Dirql, Dispatch, Passive, UpToDispatch, at_dispatch},
    resources::Resources,
    start_io::Packet,
    status::Result,
    sys,
};

pin_project! {
    struct Extension {
        #[pin]
        interrupt: Interrupt<State>,
        ground: Ground,
    }
}

/// What the ISR shares.
struct State {
    ground: Ground,
    /// Interrupts that no DPC has seen.
    new: Tracked<u32>,
    is_armed: Tracked<bool>,
}

impl ServiceRoutine for State {
    fn service(&mut self, _: &mut Dirql) -> Claim {
        self.ground.touch();
        // Before the device may interrupt, it is another one on the line.
        if !self.is_armed.read(|is_armed| *is_armed) {
            return Claim::NotOurs;
        }
        self.new.change(|new| *new = new.saturating_add(1));
        Claim::OursRequestDpc
    }
}

impl State {
    fn arm(&mut self) {
        self.is_armed.change(|is_armed| *is_armed = true);
    }

    fn look(&self) {
        self.ground.touch();
        assert!(self.is_armed.read(|is_armed| *is_armed), "before `arm`");
    }

    fn take(&mut self) -> u32 {
        self.look();
        self.new.change(core::mem::take)
    }
}

impl Driver for Extension {
    const ROUTINES: Routines<Self> = Routines::new().dpc_for_isr();
    const INTERFACE: Option<Uuid> = None;

    fn add_device(_: &mut Passive) -> Result<Self> {
        Ok(Self {
            interrupt: Interrupt::new(),
            ground: Ground::new(),
        })
    }

    fn start_device(
        device: &Device<Self>,
        irql: &mut Passive,
        resources: &Resources<'_>,
    ) -> Result<()> {
        let state = State {
            ground: Ground::new(),
            new: Tracked::new(0),
            is_armed: Tracked::new(false),
        };
        let line = resources.interrupt()?;
        let interrupt = device.pinned().project_ref().interrupt;
        interrupt.connect(device, irql, &line, state, |_, state| {
            if !mistake::is_made(Mistake::ArmedLate) {
                state.arm();
            }
        })?;
        if mistake::is_made(Mistake::ArmedLate) {
            interrupt.synchronize(irql, |_, state| state.arm());
        }
        Ok(())
    }

    fn stop_device(device: &Device<Self>, irql: &mut Passive, _: Stop) -> Option<Packet> {
        if let Some(mut state) = device.interrupt.disconnect(irql) {
            // It is this thread's alone again.
            let _left = state.take();
        }
        None
    }

    /// Looks whether it is armed, and takes nothing.
    fn create(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        let _seen = device.interrupt.synchronize(irql, |_, state| state.look());
        irp.complete(irql, Ok(0))
    }

    fn device_control(device: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        device.ground.touch();
        let _taken = device.interrupt.synchronize(irql, |_, state| state.take());
        let _taken = at_dispatch(irql, |irql| {
            device.interrupt.synchronize(irql, |_, state| state.take())
        });
        irp.complete(irql, Ok(0))
    }
}

impl DpcForIsr for Extension {
    fn dpc_for_isr(device: &Device<Self>, irql: &mut Dispatch) {
        device.ground.touch();
        let _taken = device.interrupt.synchronize(irql, |_, state| state.take());
    }
}

fn flow() {
    let machine = Machine::new::<Extension>(2);
    let mut threads = Threads::new(&[1]);
    threads.spawn(1, || {
        for _ in 0..2 {
            kernel::current().interrupt();
        }
    });
    assert_eq!(machine.pnp(sys::IRP_MN_START_DEVICE), 0);
    let (other, request) = (Rc::clone(&machine), machine.request(0));
    threads.spawn(1, move || {
        other.send(&request, sys::IRP_MJ_DEVICE_CONTROL);
    });
    assert_eq!(machine.pnp(sys::IRP_MN_REMOVE_DEVICE), 0);
    threads.join();
}

/// The device interrupts from the moment on in which it may; requests come before that, for a
/// device that is stopped takes them. All that the ISR has claimed is drained.
fn restarted() {
    let machine = Machine::new::<Extension>(2);
    let mut threads = Threads::new(&[1]);
    assert_eq!(machine.pnp(sys::IRP_MN_START_DEVICE), 0);
    assert_eq!(machine.pnp(sys::IRP_MN_STOP_DEVICE), 0);
    threads.spawn(1, || kernel::current().interrupt());
    let (other, request) = (Rc::clone(&machine), machine.request(0));
    threads.spawn(1, move || {
        other.send(&request, sys::IRP_MJ_CREATE);
    });
    assert_eq!(machine.pnp(sys::IRP_MN_START_DEVICE), 0);
    threads.join();
    let device = machine.device::<Extension>();
    let left = device
        .interrupt
        .synchronize(&mut passive(), |_, state| state.take());
    assert_eq!(left, Some(0), "an interrupt was lost");
}

const SEEDS: &[Seed] = &[
    Seed {
        name: "critical sections take no lock",
        mistake: Mistake::NoInterruptLock,
        symptoms: &["Causality violation"],
    },
    Seed {
        name: "the interrupt is not disconnected",
        mistake: Mistake::NoDisconnect,
        symptoms: &["Causality violation", "used after it was freed"],
    },
    Seed {
        name: "sections below DISPATCH_LEVEL are not waited for",
        mistake: Mistake::Blind {
            file: "interrupt/access.rs",
            operation: "AtomicUsize.load",
        },
        symptoms: &["Causality violation", "after it was disconnected"],
    },
    Seed {
        name: "a section below DISPATCH_LEVEL and the closing are not in one order",
        mistake: Mistake::NoOneOrder {
            file: "interrupt/access.rs",
        },
        symptoms: &["Causality violation", "after it was disconnected"],
    },
    Seed {
        name: "processors are not visited",
        mistake: Mistake::NoVisit,
        symptoms: &["Causality violation", "after it was disconnected"],
    },
    Seed {
        name: "DPCs are not flushed",
        mistake: Mistake::NoFlush,
        symptoms: &["Causality violation", "used after it was freed"],
    },
    Seed {
        name: "requests are not waited for",
        mistake: Mistake::NoRemoveLockWait,
        symptoms: &["Causality violation", "used after it was freed"],
    },
];

#[test]
fn every_order() {
    let bounds = Bounds {
        preemptions: 2,
        preemptions_long: 3,
    };
    explore(
        "interleavings::flows::interrupt::every_order",
        bounds,
        SEEDS,
        flow,
    );
}

const RESTARTED_SEEDS: &[Seed] = &[
    Seed {
        name: "the device is let interrupt after `connect`",
        mistake: Mistake::ArmedLate,
        symptoms: &["before `arm`"],
    },
    Seed {
        name: "sections are let in after the armed section",
        mistake: Mistake::Late {
            file: "interrupt/access.rs",
            operation: "AtomicPtr.store",
        },
        symptoms: &["an interrupt was lost"],
    },
];

#[test]
fn every_order_of_a_restart() {
    let bounds = Bounds {
        preemptions: 2,
        preemptions_long: 3,
    };
    explore(
        "interleavings::flows::interrupt::every_order_of_a_restart",
        bounds,
        RESTARTED_SEEDS,
        restarted,
    );
}
