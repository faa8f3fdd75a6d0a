//! Requests whose buffers are locked, as the I/O manager makes them.

use core::{
    cell::UnsafeCell,
    ptr::{from_ref, null_mut},
    sync::atomic::{AtomicU8, Ordering},
};
use std::boxed::Box;

use super::{
    DirectRequest, Direction, PRIORITY,
    sealed::{OwnsIrp, RawIrp},
};
use crate::{irql::Passive, status::NtError, sys};

/// Bytes of the buffer that is locked.
const BYTES: u32 = 16;
/// `MDL_MAPPED_TO_SYSTEM_VA`.
const MAPPED: i16 = 0x1;
/// `MDL_SOURCE_IS_NONPAGED_POOL`.
const NONPAGED: i16 = 0x4;
/// `MDL_PAGES_LOCKED`.
const LOCKED: i16 = 0x2;

/// `METHOD_BUFFERED`, of some function.
const BUFFERED: u32 = 0x8ed0_e008;
const IN_DIRECT: u32 = BUFFERED | 1;
const OUT_DIRECT: u32 = BUFFERED | 2;
const NEITHER: u32 = BUFFERED | 3;

/// An IRP with one stack location, and what it points to.
pub(crate) struct Request {
    irp: UnsafeCell<sys::IRP>,
    location: UnsafeCell<sys::IO_STACK_LOCATION>,
    mdl: UnsafeCell<sys::MDL>,
    buffer: [AtomicU8; BYTES as usize],
}

impl OwnsIrp for Request {
    fn irp(&self) -> RawIrp {
        RawIrp(self.irp.get())
    }
}

fn read_of(length: u32, byte_offset: i64) -> sys::Parameters {
    let byte_offset = sys::LARGE_INTEGER {
        QuadPart: byte_offset,
    };
    sys::Parameters {
        Read: sys::Read {
            Length: length,
            ByteOffset: byte_offset,
        },
    }
}

fn control_of(code: u32, output: u32) -> sys::Parameters {
    sys::Parameters {
        DeviceIoControl: sys::DeviceIoControl {
            OutputBufferLength: output,
            InputBufferLength: 999,
            IoControlCode: code,
        },
    }
}

impl Request {
    fn new(major: u32, parameters: sys::Parameters, flags: Option<i16>) -> Box<Self> {
        let mut request = Box::new(Self {
            irp: UnsafeCell::new(sys::zeroed_irp()),
            location: UnsafeCell::new(sys::IO_STACK_LOCATION {
                MajorFunction: u8::try_from(major).expect("a major function code"),
                MinorFunction: 0,
                Control: 0,
                Parameters: parameters,
                DeviceObject: null_mut(),
                FileObject: null_mut(),
                CompletionRoutine: None,
                Context: null_mut(),
            }),
            mdl: UnsafeCell::new(sys::MDL {
                MdlFlags: flags.unwrap_or_default(),
                MappedSystemVa: null_mut(),
                StartVa: core::ptr::without_provenance_mut(0x7000),
                ByteCount: BYTES,
                ByteOffset: 0x123,
            }),
            buffer: core::array::from_fn(|_| AtomicU8::new(0)),
        });
        let (location, mdl) = (request.location.get(), request.mdl.get());
        let buffer = from_ref(&request.buffer).cast_mut().cast();
        request.mdl.get_mut().MappedSystemVa = buffer;
        let irp = request.irp.get_mut();
        if flags.is_some() {
            irp.MdlAddress = mdl;
        }
        irp.Tail
            .Overlay
            .__bindgen_anon_2
            .__bindgen_anon_1
            .CurrentStackLocation = location;
        request
    }

    /// A read of so many bytes at byte 7 of the device, into a buffer that is mapped.
    pub(crate) fn read(length: u32) -> Box<Self> {
        Self::new(sys::IRP_MJ_READ, read_of(length, 7), Some(LOCKED | MAPPED))
    }

    /// A write of so many bytes at byte 7 of the device, from a buffer in pool.
    pub(crate) fn write(length: u32) -> Box<Self> {
        let flags = Some(LOCKED | NONPAGED | MAPPED);
        Self::new(sys::IRP_MJ_WRITE, read_of(length, 7), flags)
    }

    fn control(code: u32, output: u32) -> Box<Self> {
        let parameters = control_of(code, output);
        Self::new(sys::IRP_MJ_DEVICE_CONTROL, parameters, Some(NONPAGED))
    }

    fn bytes(&self) -> [u8; BYTES as usize] {
        self.buffer
            .each_ref()
            .map(|byte| byte.load(Ordering::Relaxed))
    }
}

fn passive() -> Passive {
    // SAFETY: a host thread starts at the level that the host kernel calls PASSIVE, fact 5.
    unsafe { Passive::assume() }
}

#[test]
fn data_goes_the_way_that_was_asked_for() {
    for (request, direction) in [
        (Request::read(4), Direction::FromDevice),
        (Request::write(4), Direction::ToDevice),
        (Request::control(IN_DIRECT, 4), Direction::ToDevice),
        (Request::control(OUT_DIRECT, 4), Direction::FromDevice),
    ] {
        assert_eq!(request.direction(), Ok(direction));
        let mdl = request.mdl().expect("it has one");
        assert_eq!((mdl.direction(), mdl.length()), (direction, 4));
        assert!(!mdl.is_empty());
    }
}

