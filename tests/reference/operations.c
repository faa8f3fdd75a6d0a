/*
 * Factorials and raised interrupts: one is under way, the others wait in their queue.
 *
 * The IRP that is under way can be cancelled. Two come to it then, its cancel routine and
 * whoever has taken it from the controller, and the one that comes second completes it:
 * DriverContext[0] says that one has been there.
 */
#include "driver.h"

static DRIVER_CANCEL CancelOperation;

static volatile LONG *BeenThere(PIRP Irp)
{
    return (volatile LONG *)&Irp->Tail.Overlay.DriverContext[0];
}

/* Completes an IRP that was taken from the controller. */
VOID OperationFinish(PDEVICE_EXTENSION Extension, PIRP Irp, NTSTATUS Status, ULONG_PTR Information)
{
    if (IoSetCancelRoutine(Irp, NULL) == NULL &&
        InterlockedExchange(BeenThere(Irp), TRUE) == FALSE) {
        return;
    }
    CompleteIrp(Extension, Irp, Status, Information);
}

/* Puts an IRP that was taken from the controller back to the head of the queue. */
VOID OperationHoldAgain(PDEVICE_EXTENSION Extension, PIRP Irp)
{
    if (IoSetCancelRoutine(Irp, NULL) == NULL) {
        if (InterlockedExchange(BeenThere(Irp), TRUE) != FALSE) {
            CompleteIrp(Extension, Irp, STATUS_CANCELLED, 0);
        }
        return;
    }
    QueueInsertFirst(&Extension->Operations, Irp);
    if (Extension->OperationGivenUp) {
        /* Its handle was closed after the queue had been looked through. */
        QueueFail(&Extension->Operations, Extension->OperationFile, STATUS_CANCELLED);
    }
}

typedef struct _TAKE_BACK {
    PCONTROLLER Controller;
    PIRP Irp;
    PFILE_OBJECT File;
    /* Out: what was taken. */
    PIRP Taken;
    /* Out: of an IRP that was not, whether somebody else had been there. */
    BOOLEAN BeenThere;
} TAKE_BACK, *PTAKE_BACK;

static BOOLEAN NTAPI TakeBackSection(PVOID SynchronizeContext)
{
    PTAKE_BACK Context = SynchronizeContext;

    Context->Taken = ControllerTakeBack(Context->Controller, Context->Irp, Context->File);
    if (Context->Taken == NULL && Context->Irp != NULL) {
        /* In here, so that one that is not armed yet will not be, see ArmSection. */
        Context->BeenThere = InterlockedExchange(BeenThere(Context->Irp), TRUE) != FALSE;
    }
    return TRUE;
}

static VOID OperationIsOver(PDEVICE_EXTENSION Extension)
{
    InterlockedExchange(&Extension->OperationBusy, FALSE);
    OperationsStartNext(Extension);
}

/* Cancels what is under way if it is of this handle. The caller has entered the device. */
BOOLEAN OperationTakeBack(PDEVICE_EXTENSION Extension, PIRP Irp, PFILE_OBJECT File)
{
    TAKE_BACK Context = {&Extension->Controller, Irp, File, NULL, FALSE};

    Synchronize(Extension, SectionCancel, TakeBackSection, &Context);
    if (Context.Taken == NULL) {
        return Context.BeenThere;
    }
    RecorderEnd(&Extension->Recorder, RecordCancel, RecorderBegin(&Extension->Recorder), 0);
    if (Irp != NULL) {
        /* Its cancel routine is the caller. */
        CompleteIrp(Extension, Irp, STATUS_CANCELLED, 0);
    } else {
        OperationFinish(Extension, Context.Taken, STATUS_CANCELLED, 0);
    }
    OperationIsOver(Extension);
    return FALSE;
}

/* IRP_MJ_CLEANUP: an operation of this handle is in the queue, in the controller, or on its way
 * between them. */
