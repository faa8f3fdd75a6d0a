//! The DPC routines.

use core::sync::atomic::Ordering;

use dirql::{
    device::Device,
    dpc::{CustomDpc, CustomThreadedDpc},
    irql::{AtMostDispatch, Dispatch, Threaded},
    processor,
};

use crate::{
    Dpcs,
    shared::{Ran, Shared},
};

/// Notes that a DPC ran, and does what belongs to that in the same critical section. A
/// device that has been stopped has nowhere to note it.
fn note<I: AtMostDispatch>(
    device: &Device<Dpcs>,
    irql: &mut I,
    ran: Ran,
    also: impl FnOnce(&mut Shared),
) {
    device.interrupt.synchronize(irql, |_, shared| {
        shared.note(ran);
        also(shared);
    });
}

macro_rules! simple {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub(crate) struct $name;

            impl CustomDpc for $name {
                type Extension = Dpcs;

                fn run(device: &Device<Dpcs>, irql: &mut Dispatch) {
                    note(device, irql, Ran::$name, |_| ());
                }
            }
        )*
    };
}

simple! {
    /// Medium importance.
    Second;
    /// High importance.
    High;
    /// Low importance.
    Low;
}

/// Medium importance; drains the interrupts that the ISR counted.
#[derive(Debug)]
pub(crate) struct First;

impl CustomDpc for First {
    type Extension = Dpcs;

    fn run(device: &Device<Dpcs>, irql: &mut Dispatch) {
        note(device, irql, Ran::First, Shared::drain);
    }
}

/// Says on which processor it runs.
#[derive(Debug)]
pub(crate) struct Targeted;

impl CustomDpc for Targeted {
    type Extension = Dpcs;

    fn run(device: &Device<Dpcs>, irql: &mut Dispatch) {
        let processor = processor::current(irql);
        device.plain.with(irql, |irql, plain| {
            *plain = plain.wrapping_add(1);
            device.queued.with(irql, |_, queued| {
                *queued = queued.wrapping_add(1);
            });
        });
        note(device, irql, Ran::Targeted, |shared| {
            shared.ran_on(processor);
        });
    }
}

/// A threaded DPC that queues an ordinary one for its own processor, and sees whether that
/// preempts it.
#[derive(Debug)]
pub(crate) struct Preempted;

impl Preempted {
    /// How often it looks.
    const LOOKS: u32 = 2_000;
}

impl CustomThreadedDpc for Preempted {
    type Extension = Dpcs;

    fn run(device: &Device<Dpcs>, irql: &mut Threaded) {
        let runs = |irql: &mut Threaded| device.queued.with(irql, |_, queued| *queued);
        let before = runs(irql);
        device.targeted.queue();
        let was_preempted = (0..Self::LOOKS).any(|_| runs(irql) != before);
        device.plain.with(irql, |_, plain| {
            *plain = plain.wrapping_add(1);
        });
        note(device, irql, Ran::Preempted, |shared| {
            shared.set_was_preempted(was_preempted);
        });
    }
}

/// Queues itself again, for as long as there are links left, and nobody stops it.
#[derive(Debug)]
pub(crate) struct Chain;

/// Whether a link was left, which is used up by this.
fn take_link(device: &Device<Dpcs>) -> bool {
    let take = |links: u32| links.checked_sub(1);
    device
        .links
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
        .is_ok()
}

impl CustomDpc for Chain {
    type Extension = Dpcs;

    fn run(device: &Device<Dpcs>, _irql: &mut Dispatch) {
        if take_link(device) {
            device.chain.queue();
        }
    }
}

impl CustomThreadedDpc for Chain {
    type Extension = Dpcs;

    fn run(device: &Device<Dpcs>, _irql: &mut Threaded) {
        if take_link(device) {
            device.threaded_chain.queue();
        }
    }
}
