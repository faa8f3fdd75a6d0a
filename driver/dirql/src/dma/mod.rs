//! Bus-master DMA: the adapter, its map registers, AdapterControl and scatter/gather list
//! routines, common buffers. Wraps `IoGetDmaAdapter` and the operations that it leads to.
//!
//! # Model
//!
//! ```text
//!  request --allocate_channel--> AdapterControl(Grant)        request --get_list--> ListControl
//!                                     | keep                                            |
//!             .----- map ------- MapRegisters <--- flush ---.               ScatterGatherList
//!             v                       | free                |                           | put
//!           Mapped ----- the device transfers --------------'                           |
//!                                     v                                                 v
//!                                  request                                           request
//! ```
//!
//! Each arrow consumes what it starts from, and whoever has a value owns the request in
//! it. So a request cannot be completed while its buffer is mapped, nor looked at by the
//! processor; map registers cannot be used after they are freed, nor freed with a transfer
//! mapped; and a transfer that takes several rounds is a loop of `map` and `flush`.
//!
//! A [`LogicalAddress`] is what the device is given. It is a type of its own, made by a
//! mapping only: neither a physical address nor a number is one.
//!
//! What no type here knows is when the device has done. `flush`, `put` and
//! [`CommonBuffer::free`] are called then: after the interrupt that says so, or after the
//! driver has stopped the engine. A [`Mapped`] or a [`ScatterGatherList`] that is dropped
//! is a bug check, for nobody can say whether the device still writes there; one that is
//! forgotten keeps its request, and with that the pages, the map registers and the device
//! object, for good.
//!
//! See "Adapter Objects and DMA", "Using Packet-Based Bus-Master DMA" and "Using
//! Scatter/Gather DMA" in the Windows driver documentation. On x64 KeFlushIoBuffers is
//! nothing, so it is not called.
//!
//! # Contexts
//!
//! | operation | caller | token | may block |
//! |---|---|---|---|
//! | `DmaAdapter::open`, `close`, common buffers | START, STOP | `Passive` | `close` does |
//! | `allocate_channel`, `get_list` | StartIo, dispatch routines | `Dispatch` | no |
//! | `AdapterControl`, `ListControl` | the kernel | `Dispatch` is given | no |
//! | `map`, `flush` | whoever has the transfer | up to `Dispatch` | no |
//! | `free`, `put` | whoever has the transfer | `Dispatch` | no |
//!
//! # Soundness
//!
//! Facts 1 to 5 of the crate, and of this module:
//!
//! 22. **Held open.** Every request that waits for map registers, every [`MapRegisters`],
//!     every [`ScatterGatherList`] and every [`CommonBuffer`] has entered its adapter's
//!     run-down. [`DmaAdapter::close`] waits for all of them, and then until every processor
//!     has left what it did at DISPATCH_LEVEL, before it gives the adapter back.
//! 23. **Alive.** A value with a request in it may point to its adapter: the request's
//!     remove lock (fact 4) keeps the extension, of which the adapter is a part (fact 2).
//! 24. **One owner.** While the kernel has a request for map registers, the IRP is nobody
//!     else's, and its `DriverContext` says what it was given with.
//!
//! # Not here
//!
//! System DMA controllers. The routines whose names end in `Ex` offer nothing to a bus
//! master that these do not, but cancelling a request that waits for map registers: it
//! waits for other transfers of the same device, which end.

mod adapter;
mod address;
mod channel;
mod common_buffer;
mod list;
mod operations;
mod request;
mod transfer;

pub use adapter::{DmaAdapter, DmaDescription};
pub use address::LogicalAddress;
pub use channel::{Action, AdapterControl, Grant};
pub use common_buffer::CommonBuffer;
pub use list::{Element, ListControl, ScatterGatherList};
pub use request::{DmaRequest, Refused};
pub use transfer::{MapRegisters, Mapped};
