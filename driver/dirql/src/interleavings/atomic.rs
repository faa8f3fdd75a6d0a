//! Atomics whose every access the checker orders.
//!
//! They are loom's, with three differences. They can be made in constants, as `core`'s can:
//! loom's object comes into being at the first access. An access with `SeqCst` has a fence of
//! that kind on both sides, because loom takes the ordering itself for `AcqRel`; on x64 each
//! such access but a load is a full barrier, too. And a [seeded mistake](super::mistake) may
//! weaken them, by the file that an access is in.

#![expect(dead_code, reason = "each kind has what `core`'s has, used or not")]

use std::{panic::Location, sync::OnceLock, sync::atomic::Ordering};

use loom::sync::atomic as modelled;

use super::mistake;

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
fn access<R>(
    place: &Location<'_>,
    operation: &'static str,
    order: Ordering,
    access: impl FnOnce(Ordering) -> R,
) -> R {
    if mistake::weakens(place, operation) {
        return access(Ordering::Relaxed);
    }
    if order != Ordering::SeqCst {
        return access(order);
    }
    modelled::fence(Ordering::SeqCst);
    let result = access(Ordering::SeqCst);
    modelled::fence(Ordering::SeqCst);
    result
}

macro_rules! atomics {
    ($($name:ident $(<$parameter:ident>)?($kind:ty) { $($more:tt)* })*) => {
        $(
            #[doc = concat!("As `core::sync::atomic::", stringify!($name), "`.")]
            pub(crate) struct $name $(<$parameter>)? {
                initial: $kind,
                modelled: OnceLock<modelled::$name $(<$parameter>)?>,
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

                fn modelled(&self) -> &modelled::$name $(<$parameter>)? {
                    self.modelled.get_or_init(|| modelled::$name::new(self.initial))
                }

                #[track_caller]
                pub(crate) fn load(&self, order: Ordering) -> $kind {
                    let is_blind = mistake::blinds(Location::caller(), concat!(stringify!($name), ".load"));
                    if is_blind || std::thread::panicking() {
                        return self.initial;
                    }
                    access(Location::caller(), concat!(stringify!($name), ".load"), order, |order| {
                        self.modelled().load(order)
                    })
                }

                #[track_caller]
                pub(crate) fn store(&self, value: $kind, order: Ordering) {
                    if std::thread::panicking() {
                        return;
                    }
                    access(Location::caller(), concat!(stringify!($name), ".store"), order, |order| {
                        self.modelled().store(value, order);
                    });
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
                    access(Location::caller(), concat!(stringify!($name), ".compare_exchange"), success, |success| {
                        let failure = if success == Ordering::Relaxed {
                            Ordering::Relaxed
                        } else {
                            failure
                        };
                        self.modelled().compare_exchange(from, to, success, failure)
                    })
                }

                $($more)*
            }
        )*
    };
}

macro_rules! changes {
    ($name:ident, $kind:ty; $($operation:ident),*) => {
        $(
            #[track_caller]
            pub(crate) fn $operation(&self, value: $kind, order: Ordering) -> $kind {
                if std::thread::panicking() {
                    return self.initial;
                }
                access(Location::caller(), concat!(stringify!($name), ".", stringify!($operation)), order, |order| {
                    self.modelled().$operation(value, order)
                })
            }
        )*

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
            let place = Location::caller();
            let mut before = access(place, concat!(stringify!($name), ".fetch_update"), fetch, |order| {
                self.modelled().load(order)
            });
            while let Some(after) = update(before) {
                let exchanged = access(place, concat!(stringify!($name), ".fetch_update"), set, |order| {
                    let fetch = if order == Ordering::Relaxed { order } else { fetch };
                    self.modelled().compare_exchange(before, after, order, fetch)
                });
                match exchanged {
                    Ok(before) => return Ok(before),
                    Err(now) => before = now,
                }
            }
            Err(before)
        }
    };
}

atomics! {
    AtomicBool(bool) { changes!(AtomicBool, bool; swap); }
    AtomicPtr<T>(*mut T) { changes!(AtomicPtr, *mut T; swap); }
    AtomicU8(u8) { changes!(AtomicU8, u8; fetch_and, fetch_or); }
    AtomicU32(u32) {}
    AtomicU64(u64) { changes!(AtomicU64, u64; fetch_max); }
    AtomicUsize(usize) { changes!(AtomicUsize, usize; fetch_add, fetch_sub); }
}
