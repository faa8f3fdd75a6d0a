//! The routines of the timers and of the DPC that gives an operation up.

use dirql::{device::Device, dpc::CustomDpc, irql::Dispatch, time::Due, timer::CustomTimerDpc};

use crate::{Timers, shared::Counted};

macro_rules! counting {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub(crate) struct $name;

            impl CustomTimerDpc for $name {
                type Extension = Timers;

                fn expired(device: &Device<Timers>, irql: &mut Dispatch) {
                    device
                        .interrupt
                        .synchronize(irql, |_, shared| shared.count(Counted::$name));
                }
            }
        )*
    };
}

counting! {
    /// Expires once.
    Once;
    /// Expires again and again.
    Periodic;
    /// May expire late.
    Coalescable;
}

/// Starts itself again, while the state says so.
#[derive(Debug)]
pub(crate) struct Rearming;

impl CustomTimerDpc for Rearming {
    type Extension = Timers;

    fn expired(device: &Device<Timers>, irql: &mut Dispatch) {
        let is_again = device.interrupt.synchronize(irql, |_, shared| {
            shared.count(Counted::Rearming);
            shared.take_again()
        });
        // A device without an interrupt is being stopped; then this timer may try to go
        // on, and is refused when its time has come.
        if is_again.unwrap_or(true) {
            let _stopped = device.rearming.start_once(irql, Due::after_ms(1)).is_err();
        }
    }
}

/// Gives up the operation that a reset did not save.
#[derive(Debug)]
pub(crate) struct Fail;

impl CustomDpc for Fail {
    type Extension = Timers;

    fn run(device: &Device<Timers>, irql: &mut Dispatch) {
        device
            .interrupt
            .synchronize(irql, |_, shared| shared.fail());
    }
}
