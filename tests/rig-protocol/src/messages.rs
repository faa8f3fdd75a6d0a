//! Requests and replies.

use alloc::{boxed::Box, string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::load::{Load, Loaded};

/// Version of the messages here; [`Reply::Hello`] carries it.
pub const PROTOCOL_VERSION: u32 = 3;

/// Requests that may be outstanding at one time; the rig answers more with
/// [`Reply::Refused`].
pub const MAX_OUTSTANDING: usize = 256;

/// Longest buffer of a request, in bytes.
pub const MAX_TRANSFER: usize = 4096;

/// A message and the number that ties a reply to its request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame<T> {
    /// Chosen by the sender of the request, echoed in the reply.
    pub number: u32,
    /// The message.
    pub body: T,
}

/// What the rig is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Who is there? Answered by [`Reply::Hello`].
    Hello,
    /// Opens a handle through the device interface (`IRP_MJ_CREATE`).
    Open(Open),
    /// Closes a handle (`IRP_MJ_CLEANUP`, `IRP_MJ_CLOSE`).
    Close {
        /// From [`Reply::Opened`].
        handle: u32,
    },
    /// `DeviceIoControl` on a handle (`IRP_MJ_DEVICE_CONTROL`).
    DeviceControl {
        /// From [`Reply::Opened`].
        handle: u32,
        /// The I/O control code, all 32 bits.
        code: u32,
        /// The input buffer.
        input: Vec<u8>,
        /// Length of the output buffer, in bytes.
        output_length: u32,
    },
    /// Cancels (`IoCancelIrp`) a request that is still outstanding.
    Cancel {
        /// Number of the frame that carried it.
        number: u32,
    },
    /// Does to the device what the PnP manager would.
    Pnp {
        /// Which of the devices, from zero.
        device: u32,
        /// What to do to it.
        action: Action,
    },
    /// Sends one of a device's messages, as the device would.
    Message {
        /// Which of the devices, from zero.
        device: u32,
        /// Which of its messages, from zero.
        message: u32,
    },
    /// What has the rig counted so far? Answered by [`Reply::Report`].
    Report,
    /// Removes the devices, unloads the driver, checks that nothing is left, and
    /// powers off after [`Reply::Report`].
    Shutdown,
    /// `ReadFile` on a handle (`IRP_MJ_READ`).
    Read {
        /// From [`Reply::Opened`].
        handle: u32,
        /// `ByteOffset`.
        offset: u64,
        /// Length of the caller's buffer, in bytes.
        length: u32,
    },
    /// `WriteFile` on a handle (`IRP_MJ_WRITE`).
    Write {
        /// From [`Reply::Opened`].
        handle: u32,
        /// `ByteOffset`.
        offset: u64,
        /// The caller's buffer.
        data: Vec<u8>,
    },
    /// `DeviceIoControl` with `METHOD_IN_DIRECT` or `METHOD_OUT_DIRECT`.
    DirectControl {
        /// From [`Reply::Opened`].
        handle: u32,
        /// The I/O control code, all 32 bits.
        code: u32,
        /// The first buffer, which is copied.
        input: Vec<u8>,
        /// What the second buffer holds, which is locked; its length is the output's.
        buffer: Vec<u8>,
    },
    /// Sends requests that the driver must refuse, and stops the run when one succeeds:
    /// control codes that differ from a known one in one field, every other function of
    /// their device types, and these major functions. Answered by [`Reply::Completed`];
    /// its information is how many were refused.
    Probe {
        /// From [`Reply::Opened`].
        handle: u32,
        /// Control codes that the driver knows.
        codes: Vec<u32>,
        /// Major function codes that the driver does not have.
        majors: Vec<u8>,
    },
    /// Has a call fail that a driver makes. Answered by [`Reply::Completed`]; its output is
    /// the name of the routine whose call failed since the request before, and empty if
    /// none did.
    FailCall {
        /// Which of the calls that may fail, from 1; zero for none.
        call: u32,
        /// Which calls are counted.
        calls: Calls,
    },
    /// Has something happen at a call of the driver's. Answered by [`Reply::Completed`]; its
    /// output is the name of the routine at whose call something has happened since the
    /// request before, and empty if nothing did.
    AtCall {
        /// Which of the calls from now on, from 1.
        call: u32,
        /// What happens.
        event: Event,
    },
    /// Has the first device stop answering: reads give all ones, writes go nowhere, and it
    /// does not interrupt any more. Answered by [`Reply::Completed`].
    Absence {
        /// Register accesses that it still answers; none has it answer again, which may
        /// be asked for while it is not started only.
        after: Option<u32>,
    },
    /// Takes the oldest event that a driver has traced (ETW) and nobody has taken yet.
    /// Answered by [`Reply::Traced`].
    TakeTraced,
    /// Tells whoever watches the machine's instructions where it is. Answered by
    /// [`Reply::Completed`].
    Mark {
        /// What they agreed on.
        number: u8,
    },
    /// In a script, sends this many of the requests that follow one right after the other. Has
    /// no answer there, and is refused elsewhere.
    Together {
        /// How many, at most [`MAX_OUTSTANDING`].
        count: u32,
        /// The next one comes when all requests so far have been answered; otherwise, when they
        /// have been sent.
        are_awaited: bool,
    },
    /// Keeps requests outstanding on a handle until so many have ended. Answered by
    /// [`Reply::Loaded`], or as the first of them that failed was.
    Load(Load),
}

