/*
 * The code that the probes in src/probes.rs are compared with, as a driver in C
 * has it: see "Writing SynchCritSection Routines", "Writing an ISR", "Writing
 * DpcForIsr and CustomDpc Routines" and "Introduction to Spin Locks" in the Windows
 * driver documentation.
 *
 * Each routine does to its device extension what the probe of the same name does.
 * Like most drivers in C it looks nowhere whether the interrupt is still connected:
 * its PnP code has to see to that. AcknowledgeProtected does look, by the means that
 * the documentation has for it ("Run-Down Protection"), and so promises what dirql does
 * where a thread can be preempted.
 */

#include <ntifs.h>
#include <wdm.h>

#define CAUSES 0x24
#define RAISE 0x60
#define ACKNOWLEDGE 0x64

/* What the ISR shares. */
typedef struct _CONTROLLER {
    PUCHAR Registers;
    ULONG Pending;
    ULONG Last;
} CONTROLLER, *PCONTROLLER;

typedef struct _STATISTICS {
    ULONG Packets;
} STATISTICS;

typedef struct _DEVICE_EXTENSION {
    /* First, where its address takes no instruction: the shortest code there is. */
    KSPIN_LOCK Lock;
    STATISTICS Statistics;
    PDEVICE_OBJECT DeviceObject;
    PKINTERRUPT InterruptObject;
    CONTROLLER Controller;
    EX_RUNDOWN_REF Connected;
    ULONG DpcRuns;
    ULONG Drained;
} DEVICE_EXTENSION, *PDEVICE_EXTENSION;

#define PROBE __declspec(dllexport) __declspec(noinline)

/*
 * The NOFENCE forms of READ_REGISTER_ULONG and WRITE_REGISTER_ULONG, which are what
 * IoMem is, spelt out because not every set of headers has them. The usual forms have
 * a fence more, which would make the yardstick a longer one.
 */
static ULONG ReadRegister(PCONTROLLER Controller, ULONG Offset)
{
    return *(volatile ULONG *)(Controller->Registers + Offset);
}

static VOID WriteRegister(PCONTROLLER Controller, ULONG Offset, ULONG Value)
{
    *(volatile ULONG *)(Controller->Registers + Offset) = Value;
}

/* A critical section with an argument. */

typedef struct _PROGRAM_CONTEXT {
    PCONTROLLER Controller;
    ULONG Causes;
} PROGRAM_CONTEXT, *PPROGRAM_CONTEXT;

static BOOLEAN NTAPI ProgramDevice(PVOID SynchronizeContext)
{
    PPROGRAM_CONTEXT Context = (PPROGRAM_CONTEXT)SynchronizeContext;

    Context->Controller->Last = Context->Causes;
    WriteRegister(Context->Controller, RAISE, Context->Causes);
    return TRUE;
}

PROBE VOID Program(PDEVICE_EXTENSION Extension, ULONG Causes)
{
    PROGRAM_CONTEXT Context;

    Context.Controller = &Extension->Controller;
    Context.Causes = Causes;
    KeSynchronizeExecution(Extension->InterruptObject, ProgramDevice, &Context);
}

static BOOLEAN NTAPI AcknowledgeDevice(PVOID SynchronizeContext)
{
    PPROGRAM_CONTEXT Context = (PPROGRAM_CONTEXT)SynchronizeContext;

    Context->Controller->Last = Context->Causes;
    WriteRegister(Context->Controller, ACKNOWLEDGE, Context->Causes);
    return TRUE;
}

PROBE VOID AcknowledgeProtected(PDEVICE_EXTENSION Extension, ULONG Causes)
{
    PROGRAM_CONTEXT Context;

    if (!ExAcquireRundownProtection(&Extension->Connected)) {
        return;
    }
    Context.Controller = &Extension->Controller;
    Context.Causes = Causes;
    KeSynchronizeExecution(Extension->InterruptObject, AcknowledgeDevice, &Context);
    ExReleaseRundownProtection(&Extension->Connected);
}

/* A critical section with a result. */

typedef struct _DRAIN_CONTEXT {
    PCONTROLLER Controller;
    ULONG Pending;
} DRAIN_CONTEXT, *PDRAIN_CONTEXT;