VOID OperationsCleanUp(PDEVICE_EXTENSION Extension, PFILE_OBJECT File)
{
    KIRQL Irql;

    QueueFail(&Extension->Operations, File, STATUS_CANCELLED);
    KeAcquireSpinLock(&Extension->OperationLock, &Irql);
    if (Extension->OperationFile == File) {
        Extension->OperationGivenUp = TRUE;
    }
    KeReleaseSpinLock(&Extension->OperationLock, Irql);
    if (EnterDevice(Extension)) {
        OperationTakeBack(Extension, NULL, File);
        LeaveDevice(Extension);
    }
    /* A stop may have put it back. */
    QueueFail(&Extension->Operations, File, STATUS_CANCELLED);
}

static VOID NTAPI CancelOperation(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PDEVICE_EXTENSION Extension = ExtensionOf(DeviceObject);
    BOOLEAN WasThere;

    IoReleaseCancelSpinLock(Irp->CancelIrql);
    if (EnterDevice(Extension)) {
        WasThere = OperationTakeBack(Extension, Irp, NULL);
        LeaveDevice(Extension);
    } else {
        WasThere = InterlockedExchange(BeenThere(Irp), TRUE) != FALSE;
    }
    if (WasThere) {
        /* Whatever came of it: what a cancel routine completes was cancelled. */
        CompleteIrp(Extension, Irp, STATUS_CANCELLED, 0);
    }
}

typedef struct _ARM {
    PDEVICE_EXTENSION Extension;
    OPERATION Operation;
    NTSTATUS Status;
} ARM, *PARM;

static BOOLEAN NTAPI ArmSection(PVOID SynchronizeContext)
{
    PARM Context = SynchronizeContext;

    if (*BeenThere(Context->Operation.Irp) || Context->Extension->OperationGivenUp) {
        Context->Status = STATUS_CANCELLED;
    } else {
        Context->Status = ControllerArm(&Context->Extension->Controller, &Context->Operation);
    }
    return TRUE;
}

/* Has the device do what an IRP asks for; FALSE if it is over already. */
static BOOLEAN StartIo(PDEVICE_EXTENSION Extension, PIRP Irp)
{
    ULONG_PTR Information = 0;
    ARM Context;
    NTSTATUS Status;

    Status = RequestParse(Irp, &Context.Operation);
    if (Status == STATUS_NOT_FOUND) {
        /* It needs no interrupt, and waited because the device was held. */
        Status = RequestAnswer(Extension, Irp, SectionStartIo, &Information);
        CompleteIrp(Extension, Irp, Status, Information);
        return FALSE;
    }
    if (!NT_SUCCESS(Status)) {
        CompleteIrp(Extension, Irp, Status, 0);
        return FALSE;
    }
    *BeenThere(Irp) = FALSE;
    IoSetCancelRoutine(Irp, CancelOperation);
    if (Irp->Cancel && IoSetCancelRoutine(Irp, NULL) != NULL) {
        CompleteIrp(Extension, Irp, STATUS_CANCELLED, 0);
        return FALSE;
    }
    Context.Extension = Extension;
    Synchronize(Extension, SectionStartIo, ArmSection, &Context);
    if (NT_SUCCESS(Context.Status)) {
        return TRUE;
    }
    OperationFinish(Extension, Irp, Context.Status, 0);
    return FALSE;
}

/* Begins the next operation, unless one is under way or none is to begin. The caller has
 * entered the device, or is a DPC. */
VOID OperationsStartNext(PDEVICE_EXTENSION Extension)
{
    BOOLEAN HasDevice;
    ULONG64 Start;
    ULONG Code;
    KIRQL Irql;
    PIRP Irp;

    KeRaiseIrql(DISPATCH_LEVEL, &Irql);
    while (!QueueIsEmpty(&Extension->Operations) && Extension->Holds == 0 &&
           InterlockedCompareExchange(&Extension->OperationBusy, TRUE, FALSE) == FALSE) {
        HasDevice = FALSE;
        /* Under one lock, so that a cleanup finds the IRP in the queue or here. */
        KeAcquireSpinLockAtDpcLevel(&Extension->OperationLock);
        Irp = QueueRemove(&Extension->Operations, NULL);
        if (Irp != NULL) {
            Extension->OperationFile = IoGetCurrentIrpStackLocation(Irp)->FileObject;
            Extension->OperationGivenUp = FALSE;
        }
        KeReleaseSpinLockFromDpcLevel(&Extension->OperationLock);
        if (Irp != NULL) {
            Start = RecorderBegin(&Extension->Recorder);
            Code = IoGetCurrentIrpStackLocation(Irp)->Parameters.DeviceIoControl.IoControlCode;
            HasDevice = StartIo(Extension, Irp);
            RecorderEnd(&Extension->Recorder, RecordStartIo, Start, Code);
        }
        if (HasDevice) {
            break;
        }
        /* What was inserted meanwhile found the engine busy: look again. */
        InterlockedExchange(&Extension->OperationBusy, FALSE);
    }
    KeLowerIrql(Irql);
}

