//! Driver images: from a PE file to pages with rights.
//!
//! The loader takes what a kernel image is and nothing else, and says what is
//! wrong with anything else: a file that is cut off, another machine's, a program,
//! a section both writable and executable, an import that the rig does not have.

mod error;
mod layout;
mod load;
mod modules;

pub(crate) use load::{Image, load_driver, unload};
pub(crate) use modules::{Location, is_driver, name_of, register};
