//! Why `dirql` stops the machine: the list that its own type is made of.

/// A reason.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reason {
    number: u64,
    /// Its name in the source.
    pub(super) name: &'static str,
    /// As the documentation comment has it, with its leading space.
    text: &'static str,
}

impl Reason {
    /// The reason with this number.
    pub(super) fn of(number: u64) -> Option<Self> {
        ALL.iter().find(|reason| reason.number == number).copied()
    }

    /// What it means, in a sentence.
    pub(super) fn meaning(self) -> &'static str {
        self.text.trim()
    }
}

/// Makes a table of the list.
macro_rules! reasons {
    (
        $tag:literal;
        $($(#[doc = $text:literal])+ $(#[cfg(debug_assertions)])? $name:ident = $number:literal,)+
    ) => {
        /// The bug check code of `dirql`.
        pub(super) const DIRQL: u32 = u32::from_be_bytes(*$tag);

        const ALL: &[Reason] = &[$(Reason {
            number: $number,
            name: stringify!($name),
            text: concat!($($text),+),
        }),+];
    };
}

include!("../../../../../driver/dirql/src/stop_code/reasons.rs");
