//! This crate's own concurrency, in every order: its code as it is, on a modelled kernel with
//! several processors, under [loom](https://docs.rs/loom).
//!
//! Loom runs a *flow*, a small program of up to five threads, again and again, each time with
//! another order of their accesses to atomics, locks and tracked cells, and with another of
//! the values that the C11 memory model lets a load have; it ends when there is none left
//! within the bound on preemptions. It fails at two accesses to a tracked cell that nothing
//! orders, at a deadlock, and at a failed assertion.
//!
//! What is explored is what ships: the atomics go through [`crate::sync`], the kernel's routines
//! through [`crate::sys`], and nothing else is changed. The [modelled kernel](kernel) does
//! what the documentation promises and no more: an ISR comes on any processor at any moment
//! while it is connected, a DPC runs on any processor after it was queued, on two at once too,
//! a timer expires as early as it likes, and IRQL is what keeps a processor to one of them.
//!
//! Each flow has mistakes [seeded](mistake) that it must find; a test of its own fails when one
//! goes unnoticed.
//!
//! # What this does not show
//!
//! * More threads, or more preemptions in one run, than the flow's bounds.
//! * `SeqCst` accesses are taken for `AcqRel` ones between two `SeqCst` fences, which orders
//!   more than the language does, and no more than x64 does.
//! * Loads do not see stores that come later in program order of another thread ("load
//!   buffering"), which loom cannot model.
//! * Cells that several may read at a time (an interrupt's connection) are not tracked; those behind
//!   locks are, and so are the state of an interrupt, the extension, and the kernel's objects.

pub(crate) mod atomic;
mod explore;
pub(crate) mod field;
mod flows;
pub(crate) mod guarded;
pub(crate) mod kernel;
mod machine;
mod mistake;
mod tracked;
