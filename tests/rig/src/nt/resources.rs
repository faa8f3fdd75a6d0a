//! Resource lists, as IRP_MN_START_DEVICE carries them.
//!
//! A PCI device gets, in this order: a descriptor for each memory range, each
//! followed by a device-private one, then its interrupt. A driver has to find its
//! own by type, and the device-private one keeps it honest.

use core::mem::offset_of;

use rig_protocol::{IrqKind, Resources};
use wdk_sys::{
    CM_PARTIAL_RESOURCE_DESCRIPTOR, CM_PARTIAL_RESOURCE_LIST, CM_RESOURCE_LIST, INTERFACE_TYPE,
    LARGE_INTEGER, PCM_RESOURCE_LIST, UCHAR, ULONG, USHORT,
};

use crate::nt::node::{InterruptResource, Node};

/// `PCIBus`.
const PCI_BUS: INTERFACE_TYPE = 5;

/// Bytes of a memory range that has no room for the registers.
const SHORT_MEMORY: usize = 0x40;

const TYPE_PORT: UCHAR = 1;
const TYPE_INTERRUPT: UCHAR = 2;
const TYPE_MEMORY: UCHAR = 3;
const TYPE_MEMORY_LARGE: UCHAR = 7;
const TYPE_DEVICE_PRIVATE: UCHAR = 129;

const SHARE_DEVICE_EXCLUSIVE: UCHAR = 1;
const SHARE_SHARED: UCHAR = 3;

/// The interrupt is edge-triggered; without it, level-sensitive.
const INTERRUPT_LATCHED: USHORT = 1;
/// The interrupt is a message.
const INTERRUPT_MESSAGE: USHORT = 2;

const MEMORY_LARGE_40: USHORT = 0x200;
const MEMORY_LARGE_48: USHORT = 0x400;
const MEMORY_LARGE_64: USHORT = 0x800;

/// Whether a list is in the bus's terms or in the processors'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Raw,
    Translated,
}

/// A `CM_RESOURCE_LIST` with room for three descriptors, where the headers have one.
#[repr(C)]
pub(crate) struct ResourceList {
    count: ULONG,
    interface: INTERFACE_TYPE,
    bus: ULONG,
    version: USHORT,
    revision: USHORT,
    partial_count: ULONG,
    descriptors: [CM_PARTIAL_RESOURCE_DESCRIPTOR; 3],
}

const _: () = assert!(
    offset_of!(ResourceList, descriptors)
        == offset_of!(CM_RESOURCE_LIST, List)
            + offset_of!(wdk_sys::CM_FULL_RESOURCE_DESCRIPTOR, PartialResourceList)
            + offset_of!(CM_PARTIAL_RESOURCE_LIST, PartialDescriptors),
    "the descriptors are where the headers have them"
);
const _: () = assert!(
    size_of::<CM_PARTIAL_RESOURCE_DESCRIPTOR>() == 20,
    "descriptors are packed by four"
);

impl ResourceList {
    /// The resources of a device, or what of them it is to be given.
    pub(crate) fn of(node: &Node, form: Form, given: Option<Resources>) -> Self {
        let (base, length) = node.memory();
        let length = match given {
            Some(Resources::ShortMemory) => SHORT_MEMORY,
            _ => length,
        };
        let memory = memory((base, length));
        let interrupt = interrupt(&node.interrupt(), form);
        let (partial_count, descriptors) = match given {
            Some(Resources::NoMemory) => (2, [device_private(), interrupt, device_private()]),
            Some(Resources::NoInterrupt) => (2, [memory, device_private(), device_private()]),
            _ => (3, [memory, device_private(), interrupt]),
        };
        Self {
            count: 1,
            interface: PCI_BUS,
            bus: node.bus_number(),
            version: 1,
            revision: 1,
            partial_count,
            descriptors,
        }
    }

    /// What the IRP carries; good while the list is.
    pub(crate) fn pointer(&mut self) -> PCM_RESOURCE_LIST {
        core::ptr::from_mut(self).cast()
    }
}

/// A descriptor with nothing in its union.
fn empty(kind: UCHAR, share: UCHAR, flags: USHORT) -> CM_PARTIAL_RESOURCE_DESCRIPTOR {
    let mut descriptor = CM_PARTIAL_RESOURCE_DESCRIPTOR {
        Type: kind,
        ShareDisposition: share,
        Flags: flags,
        ..Default::default()
    };
    descriptor.u.DevicePrivate.Data = [0; 3];
    descriptor
}

