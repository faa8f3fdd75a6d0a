//! Lists as the PnP manager makes them, read by a driver.

use core::{marker::PhantomData, ptr::null};

use super::{InterruptResource, MemoryResource, Resources};
use crate::{status::NtError, sys};

const PORT: u8 = 1;
const INTERRUPT: u8 = 2;
const MEMORY: u8 = 3;
const MEMORY_LARGE: u8 = 7;
const LATCHED: u16 = 1;
const MESSAGE: u16 = 2;
const EXCLUSIVE: u8 = 1;
const SHARED: u8 = 3;

/// A list of the length that the kernel's declaration has, and what follows it in memory.
#[repr(C)]
struct List {
    list: sys::CM_RESOURCE_LIST,
    more: [sys::CM_PARTIAL_RESOURCE_DESCRIPTOR; 2],
}

fn descriptor(
    kind: u8,
    share: u8,
    flags: u16,
    u: sys::DescriptorUnion,
) -> sys::CM_PARTIAL_RESOURCE_DESCRIPTOR {
    sys::CM_PARTIAL_RESOURCE_DESCRIPTOR {
        Type: kind,
        ShareDisposition: share,
        Flags: flags,
        u,
    }
}

fn memory(kind: u8, flags: u16, start: u64, length: u32) -> sys::CM_PARTIAL_RESOURCE_DESCRIPTOR {
    let start = sys::LARGE_INTEGER {
        QuadPart: start.cast_signed(),
    };
    let memory = sys::MemoryDescriptor {
        Start: start,
        Length: length,
    };
    descriptor(
        kind,
        EXCLUSIVE,
        flags,
        sys::DescriptorUnion { Memory: memory },
    )
}

fn interrupt(share: u8, flags: u16, level: u32) -> sys::CM_PARTIAL_RESOURCE_DESCRIPTOR {
    let interrupt = sys::InterruptDescriptor {
        Level: level,
        Vector: 0x51,
        Affinity: 0xf,
    };
    descriptor(
        INTERRUPT,
        share,
        flags,
        sys::DescriptorUnion {
            Interrupt: interrupt,
        },
    )
}