typedef struct _DRAIN {
    PDEVICE_EXTENSION Extension;
    RESULT Results[RESULTS];
    ULONG Count;
} DRAIN, *PDRAIN;

static BOOLEAN NTAPI DrainSection(PVOID SynchronizeContext)
{
    PDRAIN Context = SynchronizeContext;

    EventsTake(Context->Extension);
    Context->Count = ControllerDrain(&Context->Extension->Controller, Context->Results);
    return TRUE;
}

VOID NTAPI DpcForIsr(PKDPC Dpc, PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID DpcContext)
{
    PDEVICE_EXTENSION Extension = ExtensionOf(DeviceObject);
    ULONG64 Start = RecorderBegin(&Extension->Recorder);
    DRAIN Context;
    ULONG64 Before;
    ULONG Index;
    BOOLEAN AreNew;

    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Irp);
    UNREFERENCED_PARAMETER(DpcContext);

    if (Extension->Interrupt == NULL) {
        /* It was requested by an ISR that runs inside the connect. */
        return;
    }
    Context.Extension = Extension;
    KeAcquireSpinLockAtDpcLevel(&Extension->LogLock);
    Before = Extension->LogEnd;
    Synchronize(Extension, SectionDpcForIsr, DrainSection, &Context);
    AreNew = Extension->LogEnd != Before;
    KeReleaseSpinLockFromDpcLevel(&Extension->LogLock);
    if (AreNew) {
        EventsAnswer(Extension);
    }
    for (Index = 0; Index < Context.Count; Index += 1) {
        Irp = Context.Results[Index].Irp;
        *(PEDU_OPERATION_REPLY)Irp->AssociatedIrp.SystemBuffer = Context.Results[Index].Reply;
        OperationFinish(Extension, Irp, STATUS_SUCCESS, sizeof(EDU_OPERATION_REPLY));
    }
    if (Context.Count > 0) {
        OperationIsOver(Extension);
    }
    RecorderEnd(&Extension->Recorder, RecordDpcForIsr, Start, Context.Count);
}

typedef struct _TICK {
    PCONTROLLER Controller;
    PIRP Late;
    BOOLEAN TransferHasEnded;
} TICK, *PTICK;

static BOOLEAN NTAPI TickSection(PVOID SynchronizeContext)
{
    PTICK Context = SynchronizeContext;

    Context->Late = ControllerTick(Context->Controller);
    Context->TransferHasEnded = ControllerTickTransfer(Context->Controller);
    return TRUE;
}

VOID NTAPI WatchdogExpired(PKDPC Dpc, PVOID DeferredContext, PVOID Argument1, PVOID Argument2)
{
    PDEVICE_EXTENSION Extension = DeferredContext;
    ULONG64 Start = RecorderBegin(&Extension->Recorder);
    TICK Context = {&Extension->Controller, NULL, FALSE};

    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);

    Synchronize(Extension, SectionTimer, TickSection, &Context);
    if (Context.TransferHasEnded) {
        KeInsertQueueDpc(&Extension->DmaDpc, NULL, NULL);
    }
    if (Context.Late != NULL) {
        OperationFinish(Extension, Context.Late, STATUS_IO_TIMEOUT, 0);
        OperationIsOver(Extension);
    }
    RecorderEnd(&Extension->Recorder, RecordTimer, Start, Context.Late != NULL);
}