/// Which calls of a driver's are counted, of those that may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Calls {
    /// Those that it makes while a device is added and started, in the thread that does it.
    OfStart,
    /// All of them.
    Any,
}

/// What happens at a call of the driver's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Nothing.
    Nothing,
    /// The oldest request that is outstanding is cancelled.
    Cancel,
    /// A device is gone, and its driver is told.
    SurpriseRemoval {
        /// Which of the devices, from zero.
        device: u32,
    },
}

/// How a handle is opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// Which of the devices, from zero.
    pub device: u32,
    /// Opened for reading (`FILE_READ_DATA`).
    pub read: bool,
    /// Opened for writing (`FILE_WRITE_DATA`).
    pub write: bool,
    /// What follows the device's name, if anything.
    pub trailing_name: String,
}

/// PnP actions; each is the sequence of IRPs that the PnP manager would send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// `QUERY_STOP_DEVICE`, then `STOP_DEVICE`.
    Stop,
    /// `QUERY_STOP_DEVICE`, then `CANCEL_STOP_DEVICE`.
    QueryStopAndCancel,
    /// `START_DEVICE`, after a stop, or once more for a device that is started. A device
    /// that was removed and is there still is added again before.
    Start,
    /// `QUERY_REMOVE_DEVICE`, then `CANCEL_REMOVE_DEVICE`.
    QueryRemoveAndCancel,
    /// `QUERY_REMOVE_DEVICE`, then `REMOVE_DEVICE`.
    Remove,
    /// `SURPRISE_REMOVAL`; `REMOVE_DEVICE` follows when the last handle is closed.
    SurpriseRemoval,
    /// The machine goes to sleep, whichever device is named: `QUERY_POWER` and
    /// `SET_POWER` for S3 to every stack.
    Sleep,
    /// The machine wakes up: `SET_POWER` for S0 to every stack. Over when the devices
    /// are awake too.
    Wake,
    /// `SET_POWER` for D3 to the device's stack, while the machine works.
    DeviceSleep,
    /// `SET_POWER` for D0 to the device's stack.
    DeviceWake,
    /// As [`Start`](Self::Start), with other resources.
    StartWith(Resources),
    /// The device, which the host has asked for, is unplugged. Its driver is not told:
    /// [`SurpriseRemoval`](Self::SurpriseRemoval) does that.
    Eject,
    /// `QUERY_STOP_DEVICE`; [`Stop`](Self::Stop) or [`CancelStop`](Self::CancelStop) follow.
    QueryStop,
    /// `CANCEL_STOP_DEVICE`.
    CancelStop,
    /// `QUERY_REMOVE_DEVICE`; [`CancelRemove`](Self::CancelRemove) or
    /// [`SurpriseRemoval`](Self::SurpriseRemoval) follow.
    QueryRemove,
    /// `CANCEL_REMOVE_DEVICE`.
    CancelRemove,
    /// Every PnP request that changes no state, those that no driver knows included. The
    /// bus driver's answer to each must come back.
    Ask,
    /// `CANCEL_STOP_DEVICE` and `CANCEL_REMOVE_DEVICE`, as far as they take nothing back.
    CancelNothing,
    /// `AddDevice` for a device that was removed and is there still, then `REMOVE_DEVICE`
    /// before it was started.
    AddAndRemove,
    /// `AddDevice`, then `SURPRISE_REMOVAL` and `REMOVE_DEVICE`.
    AddAndLose,
}