/// Reads a list of the first `count` of three descriptors.
fn with_list<R>(
    count: u32,
    [first, more @ ..]: [sys::CM_PARTIAL_RESOURCE_DESCRIPTOR; 3],
    read: impl FnOnce(&Resources<'_>) -> R,
) -> R {
    let list = List {
        list: sys::CM_RESOURCE_LIST {
            Count: 1,
            List: [sys::CM_FULL_RESOURCE_DESCRIPTOR {
                PartialResourceList: sys::CM_PARTIAL_RESOURCE_LIST {
                    Count: count,
                    PartialDescriptors: [first],
                },
            }],
        },
        more,
    };
    // SAFETY: the list is alive, and has so many descriptors behind each other, fact 11.
    let resources = unsafe { Resources::new((&raw const list).cast()) };
    read(&resources)
}

fn lengths(resources: &Resources<'_>) -> std::vec::Vec<(u64, u64)> {
    (0..)
        .map_while(|index| resources.memory(index).ok())
        .map(|memory| (memory.start(), memory.length()))
        .collect()
}

#[test]
fn memory_comes_in_the_order_of_the_list_and_nothing_else_counts() {
    let all = [
        memory(MEMORY, 0, 0xfebf_0000, 0x10_0000),
        interrupt(SHARED, 0, 5),
        memory(MEMORY, 0, 0x12_3456_7000, 0x1000),
    ];
    with_list(3, all, |resources| {
        let both = [(0xfebf_0000, 0x10_0000), (0x12_3456_7000, 0x1000)];
        assert_eq!(lengths(resources), both);
        assert_eq!(
            resources.memory(2),
            Err(NtError::STATUS_DEVICE_CONFIGURATION_ERROR)
        );
    });
    // What is behind the list's end belongs to somebody else.
    with_list(2, all, |resources| assert_eq!(lengths(resources).len(), 1));
    with_list(0, all, |resources| assert_eq!(lengths(resources), []));
}

/// "CM_PARTIAL_RESOURCE_DESCRIPTOR": lengths that do not fit into 32 bits are multiples of 2^8,
/// 2^16 or 2^32, as the flags say.
#[test]
fn large_memory_is_as_large_as_its_flags_say() {
    // Prefetchable and 64-bit decoding, which say nothing about the length.
    let others = 0x0004 | 0x0100;
    let large = |flag: u16| memory(MEMORY_LARGE, others | flag, 0x8_0000_0000, 0x180);
    with_list(3, [large(0x200), large(0x400), large(0x800)], |resources| {
        let start = 0x8_0000_0000;
        assert_eq!(
            lengths(resources),
            [
                (start, 0x1_8000),
                (start, 0x180_0000),
                (start, 0x180_0000_0000)
            ]
        );
    });
    // A large one without such a flag says nothing that can be relied on.
    with_list(1, [large(0); 3], |resources| {
        assert_eq!(lengths(resources), []);
    });
}

#[test]
fn an_interrupt_is_a_line_or_a_message_shared_or_not() {
    for (share, flags) in [
        (SHARED, 0),
        (EXCLUSIVE, LATCHED | MESSAGE),
        (EXCLUSIVE, MESSAGE),
        (SHARED, LATCHED),
    ] {
        // With groups the level is the lower half of what it was before there were any.
        let all = [
            memory(MEMORY, 0, 0, 1),
            interrupt(share, flags, 0x0203_0005),
            interrupt(share, flags, 9),
        ];
        let found = with_list(3, all, |resources| {
            let found = resources.interrupt().expect("there is one");
            InterruptResource {
                request: PhantomData,
                ..found
            }
        });
        assert_eq!((found.level, found.group), (5, 0x203));
        assert_eq!((found.vector, found.affinity), (0x51, 0xf));
        assert_eq!(found.shared, share == SHARED);
        assert_eq!(found.latched, flags & LATCHED != 0);
    }
}

#[test]
fn a_device_without_an_interrupt_has_none() {
    let port = descriptor(PORT, SHARED, LATCHED, memory(MEMORY, 0, 0xc000, 8).u);
    with_list(3, [port, memory(MEMORY, 0, 0, 1), port], |resources| {
        assert_eq!(
            resources.interrupt(),
            Err(NtError::STATUS_DEVICE_CONFIGURATION_ERROR)
        );
        assert_eq!(lengths(resources), [(0, 1)]);
    });
}

/// A device that was assigned nothing is started with NULL, or with an empty list.
#[test]
fn no_list_has_nothing_in_it() {
    // SAFETY: NULL is allowed, fact 10.
    let none = unsafe { Resources::new(null()) };
    assert_eq!(lengths(&none), []);
    assert!(none.interrupt().is_err());

    let one = memory(MEMORY, 0, 0, 1);
    let empty = sys::CM_RESOURCE_LIST {
        Count: 0,
        List: [sys::CM_FULL_RESOURCE_DESCRIPTOR {
            PartialResourceList: sys::CM_PARTIAL_RESOURCE_LIST {
                Count: 1,
                PartialDescriptors: [one],
            },
        }],
    };
    // SAFETY: alive for as long as it is used, fact 11.
    let empty = unsafe { Resources::new(&raw const empty) };
    assert_eq!(lengths(&empty), []);
}

/// What a driver without PnP has translated itself keeps all else that it was found with.
#[test]
fn a_translated_resource_differs_in_its_place_only() {
    let here = MemoryResource {
        start: 1,
        length: 0x1000,
        request: PhantomData,
    };
    assert_eq!(
        here.at(0xfeb0_0000),
        MemoryResource {
            start: 0xfeb0_0000,
            ..here
        }
    );
    let raw = InterruptResource {
        level: 1,
        group: 2,
        vector: 3,
        affinity: 4,
        shared: true,
        latched: true,
        request: PhantomData,
    };
    assert_eq!(
        raw.at(5, 6, 7),
        InterruptResource {
            level: 5,
            vector: 6,
            affinity: 7,
            ..raw
        }
    );
}