static BOOLEAN NTAPI DrainDevice(PVOID SynchronizeContext)
{
    PDRAIN_CONTEXT Context = (PDRAIN_CONTEXT)SynchronizeContext;

    Context->Pending = Context->Controller->Pending;
    Context->Controller->Pending = 0;
    return TRUE;
}

PROBE VOID Drain(PDEVICE_EXTENSION Extension)
{
    DRAIN_CONTEXT Context;

    Context.Controller = &Extension->Controller;
    KeSynchronizeExecution(Extension->InterruptObject, DrainDevice, &Context);
    Extension->Drained = Context.Pending;
}

/* The routines that the kernel calls. */

PROBE BOOLEAN NTAPI InterruptMessageService(PKINTERRUPT Interrupt, PVOID ServiceContext,
                                            ULONG MessageId)
{
    PDEVICE_EXTENSION Extension = (PDEVICE_EXTENSION)ServiceContext;
    ULONG Causes;

    UNREFERENCED_PARAMETER(Interrupt);
    UNREFERENCED_PARAMETER(MessageId);

    Causes = ReadRegister(&Extension->Controller, CAUSES);
    if (Causes == 0) {
        return FALSE;
    }
    WriteRegister(&Extension->Controller, ACKNOWLEDGE, Causes);
    Extension->Controller.Pending |= Causes;
    IoRequestDpc(Extension->DeviceObject, NULL, NULL);
    return TRUE;
}

PROBE VOID NTAPI DpcForIsr(PKDPC Dpc, PVOID DeferredContext, PVOID SystemArgument1,
                           PVOID SystemArgument2)
{
    PDEVICE_OBJECT DeviceObject = (PDEVICE_OBJECT)DeferredContext;
    PDEVICE_EXTENSION Extension = (PDEVICE_EXTENSION)DeviceObject->DeviceExtension;

    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(SystemArgument1);
    UNREFERENCED_PARAMETER(SystemArgument2);

    Extension->DpcRuns += 1;
}

PROBE VOID NTAPI CustomDpc(PKDPC Dpc, PVOID DeferredContext, PVOID SystemArgument1,
                           PVOID SystemArgument2)
{
    PDEVICE_EXTENSION Extension = (PDEVICE_EXTENSION)DeferredContext;

    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(SystemArgument1);
    UNREFERENCED_PARAMETER(SystemArgument2);

    Extension->DpcRuns += 1;
}

PROBE VOID NTAPI CustomTimerDpc(PKDPC Dpc, PVOID DeferredContext, PVOID SystemArgument1,
                                PVOID SystemArgument2)
{
    PDEVICE_EXTENSION Extension = (PDEVICE_EXTENSION)DeferredContext;

    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(SystemArgument1);
    UNREFERENCED_PARAMETER(SystemArgument2);

    Extension->Drained = 0;
}

/* Data behind an executive spin lock. */

PROBE VOID CountBelowDispatch(PDEVICE_EXTENSION Extension)
{
    KIRQL OldIrql;

    KeAcquireSpinLock(&Extension->Lock, &OldIrql);
    Extension->Statistics.Packets += 1;
    KeReleaseSpinLock(&Extension->Lock, OldIrql);
}

PROBE VOID CountAtDispatch(PDEVICE_EXTENSION Extension)
{
    KeAcquireSpinLockAtDpcLevel(&Extension->Lock);
    Extension->Statistics.Packets += 1;
    KeReleaseSpinLockFromDpcLevel(&Extension->Lock);
}

PROBE VOID CountQueued(PDEVICE_EXTENSION Extension)
{
    KLOCK_QUEUE_HANDLE LockHandle;

    KeAcquireInStackQueuedSpinLock(&Extension->Lock, &LockHandle);
    Extension->Statistics.Packets += 1;
    KeReleaseInStackQueuedSpinLock(&LockHandle);
}

PROBE VOID CountQueuedAtDispatch(PDEVICE_EXTENSION Extension)
{
    KLOCK_QUEUE_HANDLE LockHandle;

    KeAcquireInStackQueuedSpinLockAtDpcLevel(&Extension->Lock, &LockHandle);
    Extension->Statistics.Packets += 1;
    KeReleaseInStackQueuedSpinLockFromDpcLevel(&LockHandle);
}
