//! What a power IRP was made for, and whom to tell of its end.

use wdk_sys::{
    DEVICE_POWER_STATE, IO_STATUS_BLOCK, POWER_STATE, PREQUEST_POWER_COMPLETE, PVOID, UCHAR,
};

use crate::nt::address;
use crate::nt::callout::{Callback, call_out};
use crate::nt::device::Device;
use crate::nt::irp::{Irp, Outcome};
use crate::nt::kernel_memory::allocate_object;
use crate::nt::node::NodeRef;
use crate::nt::power::queue::{Item, push};
use crate::nt::power::{Target, minor, rules};

/// A power IRP's purpose. The IRP itself says it no more when it has ended.
pub(crate) struct PowerAsk {
    node: NodeRef,
    code: UCHAR,
    target: Target,
    completion: Option<PowerCompletion>,
}

/// What PoRequestPowerIrp was told to call.
pub(super) struct PowerCompletion {
    device: Device,
    state: DEVICE_POWER_STATE,
    routine: PREQUEST_POWER_COMPLETE,
    context: usize,
}

impl PowerAsk {
    /// Of an IRP that the power manager sends for itself.
    pub(super) fn new(node: &NodeRef, code: UCHAR, target: Target) -> Self {
        Self {
            node: node.clone(),
            code,
            target,
            completion: None,
        }
    }

    /// The same, for a driver that is to be told.
    pub(super) fn with_completion(mut self, completion: PowerCompletion) -> Self {
        self.completion = Some(completion);
        self
    }

    pub(super) fn node(&self) -> &NodeRef {
        &self.node
    }

    pub(super) const fn code(&self) -> UCHAR {
        self.code
    }

    pub(super) const fn target(&self) -> Target {
        self.target
    }
}

/// A power IRP came out at the top of its stack. IRQL up to DISPATCH_LEVEL.
pub(crate) fn ended(irp: &Irp, ask: &PowerAsk, outcome: Outcome) {
    let changed = match ask.target {
        Target::Device(state) if ask.code == minor::SET_POWER => Some(state),
        _ => None,
    };
    if let Some(state) = changed {
        rules::assert_changed(irp, &ask.node, state, outcome.status);
    }
    if let Some(completion) = &ask.completion {
        completion.make(ask.code, outcome);
    }
    if changed.is_some()
        && let Some(next) = ask.node.power().end()
    {
        push(Item::Send(ask.node.pdo(), next));
    }
}

impl PowerCompletion {
    pub(super) fn new(
        device: Device,
        state: DEVICE_POWER_STATE,
        routine: PREQUEST_POWER_COMPLETE,
        context: PVOID,
    ) -> Self {
        Self {
            device,
            state,
            routine,
            context: address::of(context),
        }
    }

    /// Calls the routine: the IRP has ended so.
    fn make(&self, code: UCHAR, outcome: Outcome) {
        let Some(routine) = self.routine else { return };
        let block = allocate_object::<IO_STATUS_BLOCK>().as_ptr();
        let mut status = IO_STATUS_BLOCK {
            Information: outcome.information,
            ..Default::default()
        };
        status.__bindgen_anon_1.Status = outcome.status;
        // SAFETY: `allocate_object` just gave the memory, for good.
        unsafe { block.write(status) };
        let state = POWER_STATE {
            DeviceState: self.state,
        };
        let context = address::to_pointer(self.context);
        // SAFETY: (Caller) the driver gave the routine to PoRequestPowerIrp to be called
        // so, with this context. (Pointer) the status block stays.
        call_out(Callback::PowerCompletion, || unsafe {
            routine(self.device.pointer(), code, state, context, block);
        });
    }
}