/// Resources that are not those with which the device was started before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resources {
    /// Its registers are at another address, its interrupt has another vector and comes
    /// to another processor. So they stay. A line that devices share stays as it is.
    Moved,
    /// No memory range.
    NoMemory,
    /// No interrupt.
    NoInterrupt,
    /// A memory range that is too short for the registers.
    ShortMemory,
    /// A memory range where nothing answers: it reads as all ones.
    Unanswered,
}

/// Kind of interrupt resource that the rig assigned to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IrqKind {
    /// A message.
    Msi,
    /// A line.
    Intx,
}

/// What the rig answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// To [`Request::Hello`].
    Hello {
        /// [`PROTOCOL_VERSION`] of the rig.
        version: u32,
        /// Processors that run.
        processors: u32,
        /// Interrupt resource assigned to the devices.
        irq: IrqKind,
        /// Devices that the driver was given.
        devices: u32,
    },
    /// To [`Request::Open`] that succeeded.
    Opened {
        /// The new handle.
        handle: u32,
    },
    /// To every request that ends with an `NTSTATUS`: an open that failed, a
    /// close, a control request, a cancellation, a PnP action.
    Completed {
        /// The `NTSTATUS`.
        status: u32,
        /// `IoStatus.Information`.
        information: u64,
        /// What the driver wrote to the output buffer.
        output: Vec<u8>,
    },
    /// To [`Request::Report`] and [`Request::Shutdown`].
    Report(Report),
    /// The request cannot be tried at all; the sentence says why.
    Refused {
        /// Why.
        reason: String,
    },
    /// A frame came that does not decode; its number is not known, so the
    /// reply's number is zero.
    Malformed,
    /// To [`Request::TakeTraced`].
    Traced {
        /// The event, if there is one.
        event: Option<TracedEvent>,
        /// How many events were lost so far, because nobody took them in time.
        lost: u64,
    },
    /// To [`Request::Load`] of which all requests succeeded.
    Loaded(Box<Loaded>),
}

/// An event that a driver wrote with `EtwWrite` or one of its kin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TracedEvent {
    /// The provider's GUID as its bytes lie in memory.
    pub provider: [u8; 16],
    /// `EVENT_DESCRIPTOR.Id`, as what follows.
    pub id: u16,
    /// `Version`.
    pub version: u8,
    /// `Channel`.
    pub channel: u8,
    /// `Level`.
    pub level: u8,
    /// `Opcode`.
    pub opcode: u8,
    /// `Task`.
    pub task: u16,
    /// `Keyword`.
    pub keyword: u64,
    /// System time, in 100 ns.
    pub time_100ns: u64,
    /// The processor on which it was written.
    pub processor: u32,
    /// The IRQL at which it was written.
    pub irql: u8,
    /// `ActivityId`, if it was given.
    pub activity: Option<[u8; 16]>,
    /// `RelatedActivityId`, if it was given.
    pub related: Option<[u8; 16]>,
    /// The data, a descriptor each, up to [`MAX_TRANSFER`] bytes together.
    pub items: Vec<TracedItem>,
}

/// What one `EVENT_DATA_DESCRIPTOR` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TracedItem {
    /// `Type`: 0 for data, 1 and 2 for the metadata of the event and the provider.
    pub kind: u8,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// What the rig has counted since the driver was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// IRPs that were sent to the driver.
    pub irps_sent: u64,
    /// Of those, completed.
    pub irps_completed: u64,
    /// Control requests that were sent to the driver.
    pub device_controls: u64,
    /// Calls of the driver's ISR.
    pub isr_calls: u64,
    /// Of those, the ISR said TRUE.
    pub isr_claimed: u64,
    /// KeSynchronizeExecution calls: critical sections outside the ISR.
    pub critical_sections: u64,
    /// Times that a processor found an interrupt lock held by another.
    pub lock_waits: u64,
    /// DPC routine calls.
    pub dpcs: u64,
    /// KeInsertQueueDpc calls that found the DPC queued already.
    pub dpcs_already_queued: u64,
    /// Timer expirations that ran a DPC.
    pub timer_dpcs: u64,
    /// Messages that were merged into another, by the rig's `merge-messages`.
    pub messages_merged: u64,
    /// Calls of the ISR by processor; entries past the last processor are zero.
    pub isr_calls_by_processor: [u64; 8],
    /// Reads of device registers that the driver made.
    pub register_reads: u64,
    /// Writes of device registers that the driver made.
    pub register_writes: u64,
    /// Rules checked: how many times a check was made.
    pub checks: u64,
    /// Violations found. The first one ends the run, so a report that arrives says zero.
    pub violations: u64,
}
