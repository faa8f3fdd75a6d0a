//! A channel is asked for at DISPATCH_LEVEL, not inside a critical section.

use core::pin::Pin;

use dirql::{
    device::Device,
    dma::{AdapterControl, DmaAdapter},
    interrupt::{Claim, Interrupt, ServiceRoutine},
    irql::{Dirql, Dispatch},
};

struct Counter;

impl ServiceRoutine for Counter {
    fn service(&mut self, _: &mut Dirql) -> Claim {
        Claim::NotOurs
    }
}

fn ask_inside<R: AdapterControl>(
    interrupt: &Interrupt<Counter>,
    adapter: Pin<&DmaAdapter>,
    device: &Device<R::Extension>,
    irql: &mut Dispatch,
    request: R::Request,
) {
    interrupt.synchronize(irql, |irql, _| {
        let _asked = adapter.allocate_channel::<R>(device, irql, request);
    });
}

fn main() {}
