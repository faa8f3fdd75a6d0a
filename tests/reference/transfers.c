/*
 * IRP_MJ_READ and IRP_MJ_WRITE: one request at a time has the DMA engine.
 *
 * While the device has a request's memory nothing takes it away: one that is cancelled then
 * ends when the device is done with the transfer that it is at.
 */
#include "driver.h"

static DRIVER_CONTROL AdapterControl;

NTSTATUS TransfersOpen(PDEVICE_EXTENSION Extension)
{
    DEVICE_DESCRIPTION Description;

    RtlZeroMemory(&Description, sizeof(Description));
    Description.Version = DEVICE_DESCRIPTION_VERSION3;
    Description.Master = TRUE;
    Description.InterfaceType = PCIBus;
    Description.MaximumLength = EDU_BUFFER_BYTES;
    Description.DmaAddressWidth = DMA_ADDRESS_BITS;
    Extension->Adapter =
        IoGetDmaAdapter(Extension->Pdo, &Description, &Extension->MapRegisters);
    return Extension->Adapter != NULL ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

VOID TransfersClose(PDEVICE_EXTENSION Extension)
{
    if (Extension->Adapter != NULL) {
        Extension->Adapter->DmaOperations->PutDmaAdapter(Extension->Adapter);
        Extension->Adapter = NULL;
    }
}

/* Where in the device's buffer a request begins, and how long it is. */
static NTSTATUS Range(PIRP Irp, PULONG Position, PULONG Length)
{
    PIO_STACK_LOCATION Stack = IoGetCurrentIrpStackLocation(Irp);
    BOOLEAN IsRead = Stack->MajorFunction == IRP_MJ_READ;
    LONGLONG Offset;

    *Length = Irp->MdlAddress != NULL ? MmGetMdlByteCount(Irp->MdlAddress) : 0;
    if (*Length == 0) {
        return STATUS_SUCCESS;
    }
    Offset = IsRead ? Stack->Parameters.Read.ByteOffset.QuadPart
                    : Stack->Parameters.Write.ByteOffset.QuadPart;
    if (IsRead && Offset >= EDU_BUFFER_BYTES) {
        return STATUS_END_OF_FILE;
    }
    if (Offset < 0 || Offset > EDU_BUFFER_BYTES || *Length > EDU_BUFFER_BYTES - Offset) {
        return STATUS_INVALID_PARAMETER;
    }
    *Position = (ULONG)Offset;
    return STATUS_SUCCESS;
}

static BOOLEAN IsWrite(PIRP Irp)
{
    return IoGetCurrentIrpStackLocation(Irp)->MajorFunction == IRP_MJ_WRITE;
}

static PVOID CurrentVa(PDEVICE_EXTENSION Extension)
{
    return (PUCHAR)MmGetMdlVirtualAddress(Extension->TransferIrp->MdlAddress) +
           Extension->TransferDone;
}

static VOID Flush(PDEVICE_EXTENSION Extension)
{
    PIRP Irp = Extension->TransferIrp;

    Extension->Adapter->DmaOperations->FlushAdapterBuffers(
        Extension->Adapter, Irp->MdlAddress, Extension->MapRegisterBase, CurrentVa(Extension),
        Extension->TransferStep, IsWrite(Irp));
}

typedef struct _ARM_TRANSFER {
    PCONTROLLER Controller;
    ULONG Memory;
    ULONG Position;
    ULONG Length;
    BOOLEAN ToDevice;
    NTSTATUS Status;
} ARM_TRANSFER, *PARM_TRANSFER;

static BOOLEAN NTAPI ArmTransferSection(PVOID SynchronizeContext)
{
    PARM_TRANSFER Context = SynchronizeContext;

    Context->Status =
        ControllerArmTransfer(Context->Controller, Context->Memory, Context->Position,
                              Context->Length, Context->ToDevice);
    return TRUE;
}

/* Gives the device what comes next of the request; STATUS_PENDING if there is something. */
static NTSTATUS Step(PDEVICE_EXTENSION Extension, EDU_SECTION Section)
{
    PIRP Irp = Extension->TransferIrp;
    ARM_TRANSFER Context;
    PHYSICAL_ADDRESS Logical;
    ULONG Position, Length;
    NTSTATUS Status;

    if (!NT_SUCCESS(Extension->TransferGivenUp)) {
        return Extension->TransferGivenUp;
    }
    if (Irp->Cancel) {
        return STATUS_CANCELLED;
    }
    Status = Range(Irp, &Position, &Length);
    if (!NT_SUCCESS(Status) || Length == Extension->TransferDone) {
        return Status;
    }
    Extension->TransferStep = Length - Extension->TransferDone;
    Context.ToDevice = IsWrite(Irp);
    Logical = Extension->Adapter->DmaOperations->MapTransfer(
        Extension->Adapter, Irp->MdlAddress, Extension->MapRegisterBase, CurrentVa(Extension),
        &Extension->TransferStep, Context.ToDevice);
    if ((ULONG64)Logical.QuadPart + Extension->TransferStep > 1ULL << DMA_ADDRESS_BITS) {
        Flush(Extension);
        return STATUS_INVALID_PARAMETER;
    }
    Context.Controller = &Extension->Controller;
    Context.Memory = (ULONG)Logical.QuadPart;
    Context.Position = Position + Extension->TransferDone;
    Context.Length = Extension->TransferStep;
    Synchronize(Extension, Section, ArmTransferSection, &Context);
    if (!NT_SUCCESS(Context.Status)) {
        Flush(Extension);
        return Context.Status;
    }
    return STATUS_PENDING;
}

/* Completes the request that has the engine, whose map registers are free. */
static VOID Finish(PDEVICE_EXTENSION Extension, NTSTATUS Status)
{
    PIRP Irp = Extension->TransferIrp;
    ULONG_PTR Information = NT_SUCCESS(Status) ? Extension->TransferDone : 0;
    KIRQL Irql;

    KeAcquireSpinLock(&Extension->TransferLock, &Irql);
    Extension->TransferIrp = NULL;
    Extension->TransferFile = NULL;
    KeReleaseSpinLock(&Extension->TransferLock, Irql);
    CompleteIrp(Extension, Irp, Status, Information);
    InterlockedExchange(&Extension->TransferBusy, FALSE);
}

static IO_ALLOCATION_ACTION NTAPI AdapterControl(PDEVICE_OBJECT DeviceObject, PIRP Irp,
                                                 PVOID MapRegisterBase, PVOID DriverContext)
{
    PDEVICE_EXTENSION Extension = DriverContext;
    ULONG64 Start = RecorderBegin(&Extension->Recorder);
    ULONG Length = MmGetMdlByteCount(Extension->TransferIrp->MdlAddress);
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(Irp);

    Extension->MapRegisterBase = MapRegisterBase;
    Status = Step(Extension, SectionAdapterControl);
    RecorderEnd(&Extension->Recorder, RecordAdapterControl, Start, Length);
    if (Status == STATUS_PENDING) {
        return DeallocateObjectKeepRegisters;
    }
    Finish(Extension, Status);
    /* The channel is this request's until the return: the DPC begins the next one. */
    KeInsertQueueDpc(&Extension->DmaDpc, NULL, NULL);
    return DeallocateObject;
}

/* Has the engine begin with the next request, unless it is busy or none is to begin. The
 * caller has entered the device, or is a DPC. */
VOID TransfersStartNext(PDEVICE_EXTENSION Extension)
{
    NTSTATUS Status;
    ULONG Pages;
    KIRQL Irql;
    PIRP Irp;

    KeRaiseIrql(DISPATCH_LEVEL, &Irql);
    while (!QueueIsEmpty(&Extension->Transfers) && Extension->Holds == 0 &&
           InterlockedCompareExchange(&Extension->TransferBusy, TRUE, FALSE) == FALSE) {
        /* Under one lock, so that a cleanup finds the IRP in the queue or here. */
        KeAcquireSpinLockAtDpcLevel(&Extension->TransferLock);
        Irp = QueueRemove(&Extension->Transfers, NULL);
        if (Irp != NULL) {
            Extension->TransferIrp = Irp;
            Extension->TransferFile = IoGetCurrentIrpStackLocation(Irp)->FileObject;
            Extension->TransferGivenUp = STATUS_SUCCESS;
            Extension->TransferDone = 0;
        }
        KeReleaseSpinLockFromDpcLevel(&Extension->TransferLock);
        if (Irp == NULL) {
            InterlockedExchange(&Extension->TransferBusy, FALSE);
            continue;
        }
        Pages = ADDRESS_AND_SIZE_TO_SPAN_PAGES(MmGetMdlVirtualAddress(Irp->MdlAddress),
                                               MmGetMdlByteCount(Irp->MdlAddress));
        Extension->MapRegistersAllocated = min(Pages, Extension->MapRegisters);
        Status = Extension->Adapter->DmaOperations->AllocateAdapterChannel(
            Extension->Adapter, Extension->Self, Extension->MapRegistersAllocated,
            AdapterControl, Extension);
        if (NT_SUCCESS(Status)) {
            break;
        }
        Finish(Extension, Status);
    }
    KeLowerIrql(Irql);
}

typedef struct _DRAIN_TRANSFER {
    PDEVICE_EXTENSION Extension;
    BOOLEAN HasEnded;
    NTSTATUS Status;
} DRAIN_TRANSFER, *PDRAIN_TRANSFER;

static BOOLEAN NTAPI DrainTransferSection(PVOID SynchronizeContext)
{
    PDRAIN_TRANSFER Context = SynchronizeContext;

    EventsTake(Context->Extension);
    Context->HasEnded =
        ControllerDrainTransfer(&Context->Extension->Controller, &Context->Status);
    return TRUE;
}

/* Completes the request whose last transfer was flushed. */
static VOID FreeAndFinish(PDEVICE_EXTENSION Extension, NTSTATUS Status)
{
    Extension->Adapter->DmaOperations->FreeMapRegisters(
        Extension->Adapter, Extension->MapRegisterBase, Extension->MapRegistersAllocated);
    Finish(Extension, Status);
}

/* The device's transfer has ended: goes on with its request, or completes it. */
static VOID TransferEnded(PDEVICE_EXTENSION Extension, NTSTATUS Status)
{
    Flush(Extension);
    if (NT_SUCCESS(Status)) {
        Extension->TransferDone += Extension->TransferStep;
        Status = Step(Extension, SectionCustomDpc);
        if (Status == STATUS_PENDING) {
            return;
        }
    }
    FreeAndFinish(Extension, Status);
}

/* The device has lost its power, and so let go of the memory of the request that it was at. */
VOID TransfersAbort(PDEVICE_EXTENSION Extension, NTSTATUS Status)
{
    KIRQL Irql;

    KeRaiseIrql(DISPATCH_LEVEL, &Irql);
    Flush(Extension);
    FreeAndFinish(Extension, Status);
    KeLowerIrql(Irql);
}

VOID NTAPI DmaDpcRoutine(PKDPC Dpc, PVOID DeferredContext, PVOID Argument1, PVOID Argument2)
{
    PDEVICE_EXTENSION Extension = DeferredContext;
    ULONG64 Start = RecorderBegin(&Extension->Recorder);
    DRAIN_TRANSFER Context = {Extension, FALSE, STATUS_SUCCESS};
    ULONG64 Before;
    BOOLEAN AreNew;

    UNREFERENCED_PARAMETER(Dpc);
    UNREFERENCED_PARAMETER(Argument1);
    UNREFERENCED_PARAMETER(Argument2);

    if (Extension->Interrupt == NULL) {
        return;
    }
    KeAcquireSpinLockAtDpcLevel(&Extension->LogLock);
    Before = Extension->LogEnd;
    Synchronize(Extension, SectionCustomDpc, DrainTransferSection, &Context);
    AreNew = Extension->LogEnd != Before;
    KeReleaseSpinLockFromDpcLevel(&Extension->LogLock);
    if (AreNew) {
        EventsAnswer(Extension);
    }
    if (Context.HasEnded) {
        TransferEnded(Extension, Context.Status);
    }
    TransfersStartNext(Extension);
    RecorderEnd(&Extension->Recorder, RecordCustomDpc, Start, Context.HasEnded);
}

typedef struct _LOOK_AT_TRANSFER {
    PCONTROLLER Controller;
    /* A status to give it up with, or STATUS_SUCCESS. */
    NTSTATUS GiveUp;
    BOOLEAN HasEnded;
} LOOK_AT_TRANSFER, *PLOOK_AT_TRANSFER;

static BOOLEAN NTAPI LookAtTransferSection(PVOID SynchronizeContext)
{
    PLOOK_AT_TRANSFER Context = SynchronizeContext;

    if (!NT_SUCCESS(Context->GiveUp)) {
        ControllerGiveUpTransfer(Context->Controller, Context->GiveUp);
    }
    Context->HasEnded = ControllerLookAtTransfer(Context->Controller);
    return TRUE;
}

/* Waits until the device is done with the request that has the engine; after LimitMs that is
 * given up, which does not make the device let go of it. No other is begun: the device is
 * held. At PASSIVE_LEVEL, with the interrupt connected and the device in D0. */
VOID TransfersWait(PDEVICE_EXTENSION Extension, EDU_SECTION Section, ULONG LimitMs)
{
    LOOK_AT_TRANSFER Context = {&Extension->Controller, STATUS_SUCCESS, FALSE};
    LARGE_INTEGER Millisecond = {.QuadPart = -10000};
    ULONG64 Begun = Milliseconds();

    while (Extension->TransferBusy) {
        if (Milliseconds() - Begun >= LimitMs) {
            Context.GiveUp = STATUS_IO_TIMEOUT;
        }
        Synchronize(Extension, Section, LookAtTransferSection, &Context);
        if (Context.HasEnded) {
            KeInsertQueueDpc(&Extension->DmaDpc, NULL, NULL);
        }
        if (!NT_SUCCESS(Context.GiveUp)) {
            return;
        }
        KeDelayExecutionThread(KernelMode, FALSE, &Millisecond);
    }
}

/* The request that has the engine, if it is of this handle or File is NULL, is not gone on
 * with. */
VOID TransfersGiveUp(PDEVICE_EXTENSION Extension, PFILE_OBJECT File, NTSTATUS Status)
{
    KIRQL Irql;

    KeAcquireSpinLock(&Extension->TransferLock, &Irql);
    if (Extension->TransferIrp != NULL && (File == NULL || Extension->TransferFile == File) &&
        NT_SUCCESS(Extension->TransferGivenUp)) {
        Extension->TransferGivenUp = Status;
    }
    KeReleaseSpinLock(&Extension->TransferLock, Irql);
}

NTSTATUS NTAPI DispatchReadWrite(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PDEVICE_EXTENSION Extension = ExtensionOf(DeviceObject);
    ULONG Position, Length;
    NTSTATUS Status;

    Status = AcquireLocks(Extension, Irp);
    if (!NT_SUCCESS(Status)) {
        Irp->IoStatus.Status = Status;
        Irp->IoStatus.Information = 0;
        IoCompleteRequest(Irp, IO_NO_INCREMENT);
        return Status;
    }
    Status = Extension->State >= PnpSurpriseRemoved ? STATUS_DELETE_PENDING
                                                    : Range(Irp, &Position, &Length);
    if (!NT_SUCCESS(Status) || Length == 0) {
        CompleteIrp(Extension, Irp, Status, 0);
        ReleaseDispatchLock(Extension, Irp);
        return Status;
    }
    QueueInsert(&Extension->Transfers, Irp);
    if (EnterDevice(Extension)) {
        TransfersStartNext(Extension);
        LeaveDevice(Extension);
    }
    if (Extension->State >= PnpSurpriseRemoved) {
        QueueFail(&Extension->Transfers, NULL, STATUS_DELETE_PENDING);
    }
    ReleaseDispatchLock(Extension, Irp);
    return STATUS_PENDING;
}