#[test]
fn what_is_no_direct_io_has_no_locked_buffer() {
    let refused = NtError::STATUS_INVALID_DEVICE_REQUEST;
    let pnp = Request::new(sys::IRP_MJ_PNP, read_of(4, 0), Some(MAPPED));
    for request in [
        Request::control(BUFFERED, 4),
        Request::control(NEITHER, 4),
        pnp,
    ] {
        assert_eq!(request.direction(), Err(refused));
        assert_eq!(request.mdl().err(), Some(refused));
        assert_eq!(request.byte_offset(), None);
    }
    // The device does buffered I/O: the bytes are somewhere else.
    let buffered = Request::new(sys::IRP_MJ_WRITE, read_of(4, 0), None);
    assert_eq!(buffered.mdl().err(), Some(refused));
}

#[test]
fn a_request_for_nothing_has_an_empty_buffer() {
    for major in [sys::IRP_MJ_READ, sys::IRP_MJ_WRITE] {
        let request = Request::new(major, read_of(0, 0), None);
        let mdl = request.mdl().expect("an empty one");
        assert!(mdl.is_empty());
        assert_eq!(mdl.length(), 0);
        assert!(mdl.for_device().is_none());
        assert_eq!(mdl.copy_to(&mut passive(), 0, &mut []), Ok(()));
        assert_eq!(
            mdl.copy_to(&mut passive(), 0, &mut [0]),
            Err(NtError::STATUS_BUFFER_TOO_SMALL)
        );
    }
}

#[test]
fn a_buffer_is_never_longer_than_what_is_locked_or_asked_for() {
    for (asked, length) in [(1, 1), (BYTES, 16), (BYTES + 1, 16), (u32::MAX, 16)] {
        let request = Request::read(asked);
        assert_eq!(request.mdl().map(|mdl| mdl.length()), Ok(length));
        let request = Request::control(OUT_DIRECT, asked);
        assert_eq!(request.mdl().map(|mdl| mdl.length()), Ok(length));
    }
}

#[test]
fn only_reads_and_writes_have_a_place_on_the_device() {
    assert_eq!(Request::read(4).byte_offset(), Some(7));
    assert_eq!(Request::write(4).byte_offset(), Some(7));
    assert_eq!(Request::control(OUT_DIRECT, 4).byte_offset(), None);
    // FILE_USE_FILE_POINTER_POSITION and its kin are no places.
    let current = Request::new(sys::IRP_MJ_READ, read_of(4, -2), Some(MAPPED));
    assert_eq!(current.byte_offset(), None);
}

#[test]
fn bytes_are_copied_inside_the_buffer_and_one_way_only() {
    let mut irql = passive();
    let request = Request::read(8);
    let mdl = request.mdl().expect("it has one");
    assert_eq!(mdl.copy_from(&mut irql, 5, &[1, 2, 3]), Ok(()));
    assert_eq!(mdl.copy_from(&mut irql, 8, &[]), Ok(()));
    let too_small = Err(NtError::STATUS_BUFFER_TOO_SMALL);
    // There are more bytes, and they were not asked for.
    assert_eq!(mdl.copy_from(&mut irql, 5, &[4; 4]), too_small);
    assert_eq!(mdl.copy_from(&mut irql, 9, &[4]), too_small);
    assert_eq!(request.bytes()[..9], [0, 0, 0, 0, 0, 1, 2, 3, 0]);
    let mut found = [9; 4];
    assert_eq!(mdl.copy_to(&mut irql, 4, &mut found), Ok(()));
    assert_eq!(found, [0, 1, 2, 3]);
    assert_eq!(mdl.copy_to(&mut irql, 6, &mut found), too_small);
    assert_eq!(mdl.copy_to(&mut irql, 0, &mut []), Ok(()));

    // The caller's data for the device are the caller's: they may lie in memory that may not be
    // written.
    let request = Request::write(8);
    let mdl = request.mdl().expect("it has one");
    let refused = Err(NtError::STATUS_INVALID_DEVICE_REQUEST);
    assert_eq!(mdl.copy_from(&mut irql, 0, &[1]), refused);
    assert_eq!(request.bytes(), [0; BYTES as usize]);
    assert_eq!(mdl.copy_to(&mut irql, 0, &mut found), Ok(()));
    assert_eq!(found, [0; 4]);
}

#[test]
#[should_panic(expected = "MmMapLockedPagesSpecifyCache")]
fn pages_that_are_locked_and_not_mapped_are_mapped_first() {
    let request = Request::new(sys::IRP_MJ_READ, read_of(4, 0), Some(LOCKED));
    let mdl = request.mdl().expect("it has one");
    let _copied = mdl.copy_from(&mut passive(), 0, &[1]);
}

/// "MmMapLockedPagesSpecifyCache": NormalPagePriority, and MdlMappingNoExecute, for a caller's bytes
/// are no code.
#[test]
fn a_mapping_is_never_executable() {
    const NO_EXECUTE: u32 = 0x4000_0000;
    assert_eq!(
        (PRIORITY & NO_EXECUTE, PRIORITY & !NO_EXECUTE),
        (NO_EXECUTE, 16)
    );
}

#[test]
fn a_device_is_told_where_the_buffer_begins_in_its_first_page() {
    let request = Request::read(4);
    let mdl = request.mdl().expect("it has one");
    assert_eq!(mdl.for_device(), Some((request.mdl.get(), 0x7123)));
}
