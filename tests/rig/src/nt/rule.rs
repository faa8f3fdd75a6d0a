//! The rules that the executive holds a driver to, each with its published id.
//!
//! A stop names the id; the sentence is for people who do not know the number.

/// Defines [`Rule`] from one line for each rule.
macro_rules! rules {
    ($($name:ident $id:literal $sentence:literal;)+) => {
        /// A rule of the kernel's that the executive checks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Rule {
            $(#[doc = $sentence] $name,)+
        }

        impl Rule {
            /// All of them, each at its own place as a number.
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)+];

            /// The published id.
            pub(crate) const fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)+ }
            }

            /// The rule in one sentence.
            pub(crate) const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)+ }
            }
        }
    };
}

rules! {
    Irql01 "IRQL-01" "A kernel routine is called inside its IRQL range.";
    Irql02 "IRQL-02" "KeRaiseIrql never lowers, and KeLowerIrql undoes the last raise only.";
    Irql03 "IRQL-03" "A dispatch routine returns at the IRQL at which it was called.";
    Irql04 "IRQL-04" "A callback returns at the IRQL at which it was called.";
    Irql05 "IRQL-05" "Nothing blocks at DISPATCH_LEVEL or above.";
    Irql06 "IRQL-06" "At DISPATCH_LEVEL or above neither pageable data nor pageable code is touched.";
    Irql07 "IRQL-07" "A routine of the driver's returns with interrupts enabled as they were when it was called.";
    Irql08 "IRQL-08" "At DISPATCH_LEVEL or above a driver raises no exception.";
    Int01 "INT-01" "An interrupt is connected only while its device is started.";
    Int02 "INT-02" "A driver acts on the Version that IoConnectInterruptEx wrote back: it says what the connection context points to, or that only the fully specified form is left.";
    Int03 "INT-03" "Everything that the ISR needs is ready before the interrupt is connected.";
    Int04 "INT-04" "A device may interrupt only while its interrupt is connected and active.";
    Int05 "INT-05" "A device is silenced before its interrupt is disconnected or made inactive.";
    Int06 "INT-06" "A disconnect names what the connect call returned, once.";
    Int07 "INT-07" "No interrupt stays connected after stop or removal.";
    Int08 "INT-08" "An ISR says that an interrupt is not its device's when it is not, and leaves everything as it was.";
    Int09 "INT-09" "The ISR quiets its device before it returns.";
    Int10 "INT-10" "An ISR serves all that its device has to say: messages may be merged, and for what is left no other comes.";
    Int11 "INT-11" "The ISR does not claim a message that the device does not have.";
    Int12 "INT-12" "A connection follows the translated interrupt descriptor.";
    Int13 "INT-13" "A passive-level interrupt has an event, and its spin lock is not acquired: it has none.";
    Int14 "INT-14" "An ISR returns within 25 microseconds.";
    Syn01 "SYN-01" "KeSynchronizeExecution is called at or below the interrupt's SynchronizeIrql.";
    Syn02 "SYN-02" "An interrupt's spin lock is not taken twice by one processor.";
    Syn03 "SYN-03" "Registers that the ISR uses are touched in the ISR or with the interrupt's lock held.";
    Syn04 "SYN-04" "Of several messages, the lock that is held is that of the message whose ISR uses the registers.";
    Syn05 "SYN-05" "With an interrupt's spin lock held, for a short time, only the routines are called that are made for it.";
    Syn06 "SYN-06" "An interrupt's spin lock is released by whoever acquired it, to the IRQL from before.";
    Dma01 "DMA-01" "A DMA adapter is asked for with a description that was zeroed and has a version and an address width.";
    Dma02 "DMA-02" "A device is given logical addresses only, and keeps to what they map.";
    Dma03 "DMA-03" "AllocateAdapterChannel is called at DISPATCH_LEVEL, once at a time for each device object.";
    Dma04 "DMA-04" "Map registers are freed once, as the action of their AdapterControl routine says.";
    Dma05 "DMA-05" "A transfer is flushed before its map registers are used again or freed and before its IRP is completed.";
    Dma06 "DMA-06" "The device has done with memory before that is unmapped or freed.";
    Dma07 "DMA-07" "Common buffers are freed as they were allocated, and the adapter is given back last.";
    Dma08 "DMA-08" "A transfer lies in its MDL and uses no more map registers than were allocated.";
    Dpc01 "DPC-01" "A DPC is initialised before it is queued.";
    Dpc02 "DPC-02" "No event is lost when several interrupts share one run of a DPC.";
    Dpc03 "DPC-03" "An ISR does not give a DPC that is queued something that it takes from one interrupt only.";
    Dpc04 "DPC-04" "Queuing the DPC is the last thing that an ISR does to what they share.";
    Dpc05 "DPC-05" "A DPC may run on any processor, and beside itself.";
    Dpc06 "DPC-06" "A DPC returns, and a stall ends, within 100 microseconds.";
    Dpc07 "DPC-07" "The importance and the target processor of a DPC are set while it is in no queue, and the processor exists.";
    Dpc08 "DPC-08" "No DPC is queued or running when its memory goes away.";
    Tmr01 "TMR-01" "A timer's DPC is not queued by KeInsertQueueDpc.";
    Tmr02 "TMR-02" "A periodic timer is cancelled and the DPCs are flushed before its memory goes away.";
    Tmr03 "TMR-03" "No timer is set when its memory goes away.";
    Tmr04 "TMR-04" "After KeCancelTimer has returned FALSE the timer's DPC may be queued or running.";
    Tmr05 "TMR-05" "A device's IoTimer is initialised once, before its use, and not stopped by its own routine.";
    Sio01 "SIO-01" "Packets are started only by a driver that has a StartIo routine.";
    Sio02 "SIO-02" "The next packet is started at DISPATCH_LEVEL, once for each that ended.";
    Sio03 "SIO-03" "IoStartNextPacket is told whether the packets were started with a cancel routine.";
    Sio04 "SIO-04" "A StartIo routine that starts the next packet asks for DeferredStartIo.";
    Sio05 "SIO-05" "Each packet that StartIo was given leads to one call of IoStartNextPacket.";
    Sio06 "SIO-06" "A driver with a StartIo routine does not write CurrentIrp.";
    Can01 "CAN-01" "A cancel routine releases the cancel spin lock with Irp->CancelIrql.";
    Can02 "CAN-02" "What a cancel routine completes is STATUS_CANCELLED and says nothing else.";
    Can03 "CAN-03" "A cancel routine leaves the IRP that StartIo has to StartIo.";
    Can04 "CAN-04" "The cancel routine is cleared before an IRP is completed or forwarded.";
    Can05 "CAN-05" "The cancel routine of a packet in the device queue changes under the cancel spin lock.";
    Can06 "CAN-06" "Who finds the cancel routine cleared already leaves the IRP to the cancel routine.";
    Can07 "CAN-07" "A cancelled IRP is completed in bounded time.";
    Can08 "CAN-08" "IoCancelIrp is called for IRPs that the caller made.";
    Csq01 "CSQ-01" "Of a cancel-safe queue's callbacks only those for the lock lock, and they balance.";
    Csq02 "CSQ-02" "The callbacks of a cancel-safe queue keep its list as they are told.";
    Csq03 "CSQ-03" "The last word of DriverContext and the cancel routine of an IRP in a cancel-safe queue are the system's.";
    Irp01 "IRP-01" "An IRP is completed exactly once.";
    Irp02 "IRP-02" "An IRP is not touched after its completion.";
    Irp03 "IRP-03" "STATUS_PENDING is returned exactly when the IRP was marked pending.";
    Irp04 "IRP-04" "A dispatch routine returns the status with which it completed the IRP.";
    Irp05 "IRP-05" "An IRP is not completed with STATUS_PENDING or -1.";
    Irp06 "IRP-06" "An IRP is completed at DISPATCH_LEVEL or below with no spin lock held.";
    Irp07 "IRP-07" "An IRP is forwarded at DISPATCH_LEVEL or below with no spin lock held.";
    Irp08 "IRP-08" "An IRP is marked pending before somebody else can complete it.";
    Irp09 "IRP-09" "A stack location is skipped, or copied without the upper driver's completion routine.";
    Irp10 "IRP-10" "An IRP is forwarded only while it has a stack location left.";
    Irp11 "IRP-11" "A completion routine that lets a pended IRP go on marks it pending.";
    Irp12 "IRP-12" "An IRP that a completion routine keeps is completed later.";
    Irp13 "IRP-13" "A dispatch routine completes, forwards or pends its IRP.";
    Irp14 "IRP-14" "IoStatus.Information says no more than was written to the output buffer.";
    Irp16 "IRP-16" "IRP_MJ_CLEANUP ends the queued IRPs of its file object, and no others.";
    Irp15 "IRP-15" "A request with an empty buffer survives, and transfers nothing.";
    Irp17 "IRP-17" "The status of IoSetCompletionRoutineEx is checked, and with success the IRP is sent.";
    Pnp01 "PNP-01" "AddDevice attaches a device object and clears DO_DEVICE_INITIALIZING.";
    Pnp02 "PNP-02" "A device is not touched before its START_DEVICE, nor after it was stopped or removed.";
    Pnp03 "PNP-03" "START_DEVICE and the CANCEL requests are the lower drivers' first: before they are done, the hardware is not used and the IRP not completed.";
    Pnp04 "PNP-04" "A PnP IRP that goes down with success is given STATUS_SUCCESS first.";
    Pnp05 "PNP-05" "A PnP IRP that may not fail does not fail.";
    Pnp06 "PNP-06" "An unknown PnP IRP is forwarded with its status untouched.";
    Pnp07 "PNP-07" "A PnP IRP that failed is completed, not forwarded.";
    Pnp09 "PNP-09" "A request that comes while the device is to be stopped, or is, is held and done afterwards, in the order of their coming.";
    Pnp10 "PNP-10" "A device that is to be removed is not opened, one that is gone does nothing, and files are closed in every state.";
    Pnp08 "PNP-08" "A START_DEVICE that fails gives back what the driver has acquired for it.";
    Pnp11 "PNP-11" "SURPRISE_REMOVAL neither detaches nor deletes the device object.";
    Pnp12 "PNP-12" "REMOVE_DEVICE detaches and deletes the device object, once.";
    Pnp13 "PNP-13" "A device interface is enabled after START_DEVICE and disabled on removal, once.";
    Pnp14 "PNP-14" "A cancellation that takes nothing back succeeds and changes nothing.";
    Pnp15 "PNP-15" "A device whose reads are all ones neither hangs its driver nor confuses it.";
    Pnp16 "PNP-16" "A driver that unloads leaves nothing behind.";
    Pwr01 "PWR-01" "A power IRP that succeeds has reached the bus driver.";
    Pwr02 "PWR-02" "A driver does not wait for a power IRP that it handles.";
    Pwr03 "PWR-03" "A set-power IRP does not fail.";
    Pwr04 "PWR-04" "A device that is not in D0 is not touched.";
    Pwr05 "PWR-05" "PoSetPowerState is called before a power-down is forwarded and after a power-up came back.";
    Pwr06 "PWR-06" "A system power IRP leads to one device power IRP, and only that changes the device's state.";
    Pwr07 "PWR-07" "PoRequestPowerIrp asks for a device state and for no pointer to the IRP.";
    Pwr08 "PWR-08" "A request that comes while the device sleeps is held until it is back in D0.";
    Rml01 "RML-01" "A remove lock is released as often as it was acquired, with the same tag.";
    Rml02 "RML-02" "IoReleaseRemoveLockAndWait is called once, for REMOVE_DEVICE.";
    Rml03 "RML-03" "A remove lock is initialised once, before its use.";
    Mmio01 "MMIO-01" "Only the device's own memory ranges are mapped, and unmapped as they were mapped.";
    Mmio02 "MMIO-02" "A register is read or written by itself, in its own width, as it is there for.";
    Mmio03 "MMIO-03" "The PCI header and the capabilities are the bus driver's to write.";
    Spl01 "SPL-01" "A spin lock is released by the routine that goes with its acquisition.";
    Spl02 "SPL-02" "A spin lock is not taken twice by one processor, and released by its owner.";
    Spl03 "SPL-03" "Spin locks are acquired in one order everywhere.";
    Spl04 "SPL-04" "A spin lock is acquired at DISPATCH_LEVEL or below and restores the IRQL it saved.";
    Spl05 "SPL-05" "A callback returns with the spin locks that were held when it was called.";
    Spl06 "SPL-06" "A spin lock is initialised once, in memory that stays, and held for a short time.";
    Pool01 "POOL-01" "Pool is allocated and freed at an IRQL that its kind allows.";
    Pool02 "POOL-02" "Pool has a size and a tag, and is freed once, with that tag.";
    Pool03 "POOL-03" "Nothing is read or written outside an allocation or after it was freed.";
    Pool04 "POOL-04" "What an allocation returns is looked at before it is used: it may be NULL.";
    Pool05 "POOL-05" "No byte that nobody wrote reaches a program.";
    Pool06 "POOL-06" "A list is whole, and what is linked into one is not given up.";
    Pool07 "POOL-07" "No pool and no mapping is executable.";
    Stk01 "STK-01" "A thread's stack is not run over.";
    Img01 "IMG-01" "An image's code and constants are not written, and what is no code is not executed.";
    Ctl01 "CTL-01" "Controller objects are for drivers without PnP.";
    Ctl02 "CTL-02" "A controller is freed once by each who was allocated it.";
    Ctl03 "CTL-03" "A device object waits for its controller with one request at a time.";
    Ctl04 "CTL-04" "A controller object is deleted while nobody has it or waits for it.";
    Hnd01 "HND-01" "A driver opens a key for itself with OBJ_KERNEL_HANDLE.";
    Hnd02 "HND-02" "A handle is closed once.";
    Etw01 "ETW-01" "An event provider's handle is used from EtwRegister to EtwUnregister.";
    Etw02 "ETW-02" "What an event is made of lies in system memory.";
    Wki01 "WKI-01" "A work item is queued on DelayedWorkQueue, once before its routine is called.";
    Wki02 "WKI-02" "A work item is ended once, by the routine that goes with its making, while it is not queued.";
    Sec01 "SEC-01" "A function device object has no name, and FILE_DEVICE_SECURE_OPEN is set.";
    Sec02 "SEC-02" "A control code is compared whole: method, function, access and device type.";
    Sec03 "SEC-03" "A request's buffer is used as far as its length goes, and no further.";
    Sec04 "SEC-04" "An address of user mode is not used before it was probed.";
    Sec05 "SEC-05" "A request that the driver does not support does not succeed.";
    Sec06 "SEC-06" "No address of the kernel's reaches a program.";
}
