//! Atomics whose every access the checker orders.
//!
//! They are loom's, with three differences. They can be made in constants, as `core`'s can:
//! each takes one of those that the [modelled kernel](super::kernel) was made with, before there
//! was a second thread, and has its value there as what differs from the one that it began with.
//! A store or an exchange with `SeqCst` has a fence of that kind on both sides, because loom takes
//! the ordering itself for `AcqRel`; on x64 these are full barriers, and loads are not. And a
//! [seeded mistake](super::mistake) may weaken them, by the file that an access is in.

#![expect(dead_code, reason = "each kind has what `core`'s has, used or not")]

use std::{boxed::Box, panic::Location, rc::Rc, sync::OnceLock, sync::atomic::Ordering};

use loom::sync::atomic as modelled;

use super::{kernel, mistake};

/// As `core::sync::atomic::fence`.
#[track_caller]
pub(crate) fn fence(order: Ordering) {
    if std::thread::panicking() {
        return;
    }
    if !mistake::weakens(Location::caller(), "fence") {
        modelled::fence(order);
    }
}

/// Makes one access, with the fences that stand for `SeqCst`.
pub(super) fn access<R>(
    place: &Location<'_>,
    operation: &'static str,
    order: Ordering,
    access: impl FnOnce(Ordering) -> R,
) -> R {
    if !mistake::delays(place, operation)
        && let Some(store) = kernel::take_later()
    {
        store();
    }
    if mistake::weakens(place, operation) {
        return access(Ordering::Relaxed);
    }
    let is_barrier = order == Ordering::SeqCst && operation.rsplit('.').next() != Some("load");
    if !is_barrier || mistake::disorders(place) {
        return access(order);
    }
    modelled::fence(Ordering::SeqCst);
    let result = access(Ordering::SeqCst);
    modelled::fence(Ordering::SeqCst);
    result
}

/// What a failed exchange may be ordered by, when a success is by this.
fn failing(success: Ordering, failure: Ordering) -> Ordering {
    if success == Ordering::Relaxed {
        success
    } else {
        failure
    }
}

/// What fits into a word.
trait Word: Copy {
    fn to_word(self) -> usize;
    fn of_word(word: usize) -> Self;
}

impl Word for bool {
    fn to_word(self) -> usize {
        self.into()
    }

    fn of_word(word: usize) -> Self {
        word != 0
    }
}

impl<T> Word for *mut T {
    fn to_word(self) -> usize {
        self.expose_provenance()
    }

    fn of_word(word: usize) -> Self {
        core::ptr::with_exposed_provenance_mut(word)
    }
}

macro_rules! words {
    ($($kind:ty)*) => {
        $(
            impl Word for $kind {
                fn to_word(self) -> usize {
                    usize::try_from(self).expect("a word has 64 bits")
                }

                fn of_word(word: usize) -> Self {
                    Self::try_from(word).expect("it was one of these")
                }
            }
        )*
    };
}

words! { u8 u32 u64 usize }

