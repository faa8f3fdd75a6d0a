//! The command channel, driven by libFuzzer.

#![no_main]

use fuzz::targets::target;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some(target) = target("frames") {
        (target.run)(data);
    }
});
