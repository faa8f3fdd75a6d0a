//! Boots the rig in QEMU, drives it and judges what it says.
//!
//! `Machine` describes a run and starts it; `Running` is one that is under
//! way; `Ended` is how it went, with the stack named from the PDBs if the rig
//! stopped it. Everything has a time limit, and QEMU never outlives its owner.
//!
//! Several programs stand on this: `scenarios` (the tests), `rig-run` (a rig for a
//! person), `rig-demo`, and `rig-measure` (for `cargo xtask bench`). `cargo xtask` builds what they need and starts them.

#![forbid(unsafe_code)]
#![cfg(unix)]

mod about;
mod artifacts;
mod book;
pub mod cases;
mod counted;
mod debugger;
pub mod demo;
mod ended;
mod exercise;
mod firmware;
mod keep_up;
pub mod load;
mod log;
mod machine;
pub mod measured;
mod monitor;
mod options;
mod qemu;
mod record;
mod report;
pub mod rig_run;
#[path = "../../rig/src/nt/rule.rs"]
mod rule;
mod rules;
mod runner;
mod running;
mod saved_state;
mod shell;
mod statistics;
mod summary;
mod symbols;
mod windbg;