/// A memory range; on this machine its raw and translated forms are the same.
fn memory((base, length): (u64, usize)) -> CM_PARTIAL_RESOURCE_DESCRIPTOR {
    let mut descriptor = empty(TYPE_MEMORY, SHARE_DEVICE_EXCLUSIVE, 0);
    descriptor.u.Memory.Start = LARGE_INTEGER {
        QuadPart: base.cast_signed(),
    };
    descriptor.u.Memory.Length = ULONG::try_from(length).unwrap_or(ULONG::MAX);
    descriptor
}

/// What the PCI driver puts between: its own affair.
fn device_private() -> CM_PARTIAL_RESOURCE_DESCRIPTOR {
    let mut descriptor = empty(TYPE_DEVICE_PRIVATE, SHARE_DEVICE_EXCLUSIVE, 0);
    descriptor.u.DevicePrivate.Data = [1, 0, 0];
    descriptor
}

/// The interrupt.
fn interrupt(resource: &InterruptResource, form: Form) -> CM_PARTIAL_RESOURCE_DESCRIPTOR {
    let level = ULONG::from(resource.irql());
    let vector = ULONG::from(resource.vector);
    let affinity = resource.affinity();
    match (resource.kind, form) {
        (IrqKind::Msi, Form::Raw) => {
            let mut descriptor = empty(
                TYPE_INTERRUPT,
                SHARE_DEVICE_EXCLUSIVE,
                INTERRUPT_LATCHED | INTERRUPT_MESSAGE,
            );
            descriptor
                .u
                .MessageInterrupt
                .__bindgen_anon_1
                .Raw
                .MessageCount = USHORT::try_from(resource.vectors().count()).unwrap_or(USHORT::MAX);
            descriptor.u.MessageInterrupt.__bindgen_anon_1.Raw.Vector = vector;
            descriptor.u.MessageInterrupt.__bindgen_anon_1.Raw.Affinity = affinity;
            descriptor
        }
        (IrqKind::Msi, Form::Translated) => {
            let mut descriptor = empty(
                TYPE_INTERRUPT,
                SHARE_DEVICE_EXCLUSIVE,
                INTERRUPT_LATCHED | INTERRUPT_MESSAGE,
            );
            descriptor
                .u
                .MessageInterrupt
                .__bindgen_anon_1
                .Translated
                .Level = level;
            descriptor
                .u
                .MessageInterrupt
                .__bindgen_anon_1
                .Translated
                .Vector = vector;
            descriptor
                .u
                .MessageInterrupt
                .__bindgen_anon_1
                .Translated
                .Affinity = affinity;
            descriptor
        }
        (IrqKind::Intx, form) => {
            let line = resource.line.unwrap_or_default();
            let is_raw = form == Form::Raw;
            let mut descriptor = empty(TYPE_INTERRUPT, SHARE_SHARED, 0);
            descriptor.u.Interrupt.Level = if is_raw { line } else { level };
            descriptor.u.Interrupt.Vector = if is_raw { line } else { vector };
            descriptor.u.Interrupt.Affinity = affinity;
            descriptor
        }
    }
}

/// Base and length of a memory or port descriptor, whatever its form.
pub(crate) fn decode_memory(descriptor: &CM_PARTIAL_RESOURCE_DESCRIPTOR) -> (u64, u64) {
    // SAFETY: All arms of the union with a start have it at the same place, every
    // bit pattern is an integer, and of other descriptors the numbers are refused
    // below.
    let memory = unsafe { descriptor.u.Memory };
    let start = memory.Start;
    // SAFETY: Every bit pattern of a PHYSICAL_ADDRESS is an i64.
    let start = unsafe { start.QuadPart }.cast_unsigned();
    let length = u64::from(memory.Length);
    match descriptor.Type {
        TYPE_PORT | TYPE_MEMORY => (start, length),
        TYPE_MEMORY_LARGE => {
            let flags = descriptor.Flags;
            let shift = if flags & MEMORY_LARGE_64 != 0 {
                32
            } else if flags & MEMORY_LARGE_48 != 0 {
                16
            } else if flags & MEMORY_LARGE_40 != 0 {
                8
            } else {
                0
            };
            (start, length << shift)
        }
        _ => (0, 0),
    }
}
