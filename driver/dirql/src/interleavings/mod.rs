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
//! * More threads, or more preemptions in one run, than the flow's bounds. One thread makes the
//!   interrupts, so no ISR is against another one.
//! * Loom keeps the last seven stores of an atomic; older ones are not read. It does not let a load
//!   see a store that comes later in program order of another thread ("load buffering").
//! * Loom takes a `SeqCst` access for an `AcqRel` one. Stores and exchanges have a `SeqCst` fence on
//!   both sides instead, loads have none: what x64 does.
//! * All DPCs and timers are behind one lock of the modelled kernel, so any two calls of theirs are
//!   ordered; so are two on one event, one remove lock, one device queue.
//! * A guarded cell counts when its place is asked for, and not for as long as it is used. An
//!   interrupt's connection and its state are not guarded, but what a flow puts into the state is
//!   tracked. Of an IRP its cancel routine and its flag are steps, the rest of it is not.
//! * IRPs are not used again, and nothing fails for want of memory.
//! * Spin locks are those of debug builds, with owner mark and order.
//! * No flow has work items, several messages, passive-level interrupts, or power requests.

pub(crate) mod atomic;
mod explore;
pub(crate) mod field;
mod flows;
pub(crate) mod guarded;
pub(crate) mod kernel;
mod machine;
mod mistake;
mod tracked;
