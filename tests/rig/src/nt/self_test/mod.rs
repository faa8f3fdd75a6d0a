//! Proof that the checks work.
use crate::machine::stop::refuse;
use alloc::string::String;
pub(crate) fn run(rule: &String) -> ! {
    refuse(format_args!("{rule}"))
}
