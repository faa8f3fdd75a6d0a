//! The layout of every kernel structure that the driver touches, compared when
//! this crate is compiled for Windows.
//!
//! Off Windows the structures come from mingw-w64's headers, which lag the WDK.
//! The rig is built from the same headers, so a wrong offset would be wrong on
//! both sides there and work, and fail on Windows. `windows-sys` is generated
//! from Microsoft's own metadata and is compared with here. Compiling is the
//! test: `cargo xtask test abi`.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(windows)]
#[macro_use]
mod compare;
#[cfg(windows)]
mod dma;
#[cfg(windows)]
mod interrupts;
#[cfg(windows)]
mod objects;
#[cfg(windows)]
mod requests;
#[cfg(windows)]
mod resources;