macro_rules! atomics {
    ($($name:ident $(<$parameter:ident>)?($kind:ty) { $($operation:ident)* })*) => {
        $(
            #[doc = concat!("As `core::sync::atomic::", stringify!($name), "`.")]
            pub(crate) struct $name $(<$parameter>)? {
                initial: $kind,
                modelled: OnceLock<Rc<modelled::AtomicUsize>>,
            }

            // SAFETY: (Aliasing) all threads of a model are coroutines of one thread, fact 11.
            unsafe impl $(<$parameter>)? Sync for $name $(<$parameter>)? {}
            // SAFETY: as above, fact 11.
            unsafe impl $(<$parameter>)? Send for $name $(<$parameter>)? {}

            impl $(<$parameter>)? core::fmt::Debug for $name $(<$parameter>)? {
                fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                    formatter.write_str(stringify!($name))
                }
            }

            impl $(<$parameter>)? $name $(<$parameter>)? {
                pub(crate) const fn new(initial: $kind) -> Self {
                    Self { initial, modelled: OnceLock::new() }
                }

                fn shared(&self) -> &Rc<modelled::AtomicUsize> {
                    self.modelled.get_or_init(kernel::atomic)
                }

                fn modelled(&self) -> &modelled::AtomicUsize {
                    self.shared()
                }

                fn inside(&self, value: $kind) -> usize {
                    value.to_word().wrapping_sub(self.initial.to_word())
                }

                fn outside(&self, word: usize) -> $kind {
                    <$kind>::of_word(word.wrapping_add(self.initial.to_word()))
                }

                #[track_caller]
                pub(crate) fn load(&self, order: Ordering) -> $kind {
                    let (place, operation) = (Location::caller(), concat!(stringify!($name), ".load"));
                    if mistake::blinds(place, operation) || std::thread::panicking() {
                        return self.initial;
                    }
                    let word = access(place, operation, order, |order| self.modelled().load(order));
                    let seen = self.outside(word);
                    if mistake::overlooks(place, operation, seen.to_word()) {
                        return self.initial;
                    }
                    seen
                }

                #[track_caller]
                pub(crate) fn store(&self, value: $kind, order: Ordering) {
                    if std::thread::panicking() {
                        return;
                    }
                    let (place, operation) = (Location::caller(), concat!(stringify!($name), ".store"));
                    let (modelled, value) = (Rc::clone(self.shared()), self.inside(value));
                    if mistake::delays(place, operation) {
                        kernel::later(Box::new(move || modelled.store(value, order)));
                        return;
                    }
                    access(place, operation, order, |order| modelled.store(value, order));
                }

                #[track_caller]
                pub(crate) fn swap(&self, value: $kind, order: Ordering) -> $kind {
                    if std::thread::panicking() {
                        return self.initial;
                    }
                    let operation = concat!(stringify!($name), ".swap");
                    let word = access(Location::caller(), operation, order, |order| {
                        self.modelled().swap(self.inside(value), order)
                    });
                    self.outside(word)
                }

                #[track_caller]
                pub(crate) fn compare_exchange(
                    &self,
                    from: $kind,
                    to: $kind,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$kind, $kind> {
                    if std::thread::panicking() {
                        return Err(self.initial);
                    }
                    let (place, operation) =
                        (Location::caller(), concat!(stringify!($name), ".compare_exchange"));
                    let (from, to) = (self.inside(from), self.inside(to));
                    let exchanged = access(place, operation, success, |success| {
                        let failure = failing(success, failure);
                        self.modelled().compare_exchange(from, to, success, failure)
                    });
                    exchanged
                        .map(|word| self.outside(word))
                        .map_err(|word| self.outside(word))
                }

                #[track_caller]
                pub(crate) fn fetch_update(
                    &self,
                    set: Ordering,
                    fetch: Ordering,
                    mut update: impl FnMut($kind) -> Option<$kind>,
                ) -> Result<$kind, $kind> {
                    if std::thread::panicking() {
                        return Err(self.initial);
                    }
                    let (place, operation) =
                        (Location::caller(), concat!(stringify!($name), ".fetch_update"));
                    let mut before = access(place, operation, fetch, |order| {
                        self.modelled().load(order)
                    });
                    while let Some(after) = update(self.outside(before)) {
                        let exchanged = access(place, operation, set, |set| {
                            let (after, fetch) = (self.inside(after), failing(set, fetch));
                            self.modelled().compare_exchange(before, after, set, fetch)
                        });
                        match exchanged {
                            Ok(before) => return Ok(self.outside(before)),
                            Err(now) => before = now,
                        }
                    }
                    Err(self.outside(before))
                }

                $(
                    #[track_caller]
                    pub(crate) fn $operation(&self, value: $kind, order: Ordering) -> $kind {
                        if std::thread::panicking() {
                            return self.initial;
                        }
                        let is_sum = matches!(stringify!($operation), "fetch_add" | "fetch_sub");
                        assert!(is_sum || self.initial.to_word() == 0, "not kept as a difference");
                        let operation = concat!(stringify!($name), ".", stringify!($operation));
                        let word = access(Location::caller(), operation, order, |order| {
                            self.modelled().$operation(value.to_word(), order)
                        });
                        self.outside(word)
                    }
                )*
            }
        )*
    };
}

atomics! {
    AtomicBool(bool) {}
    AtomicPtr<T>(*mut T) {}
    AtomicU8(u8) { fetch_and fetch_or }
    AtomicU32(u32) {}
    AtomicU64(u64) { fetch_max }
    AtomicUsize(usize) { fetch_add fetch_sub }
}
