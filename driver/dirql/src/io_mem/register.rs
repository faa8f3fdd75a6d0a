//! A register as a type: where it is, how wide, and what may be done to it.

use core::{fmt, marker::PhantomData};

/// A register at `OFFSET` in a block of `LENGTH` bytes, `W` wide, for access `A`.
///
/// It has no size; make it a constant, so that a wrong one is reported where it is
/// declared.
pub struct Register<const LENGTH: usize, const OFFSET: usize, W, A> {
    described: PhantomData<fn(A) -> W>,
}

impl<const LENGTH: usize, const OFFSET: usize, W: Width, A> Register<LENGTH, OFFSET, W, A> {
    /// The register; what is misaligned or past the end of the block does not compile.
    ///
    /// # IRQL
    /// Any.
    #[must_use]
    pub const fn new() -> Self {
        const {
            assert!(
                OFFSET.is_multiple_of(size_of::<W>()),
                "a register's offset is a multiple of its width"
            );
            assert!(
                fits::<W>(OFFSET, LENGTH),
                "the register lies past the end of its block"
            );
        }
        Self {
            described: PhantomData,
        }
    }
}

impl<const LENGTH: usize, const OFFSET: usize, W: Width, A> Default
    for Register<LENGTH, OFFSET, W, A>
{
    fn default() -> Self {
        Self::new()
    }
}

impl<const LENGTH: usize, const OFFSET: usize, W, A> Clone for Register<LENGTH, OFFSET, W, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<const LENGTH: usize, const OFFSET: usize, W, A> Copy for Register<LENGTH, OFFSET, W, A> {}

impl<const LENGTH: usize, const OFFSET: usize, W, A> fmt::Debug for Register<LENGTH, OFFSET, W, A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Register({OFFSET:#x})")
    }
}

/// Whether a register of type `W` at this offset is aligned and ends inside the block.
pub(super) const fn fits<W>(offset: usize, length: usize) -> bool {
    let width = size_of::<W>();
    offset.is_multiple_of(width) && width <= length && offset <= length.saturating_sub(width)
}

mod sealed {
    pub trait Sealed {}
}

/// Access widths that the kernel has routines for: 8, 16, 32 and 64 bits.
#[diagnostic::on_unimplemented(
    message = "a register is accessed as u8, u16, u32 or u64",
    label = "`{Self}` is no access width"
)]
pub trait Width: Copy + sealed::Sealed {
    /// What a register that is not there reads as.
    const ALL_ONES: Self;
}

macro_rules! widths {
    ($($width:ty),*) => {
        $(
            impl sealed::Sealed for $width {}

            impl Width for $width {
                const ALL_ONES: Self = Self::MAX;
            }
        )*
    };
}

widths!(u8, u16, u32, u64);

/// A register that may be read only.
#[derive(Clone, Copy, Debug)]
pub struct ReadOnly;

/// A register that may be written only; reading it would mean nothing.
#[derive(Clone, Copy, Debug)]
pub struct WriteOnly;

/// A register that may be read and written.
#[derive(Clone, Copy, Debug)]
pub struct ReadWrite;

/// Access of a register that may be read.
#[diagnostic::on_unimplemented(
    message = "this register cannot be read",
    label = "the register's access is `{Self}`",
    note = "declare it `ReadWrite` or `ReadOnly` if the data sheet says that it can be read"
)]
pub trait Readable: sealed::Sealed {}

/// Access of a register that may be written.
#[diagnostic::on_unimplemented(
    message = "this register cannot be written",
    label = "the register's access is `{Self}`",
    note = "declare it `ReadWrite` or `WriteOnly` if the data sheet says that it can be written"
)]
pub trait Writable: sealed::Sealed {}

impl sealed::Sealed for ReadOnly {}
impl sealed::Sealed for WriteOnly {}
impl sealed::Sealed for ReadWrite {}
impl Readable for ReadOnly {}
impl Readable for ReadWrite {}
impl Writable for WriteOnly {}
impl Writable for ReadWrite {}

#[cfg(test)]
mod tests {
    use super::{ReadOnly, Register, fits};

    #[test]
    fn a_register_ends_inside_the_block() {
        assert!(fits::<u32>(0x3c, 0x40));
        assert!(!fits::<u32>(0x40, 0x40));
        assert!(!fits::<u64>(0x3c, 0x40));
        assert!(!fits::<u64>(0, 4));
        assert!(!fits::<u32>(usize::MAX & !3, 0x40));
    }

    #[test]
    fn a_register_is_aligned_to_its_width() {
        assert!(fits::<u8>(1, 0x40));
        assert!(!fits::<u16>(1, 0x40));
        assert!(!fits::<u32>(2, 0x40));
        assert!(!fits::<u64>(4, 0x40));
    }

    #[test]
    fn prints_its_offset() {
        let status = Register::<0x100, 0x24, u32, ReadOnly>::new();
        assert_eq!(std::format!("{status:?}"), "Register(0x24)");
    }
}
