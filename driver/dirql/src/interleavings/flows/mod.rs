//! The flows: small programs that bring the library's parts together in every order.

mod interrupt;
mod run_down;
mod timer;
