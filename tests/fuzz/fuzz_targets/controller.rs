//! The controller, driven by libFuzzer.

#![no_main]

use fuzz::targets::target;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some(target) = target("controller") {
        (target.run)(data);
    }
});
