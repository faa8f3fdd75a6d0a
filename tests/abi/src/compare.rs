//! The comparison: a constant that does not evaluate where a layout differs.

/// Compares size and field offsets of a structure in `wdk_sys` with those of
/// one in `windows_sys`. A field that is called differently there is given as
/// `here = there`.
macro_rules! same_layout {
    ($here:ty, $there:ty { $($($field:ident).+ $(= $($other:ident).+)?),* $(,)? }) => {
        const _: () = {
            assert!(
                size_of::<$here>() == size_of::<$there>(),
                concat!(stringify!($here), " has another size in Microsoft's metadata")
            );
            $(assert!(
                core::mem::offset_of!($here, $($field).+)
                    == same_layout!(@offset $there, $($field).+ $(, $($other).+)?),
                concat!(
                    stringify!($here), "::", stringify!($($field).+),
                    " is at another offset in Microsoft's metadata"
                )
            );)*
        };
    };
    (@offset $there:ty, $($field:ident).+) => { core::mem::offset_of!($there, $($field).+) };
    (@offset $there:ty, $($field:ident).+, $($other:ident).+) => {
        core::mem::offset_of!($there, $($other).+)
    };
}
