//! What REMOVE takes down, and in which order.

use std::{cell::RefCell, vec::Vec};

use super::{CAPACITY, ObjectTable, Registered};
use crate::{
    irql::Passive,
    status::{NtError, Result},
};

std::thread_local! {
    /// The names of what was taken down, in that order. A test has a thread of its own.
    static TAKEN_DOWN: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

struct Object {
    name: usize,
}

fn take_down(object: &Object, _irql: &mut Passive) {
    TAKEN_DOWN.with_borrow_mut(|names| names.push(object.name));
}

fn passive() -> Passive {
    // SAFETY: a host thread starts at the level that the host kernel calls PASSIVE, fact 5.
    unsafe { Passive::assume() }
}

/// An extension with objects in it, and the table of its device.
struct Extension<const OBJECTS: usize> {
    table: ObjectTable,
    objects: [Object; OBJECTS],
}

impl<const OBJECTS: usize> Extension<OBJECTS> {
    fn new() -> Self {
        Self {
            table: ObjectTable::new(),
            objects: core::array::from_fn(|name| Object { name }),
        }
    }

    /// Enters an object, as if the extension began with the first of `inside`.
    fn enter(&self, inside: &[Object], object: Registered<'_>) -> Result<()> {
        let start = inside.as_ptr().addr();
        let length = size_of_val(inside);
        self.table.register(&mut passive(), start, length, object)
    }

    fn object(&self, name: usize) -> Registered<'_> {
        Registered::new(&self.objects[name], take_down)
    }

    fn taken_down(&self) -> Vec<usize> {
        // SAFETY: the objects are alive: they are in what is borrowed, facts 2 and 11.
        unsafe { self.table.quiesce_all(&mut passive()) };
        TAKEN_DOWN.take()
    }
}

#[test]
fn what_starts_something_is_taken_down_before_what_is_started() {
    let extension = Extension::<4>::new();
    for name in [2, 0, 3, 1] {
        let object = extension.object(name);
        let object = if name < 2 { object.last() } else { object };
        assert_eq!(extension.enter(&extension.objects, object), Ok(()));
    }
    assert_eq!(extension.taken_down(), [2, 3, 0, 1]);
}

#[test]
fn an_object_that_enters_again_is_in_there_once() {
    let extension = Extension::<2>::new();
    for name in [0, 1, 0, 1, 1] {
        let object = extension.object(name);
        assert_eq!(extension.enter(&extension.objects, object), Ok(()));
    }
    assert_eq!(extension.taken_down(), [0, 1]);
}

#[test]
fn nothing_enters_once_the_device_is_being_removed() {
    let extension = Extension::<1>::new();
    assert_eq!(extension.taken_down(), []);
    assert_eq!(
        extension.enter(&extension.objects, extension.object(0)),
        Err(NtError::STATUS_DELETE_PENDING)
    );
    assert_eq!(extension.taken_down(), []);
}

/// The kernel would be left with the address of something that is gone before the device is.
#[test]
fn what_lies_outside_the_extension_does_not_enter() {
    let extension = Extension::<4>::new();
    let inside = &extension.objects[1..3];
    for (name, fits) in [(0, false), (1, true), (2, true), (3, false)] {
        let entered = extension.enter(inside, extension.object(name));
        let wanted = if fits {
            Ok(())
        } else {
            Err(NtError::STATUS_INVALID_PARAMETER)
        };
        assert_eq!(entered, wanted, "object {name}");
    }
    assert_eq!(extension.taken_down(), [1, 2]);

    // One that begins inside and ends outside.
    let bytes = [0_u8; 16];
    let word = Registered::new(&bytes, |_, _| {});
    let entered = extension
        .table
        .register(&mut passive(), bytes.as_ptr().addr(), 15, word);
    assert_eq!(entered, Err(NtError::STATUS_INVALID_PARAMETER));
}

#[test]
fn a_device_has_so_many_objects_and_no_more() {
    let extension = Extension::<{ CAPACITY + 1 }>::new();
    for name in 0..CAPACITY {
        let object = extension.object(name);
        assert_eq!(extension.enter(&extension.objects, object), Ok(()));
    }
    assert_eq!(
        extension.enter(&extension.objects, extension.object(CAPACITY)),
        Err(NtError::STATUS_INSUFFICIENT_RESOURCES)
    );
    // Those that are in there may enter again.
    let again = extension.object(CAPACITY - 1);
    assert_eq!(extension.enter(&extension.objects, again), Ok(()));
    assert!(extension.taken_down().into_iter().eq(0..CAPACITY));
}
