//! Where the self-test driver can do something wrong, and the one thing that it does.

use wdk_sys::{NTSTATUS, PDEVICE_OBJECT, PIRP};

use crate::machine::sync::IrqLock;
use crate::nt::rule::Rule;

/// A place in the self-test driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hook {
    /// DriverEntry, before the StartIo routine is set.
    StartIoSlot,
    /// AddDevice, in place of IoCreateDevice's usual arguments.
    Create,
    /// AddDevice, in place of clearing DO_DEVICE_INITIALIZING.
    Initialized,
    /// START_DEVICE, in place of sending it down first.
    Start,
    /// CANCEL_REMOVE_DEVICE that takes nothing back, in place of letting it succeed.
    Spurious,
    /// START_DEVICE, in place of starting what was held in its order.
    Replay,
    /// A request to a device that is gone, in place of refusing it.
    Gone,
    /// START_DEVICE, in place of connecting the interrupt.
    Connect,
    /// START_DEVICE, when the interrupt is connected.
    Connected,
    /// A control request, in place of starting a packet.
    Control,
    /// START_DEVICE, in place of using a DMA adapter.
    Dma,
    /// A write, in place of completing it.
    Write,
    /// A control request with a code that the driver does not know, in place of refusing it.
    OtherCode,
    /// A control request, in place of pending it with a cancel routine.
    Pend,
    /// The cancel routine, in place of releasing the cancel spin lock.
    Cancel,
    /// StartIo, before it does its work.
    StartIo,
    /// The DPC that has completed a packet, in place of starting the next.
    Done,
    /// A request is in the cancel-safe queue.
    Queued,
    /// CsqRemoveIrp, in place of unlinking.
    Unlink,
    /// IRP_MJ_CLEANUP, in place of emptying the queue.
    Cleanup,
    /// The critical section.
    Critical,
    /// The ISR, in place of looking at the device.
    Isr,
    /// The ISR for a message that the device does not have, in place of refusing it.
    Message,
    /// A PnP IRP that the driver does not know, before it is forwarded.
    Unknown,
    /// QUERY_STOP_DEVICE, in place of setting STATUS_SUCCESS.
    QueryStop,
    /// STOP_DEVICE, in place of disconnecting the interrupt.
    Disconnect,
    /// STOP_DEVICE, in place of forwarding it.
    Stop,
    /// SURPRISE_REMOVAL, before it is forwarded.
    Surprise,
    /// A system set-power IRP, in place of handling it.
    System,
    /// When the drivers below have had it, in place of asking for a device power IRP.
    Request,
    /// A device query-power IRP, in place of forwarding it.
    QueryDevice,
    /// A device power IRP to D0, in place of forwarding it.
    PowerUp,
    /// A device power IRP to less than D0, in place of handling it.
    PowerDown,
    /// In place of telling the power manager of it.
    Report,
    /// When it was forwarded.
    Asleep,
    /// REMOVE_DEVICE, in place of detaching and deleting.
    Remove,
    /// Unload, in place of unregistering the event provider.
    Untrace,
    /// Unload.
    Unload,
}

/// What a fault finds at its place.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// The function device object, or null.
    pub(super) device: PDEVICE_OBJECT,
    /// The IRP, or null.
    pub(super) irp: PIRP,
}

/// Something wrong that the driver does.
pub(super) struct Fault {
    /// The rule that it breaks.
    pub(super) rule: Rule,
    /// Where.
    pub(super) hook: Hook,
    /// Does it; the status is what the place works with in place of its own.
    pub(super) act: fn(Place) -> NTSTATUS,
}

/// The fault of this run.
static ARMED: IrqLock<Option<&'static Fault>> = IrqLock::new(None);

/// Chooses the fault of this run.
pub(super) fn arm(fault: &'static Fault) {
    ARMED.with(|armed| *armed = Some(fault));
}

/// The rule that this run's fault breaks.
pub(super) fn armed_rule() -> Option<Rule> {
    ARMED.with(|armed| armed.map(|fault| fault.rule))
}

/// Does what is wrong at this place, if the run's fault is there; the driver then
/// leaves out what it would have done right.
pub(super) fn happen(hook: Hook, device: PDEVICE_OBJECT, irp: PIRP) -> Option<NTSTATUS> {
    let fault = ARMED
        .with(|armed| *armed)
        .filter(|fault| fault.hook == hook)?;
    Some((fault.act)(Place { device, irp }))
}
