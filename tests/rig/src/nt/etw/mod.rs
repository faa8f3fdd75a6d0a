//! Event tracing (ETW): providers register, and a session of the rig's keeps what they write.
//!
//! # Model
//! The session has enabled every provider, whatever its GUID, for all levels and keywords; a
//! provider hears of it in its EnableCallback while it registers, as on Windows where a
//! session waits for a provider. With the option `tracing=off` there is no session: nothing
//! is enabled, no callback is called, and what is written goes nowhere.
//!
//! | module | does |
//! |---|---|
//! | [`provider`] | EtwRegister, EtwUnregister, EtwSetInformation; what is enabled |
//! | [`mod@write`] | EtwWrite and its kin |
//! | [`session`] | keeps the last events, and counts those that it had to drop |
//! | [`activity`] | EtwActivityIdControl: the activity of each thread |

pub(crate) mod activity;
pub(crate) mod provider;
pub(crate) mod session;
pub(crate) mod write;

use wdk_sys::GUID;

/// A GUID as its bytes lie in memory.
fn bytes_of(guid: &GUID) -> [u8; 16] {
    let mut bytes = [0; 16];
    let (first, rest) = bytes.split_at_mut(4);
    let (second, rest) = rest.split_at_mut(2);
    let (third, fourth) = rest.split_at_mut(2);
    first.copy_from_slice(&guid.Data1.to_le_bytes());
    second.copy_from_slice(&guid.Data2.to_le_bytes());
    third.copy_from_slice(&guid.Data3.to_le_bytes());
    fourth.copy_from_slice(&guid.Data4);
    bytes
}
