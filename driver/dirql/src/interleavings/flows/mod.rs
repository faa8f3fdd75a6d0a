//! The flows: small programs that bring the library's parts together in every order.

mod dpc;
mod event;
mod interrupt;
mod irp_queue;
mod run_down;
mod shared;
mod start_io;
mod suspend;
mod timer;
