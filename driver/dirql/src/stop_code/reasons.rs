// Why this crate stops the machine: the first parameter of its bug check, and what it means.
//
// An argument of the macro `reasons`, of whoever includes this file: `stop_code` makes the type
// of it, and `eductl bugcheck` the text that people read. So the two cannot differ.

reasons! {
    b"DRQL";
    /// A spin lock was taken by the processor that holds it.
    #[cfg(debug_assertions)]
    SpinLockRecursion = 1,
    /// An IRP was dropped above DISPATCH_LEVEL, or a mapping above APC_LEVEL, where the
    /// kernel cannot complete or unmap it.
    DroppedTooHigh = 2,
    /// A second packet came to be held while one was.
    SecondPacketHeld = 3,
    /// An IRP has no buffer although its stack location says that it has one.
    BufferMissing = 4,
    /// A device was given an IRP that another device has.
    ForeignIrp = 5,
    /// A spin lock was taken inside another that comes after it in their order.
    #[cfg(debug_assertions)]
    SpinLockOrder = 6,
    /// An ISR asked for a DPC that its interrupt was not connected with.
    NoSuchDpc = 7,
    /// The links of a list of IRPs do not fit together.
    ListCorrupt = 8,
    /// A value in pool has more owners than there is memory for: owners were forgotten.
    TooManyOwners = 9,
    /// A transfer was dropped while its device may still reach its memory.
    DroppedWhileMapped = 20,
    /// An AdapterControl routine returned another one's action.
    ForeignAction = 21,
    /// A transfer is under way, and its adapter is not open.
    AdapterMissing = 22,
    /// A ControllerControl routine returned what is another controller's.
    ForeignController = 40,
    /// ControllerControl was called for a device object that waits with no packet.
    NoPacketWaiting = 41,
}
