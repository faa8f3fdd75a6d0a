//! An interrupt whose device is put to sleep and woken while it interrupts, and while others look.
//!
//! What is asked for: what the ISR claims after the device was woken is drained; whoever looks at
//! what was saved does not keep a wake-up or a disconnect from happening.

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
        mistake::{Mistake, Seed},
        tracked::{Ground, Tracked},
    },
    interrupt::{Claim, Interrupt, ServiceRoutine, Suspend},
    irp::{Dispatched, Irp},
    irql::{Dirql, Dispatch, Passive, UpToDispatch},
    resources::Resources,
    start_io::Packet,
    status::Result,
    sys,
};

pin_project! {
    struct Extension {
        #[pin]
        interrupt: Interrupt<State, u32>,
        ground: Ground,
    }
}

/// What the ISR shares.
struct State {
    ground: Ground,
    /// Interrupts that no DPC has seen.
    new: Tracked<u32>,
    /// Whether there are registers to touch.
    has_power: Tracked<bool>,
}

impl State {
    fn take(&mut self) -> u32 {
        self.ground.touch();
        self.has_power.read(|has_power| assert!(*has_power));
        self.new.change(core::mem::take)
    }
}

impl ServiceRoutine for State {
    fn service(&mut self, _: &mut Dirql) -> Claim {
        self.ground.touch();
        self.has_power.read(|has_power| assert!(*has_power));
        self.new.change(|new| *new = new.saturating_add(1));
        Claim::OursRequestDpc
    }
}

impl Suspend for State {
    type Saved = u32;

    fn save(&mut self, _: &mut Dirql) -> u32 {
        self.has_power.change(|has_power| *has_power = false);
        7
    }

    fn restore(&mut self, _: &mut Dirql, saved: u32) {
        assert_eq!(saved, 7);
        self.has_power.change(|has_power| *has_power = true);
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
            has_power: Tracked::new(true),
        };
        let line = resources.interrupt()?;
        let interrupt = device.pinned().project_ref().interrupt;
        interrupt.connect(device, irql, &line, state, |_, _| ())?;
        Ok(())
    }

    fn stop_device(device: &Device<Self>, irql: &mut Passive, _: Stop) -> Option<Packet> {
        drop(device.interrupt.disconnect(irql));
        None
    }

    fn device_control(_: &Device<Self>, irql: &mut UpToDispatch, irp: Irp) -> Dispatched {
        irp.complete(irql, Ok(0))
    }
}

impl DpcForIsr for Extension {
    fn dpc_for_isr(device: &Device<Self>, irql: &mut Dispatch) {
        device.ground.touch();
        let _taken = device.interrupt.synchronize(irql, |_, state| state.take());
    }
}

/// A machine whose device was started, and put to sleep.
fn asleep() -> Rc<Machine> {
    let machine = Machine::new::<Extension>(2);
    assert_eq!(machine.pnp(sys::IRP_MN_START_DEVICE), 0);
    let device = machine.device::<Extension>();
    assert!(device.interrupt.suspend(&mut passive()));
    machine
}

/// The device interrupts, and goes to sleep and wakes meanwhile.
fn slept() {
    let machine = Machine::new::<Extension>(2);
    assert_eq!(machine.pnp(sys::IRP_MN_START_DEVICE), 0);
    let mut threads = Threads::new(&[1]);
    threads.spawn(1, || kernel::current().interrupt());
    let interrupt = &machine.device::<Extension>().interrupt;
    assert!(interrupt.suspend(&mut passive()));
    assert!(interrupt.resume(&mut passive()));
    // What came before the device slept, and found no section, is drained when it has woken.
    let _taken = interrupt.synchronize(&mut passive(), |_, state| state.take());
    threads.join();
    let left = interrupt.synchronize(&mut passive(), |_, state| state.take());
    assert_eq!(left, Some(0), "an interrupt was lost");
    assert_eq!(machine.pnp(sys::IRP_MN_REMOVE_DEVICE), 0);
}

/// The device interrupts as soon as it may, and nobody looks but the DPC.
fn woken() {
    let machine = asleep();
    let mut threads = Threads::new(&[1]);
    threads.spawn(1, || kernel::current().interrupt());
    let interrupt = &machine.device::<Extension>().interrupt;
    assert!(interrupt.resume(&mut passive()));
    threads.join();
    let left = interrupt.synchronize(&mut passive(), |_, state| state.take());
    assert_eq!(left, Some(0), "an interrupt was lost");
}

/// Somebody looks at what was saved while the device is woken, then stopped.
fn looked_at() {
    let machine = asleep();
    let mut threads = Threads::new(&[]);
    let other = Rc::clone(&machine);
    threads.spawn(1, move || {
        let interrupt = &other.device::<Extension>().interrupt;
        let _was_asleep = interrupt.with_disconnected(&mut passive(), |saved| {
            assert_eq!(*saved, 7);
        });
    });
    let interrupt = &machine.device::<Extension>().interrupt;
    assert!(interrupt.resume(&mut passive()), "the device does not wake");
    threads.join();
}

/// As [`looked_at`], for a device that is stopped while it sleeps.
fn looked_at_and_stopped() {
    let machine = asleep();
    let mut threads = Threads::new(&[]);
    let other = Rc::clone(&machine);
    threads.spawn(1, move || {
        let interrupt = &other.device::<Extension>().interrupt;
        let _was_asleep = interrupt.with_disconnected(&mut passive(), |saved| {
            assert_eq!(*saved, 7);
        });
    });
    let interrupt = &machine.device::<Extension>().interrupt;
    let state = interrupt.disconnect(&mut passive());
    assert!(state.is_some(), "the interrupt stays connected");
    threads.join();
}

const BOUNDS: Bounds = Bounds {
    preemptions: 2,
    preemptions_long: 3,
};

#[test]
fn every_order_of_a_sleep() {
    let seeds = [Seed {
        name: "critical sections take no lock",
        mistake: Mistake::NoInterruptLock,
        symptoms: &["Causality violation"],
    }];
    explore(
        "interleavings::flows::suspend::every_order_of_a_sleep",
        BOUNDS,
        &seeds,
        slept,
    );
}

#[test]
fn every_order_of_a_wake_up() {
    let seeds = [Seed {
        name: "sections are let in after the restoring section",
        mistake: Mistake::Late {
            file: "interrupt/access.rs",
            operation: "AtomicPtr.store",
        },
        symptoms: &["an interrupt was lost"],
    }];
    explore(
        "interleavings::flows::suspend::every_order_of_a_wake_up",
        BOUNDS,
        &seeds,
        woken,
    );
}

/// Whoever finds the stage taken takes it for another one.
const IMPATIENT: Mistake = Mistake::Overlooks {
    file: "interrupt/stage.rs",
    operation: "AtomicU8.load",
    word: 3,
};

#[test]
fn every_order_of_a_look_and_a_wake_up() {
    let seeds = [Seed {
        name: "a stage that somebody has for a moment is not waited for",
        mistake: IMPATIENT,
        symptoms: &["the device does not wake"],
    }];
    explore(
        "interleavings::flows::suspend::every_order_of_a_look_and_a_wake_up",
        BOUNDS,
        &seeds,
        looked_at,
    );
}

#[test]
fn every_order_of_a_look_and_a_stop() {
    let seeds = [Seed {
        name: "a stage that somebody has for a moment is not waited for",
        mistake: IMPATIENT,
        symptoms: &["the interrupt stays connected"],
    }];
    explore(
        "interleavings::flows::suspend::every_order_of_a_look_and_a_stop",
        BOUNDS,
        &seeds,
        looked_at_and_stopped,
    );
}
