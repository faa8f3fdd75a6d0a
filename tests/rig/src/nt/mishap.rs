//! `mishaps=NAME[,NAME]|all`: what another processor and bad luck do to a driver, by chance.
//!
//! None of it is the driver's to forbid: each is an order of events that Windows' rules
//! allow, and that a quiet machine hardly ever shows. A driver that is in error loses
//! something then, and its request never ends. A run that hangs is named by the rule behind
//! a mishap if a DPC was its victim and was not queued since
//! ([`victim`](super::dpc::victim)); it lists what has happened in any case.

use core::fmt::{self, Write as _};
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use alloc::string::String;

use crate::nt::chance::{self, Choice};
use crate::nt::counters;
use crate::nt::rule::Rule;

/// Defines [`Mishap`] from a line for each.
macro_rules! mishaps {
    ($($(#[$text:meta])* $name:ident $word:literal $choice:ident $once_in:literal $rule:ident;)+) => {
        /// Something that happens by chance.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Mishap {
            $($(#[$text])* $name,)+
        }

        impl Mishap {
            /// All of them.
            const ALL: &[Self] = &[$(Self::$name,)+];

            /// Its name in the option.
            const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// The numbers that decide on it.
            const fn choice(self) -> Choice {
                match self { $(Self::$name => Choice::$choice,)+ }
            }

            /// Of so many times that it could happen, it does once, on average.
            const fn once_in(self) -> u64 {
                match self { $(Self::$name => $once_in,)+ }
            }

            /// The rule that a driver breaks which is hurt by it.
            pub(crate) const fn rule(self) -> Rule {
                match self { $(Self::$name => Rule::$rule,)+ }
            }
        }
    };
}

mishaps! {
    /// A DPC runs on another processor while KeInsertQueueDpc is still in its caller's way.
    DpcInsideInsert "dpc-inside-insert" DpcInsideInsert 2 Dpc04;
    /// A DPC waits for a while, in which its device may interrupt again.
    LateDpc "late-dpc" LateDpc 4 Dpc02;
    /// A DPC runs on another processor than the one that queued it, and beside itself if
    /// it runs already.
    DpcElsewhere "dpc-elsewhere" DpcElsewhere 2 Dpc05;
    /// A timer expires just before it is cancelled, and its DPC is late.
    TimerBeforeCancel "timer-before-cancel" TimerBeforeCancel 2 Tmr04;
}

/// Those that may happen, one bit each.
static ALLOWED: AtomicU8 = AtomicU8::new(0);
/// Those that happen each time that they could.
static CERTAIN: AtomicU8 = AtomicU8::new(0);
/// How often each has happened.
static HAPPENED: [AtomicU32; Mishap::ALL.len()] = [const { AtomicU32::new(0) }; Mishap::ALL.len()];

impl fmt::Display for Mishap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

impl Mishap {
    const fn bit(self) -> u8 {
        1 << self as u8
    }

    fn happened(self) -> u32 {
        HAPPENED[self as usize].load(Ordering::Relaxed)
    }
}

/// Allows those of a list of names; `false` when one of them is unknown.
pub(crate) fn allow(names: &str) -> bool {
    let mut allowed = 0;
    for name in names.split(',') {
        let found = Mishap::ALL
            .iter()
            .filter(|mishap| name == "all" || name == mishap.word())
            .fold(0, |bits, mishap| bits | mishap.bit());
        if found == 0 {
            return false;
        }
        allowed |= found;
    }
    ALLOWED.store(allowed, Ordering::Relaxed);
    true
}

/// Has one happen each time that it could, and no other.
pub(crate) fn always(mishap: Mishap) {
    ALLOWED.store(mishap.bit(), Ordering::Relaxed);
    CERTAIN.store(mishap.bit(), Ordering::Relaxed);
}

/// Whether this one happens now. Any IRQL.
pub(crate) fn happens(mishap: Mishap) -> bool {
    let is = |set: &AtomicU8| set.load(Ordering::Relaxed) & mishap.bit() != 0;
    is(&ALLOWED) && (is(&CERTAIN) || chance::once_in(mishap.once_in(), mishap.choice()))
}

/// Whether this one happens each time.
pub(crate) fn is_certain(mishap: Mishap) -> bool {
    CERTAIN.load(Ordering::Relaxed) & mishap.bit() != 0
}

/// It has happened.
pub(crate) fn note(mishap: Mishap) {
    HAPPENED[mishap as usize].fetch_add(1, Ordering::Relaxed);
    counters::checked(mishap.rule());
}

/// What has happened, in words.
pub(crate) fn describe() -> String {
    let mut text = String::new();
    for mishap in Mishap::ALL.iter().filter(|mishap| mishap.happened() != 0) {
        // Writing to a String does not fail.
        let _written = write!(
            text,
            " {} has happened {} times.",
            mishap.word(),
            mishap.happened()
        );
    }
    text
}
