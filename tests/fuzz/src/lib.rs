//! Arbitrary bytes for whatever takes bytes from somebody else.
//!
//! Each target is a plain function that takes any bytes and panics when what it tries breaks
//! a promise. libFuzzer drives them (`fuzz_targets`, `cargo xtask test fuzz --long`), and so
//! does, every day, the corpus that it has found, with the inputs of everything that it has
//! found wrong.
//!
//! | target | takes bytes from | into |
//! |---|---|---|
//! | [`requests`] | user mode | the driver's parser of requests |
//! | [`controller`] | the device, and whoever calls | the state that the interrupt protects |
//! | [`frames`] | either end of the rig's command channel | the other end |
//! | [`replies`] | the driver | `eductl`, and the pictures that it draws |
//!
//! Every target can be given a mistake, which it then makes in place of what it tries. So
//! the tests show that each of its promises can be found broken.

#![forbid(unsafe_code)]

pub mod controller;
pub mod corpus;
pub mod frames;
pub mod replies;
pub mod requests;
pub mod targets;
