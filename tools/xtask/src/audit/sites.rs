//! Functions of `dirql` that call through a pointer, and whom they can reach.
//!
//! A call through a pointer says of itself nothing. What is here is known from the source; a
//! call of a function that is not here may reach any callback of a lower rank, which is more
//! than it does, so the stack gets too deep on the page and never too shallow.

use super::{
    calls_back::{ADAPTER_CONTROL, Back, LIST_CONTROL},
    name,
};

/// Where a call through a pointer goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reaches {
    /// To callbacks of the driver's that have this in their names, and a rank below this.
    Callbacks { named: &'static str, below: u8 },
    /// To the kernel, which may call back these.
    Kernel(&'static [Back]),
}

/// A function that calls through a pointer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site {
    /// The innermost function at the call, or, with colons at its end, the module that it is in.
    pub(super) function: &'static str,
    pub(super) reaches: Reaches,
}

/// Above every rank.
const ANY: u8 = u8::MAX;

const fn callbacks(function: &'static str, named: &'static str, below: u8) -> Site {
    Site {
        function,
        reaches: Reaches::Callbacks { named, below },
    }
}

const fn kernel(function: &'static str, back: &'static [Back]) -> Site {
    Site {
        function,
        reaches: Reaches::Kernel(back),
    }
}

/// The one that tells a driver of its completions, which is called everywhere.
pub(super) const COMPLETING: &Site = &SITES[0];

/// The first that fits counts.
const SITES: &[Site] = &[
    callbacks("dirql::completing::tell", "dirql::completing::routine", ANY),
    callbacks(
        "dirql::irp_holders::Holder::close",
        "dirql::irp_holders::",
        ANY,
    ),
    callbacks(
        "dirql::irp_holders::Holder::end",
        "dirql::irp_holders::",
        ANY,
    ),
    // Closures that look at one IRP.
    callbacks("dirql::irp_queue::search::", "losure", 1),
    callbacks(
        "dirql::object_table::ObjectTable::quiesce_all",
        "dirql::object_table::",
        ANY,
    ),
    callbacks("dirql::object_table::new::call", "", 2),
    // The operations of a DMA adapter.
    kernel("dirql::dma::channel::allocate", &[ADAPTER_CONTROL]),
    kernel("dirql::dma::list::get", &[LIST_CONTROL]),
    kernel("dirql::dma::", &[]),
];

/// The row for a function.
pub(super) fn of(function: &str) -> Option<&'static Site> {
    let path = name::plain(function);
    SITES.iter().find(|site| {
        path == site.function || site.function.ends_with("::") && path.starts_with(site.function)
    })
}

#[cfg(test)]
mod tests {
    use super::{super::sources, COMPLETING, Reaches, SITES, of};

    #[test]
    fn each_row_is_of_a_function_that_there_is() {
        for site in SITES {
            sources::expect(site.function);
            if let Reaches::Callbacks { named, .. } = site.reaches
                && named.starts_with("dirql::")
            {
                sources::expect(named);
            }
        }
    }

    #[test]
    fn the_first_row_that_fits_counts() {
        let calls_back = |function: &str| match of(function).map(|site| site.reaches) {
            Some(Reaches::Kernel(back)) => Some(back.len()),
            _ => None,
        };
        assert_eq!(
            calls_back("dirql::dma::channel::allocate<edu::Channel>"),
            Some(1)
        );
        assert_eq!(
            calls_back("dirql::dma::transfer::Mapped<a::B>::end<a::B>"),
            Some(0)
        );
        assert!(of("dirql::irp_holders::Holder::end").is_some());
        assert!(of("dirql::irp_holders::Holder::ended").is_none());
        assert!(of("edu::operations::arm").is_none());
        assert_eq!(COMPLETING.function, "dirql::completing::tell");
    }
}
