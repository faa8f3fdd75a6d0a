//! Which image does an address lie in? The answer must be had while a fault is
//! being reported, so it takes no lock and allocates nothing.

use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};

use crate::machine::log::log;
use crate::machine::word::word;

/// Images that can be known: the rig, the driver, and room.
const MAX_MODULES: usize = 8;

/// What is said of an address in no image.
const NOWHERE: &str = "no-image";

/// An image; `base` is set last, and zero means that there is none.
struct Module {
    base: AtomicUsize,
    size: AtomicUsize,
    name: spin::Once<&'static str>,
}

static MODULES: [Module; MAX_MODULES] = [const {
    Module {
        base: AtomicUsize::new(0),
        size: AtomicUsize::new(0),
        name: spin::Once::new(),
    }
}; MAX_MODULES];

/// Entries so far.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Makes an image known and tells the host. An image that is unloaded stays
/// known: its addresses are not used again, and a call into it should be named.
pub(crate) fn register(name: &'static str, base: usize, size: usize) {
    log!("@module {name} {base:x} {size:x}");
    let index = COUNT.fetch_add(1, Ordering::AcqRel);
    let Some(module) = MODULES.get(index) else {
        log!("The rig keeps {MAX_MODULES} images; addresses in {name} will not be named.");
        return;
    };
    module.name.call_once(|| name);
    module.size.store(size, Ordering::Relaxed);
    module.base.store(base, Ordering::Release);
}

/// The image of an address, and its offset there.
fn find(address: u64) -> Option<(&'static str, usize)> {
    MODULES.iter().find_map(|module| {
        let base = module.base.load(Ordering::Acquire);
        let offset = word(address).checked_sub(base)?;
        let inside = base != 0 && offset < module.size.load(Ordering::Relaxed);
        inside.then_some((*module.name.get()?, offset))
    })
}

/// Whether an address lies in a driver's image; the first image that is known is the
/// rig's. Any IRQL.
pub(crate) fn is_driver(address: u64) -> bool {
    find(address).is_some_and(|(name, _)| MODULES[0].name.get().is_none_or(|rig| *rig != name))
}

/// Name of the image that an address lies in. Any IRQL.
pub(crate) fn name_of(address: u64) -> &'static str {
    find(address).map_or(NOWHERE, |(name, _)| name)
}

/// An address as an image and an offset. Any IRQL.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Location(pub(crate) u64);

impl Location {
    /// The address, if it lies in an image.
    pub(crate) fn of(address: u64) -> Option<Self> {
        find(address).map(|_| Self(address))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match find(self.0) {
            Some((name, offset)) => write!(formatter, "{name}+{offset:#x}"),
            None => formatter.write_str("no image"),
        }
    }
}
