/*
 * IRP_MJ_PNP: the device starts, stops and goes.
 */
#include "driver.h"

/* Longest time that a device may go on with what it was doing before the start, how often it
 * is looked at, and how often it must be quiet in a row. */
#define QUIET_MS      30000
#define QUIET_POLL_MS 5
#define QUIET_POLLS   4

static VOID Delay(ULONG Milliseconds)
{
    LARGE_INTEGER Interval;

    Interval.QuadPart = -10000LL * Milliseconds;
    KeDelayExecutionThread(KernelMode, FALSE, &Interval);
}

/* The device has no reset: silences it, and waits out what it still does. */
static NTSTATUS Quiet(PCONTROLLER Controller)
{
    ULONG64 Begun = Milliseconds();
    ULONG Polls = 0;

    while (Milliseconds() - Begun < QUIET_MS) {
        ControllerSilence(Controller);
        Delay(QUIET_POLL_MS);
        Polls = ControllerIsQuiet(Controller) ? Polls + 1 : 0;
        if (Polls == QUIET_POLLS) {
            return STATUS_SUCCESS;
        }
    }
    return STATUS_IO_TIMEOUT;
}

static BOOLEAN NTAPI EnableSection(PVOID SynchronizeContext)
{
    PDEVICE_EXTENSION Extension = SynchronizeContext;

    ControllerEnable(&Extension->Controller);
    /* Whoever waited when the device stopped waits still. */
    Extension->Controller.EventsWanted = TRUE;
    return TRUE;
}

/* The device works again: what waited goes on. */
VOID StartWorking(PDEVICE_EXTENSION Extension, LONG Hold)
{
    LARGE_INTEGER Due = {.QuadPart = -10000LL * TICK_MS};

    KeSetTimerEx(&Extension->Watchdog, Due, TICK_MS, &Extension->WatchdogDpc);
    InterlockedAnd(&Extension->Holds, ~Hold);
    if (EnterDevice(Extension)) {
        OperationsStartNext(Extension);
        TransfersStartNext(Extension);
        LeaveDevice(Extension);
    }
}

/* The device does not work from here on, and nobody touches it: the caller has set its hold.
 * The IRP of the operation that was under way, or NULL. */
PIRP StopWorking(PDEVICE_EXTENSION Extension, EDU_SECTION Section, ULONG TransferLimitMs)
{
    PIRP Irp, Late;

    TransfersWait(Extension, Section, TransferLimitMs);
    CloseDevice(Extension);
    KeCancelTimer(&Extension->Watchdog);
    /* Nobody begins an operation after this: those that could have seen that nothing holds
     * the device are through. */
    KeFlushQueuedDpcs();
    /* One of them may have begun a transfer. */
    TransfersWait(Extension, Section, TransferLimitMs);
    KeFlushQueuedDpcs();
    Irp = Silence(Extension, Section);
    Delay(1);
    /* The interrupt of a factorial that ended just then comes a little late. */
    Late = Silence(Extension, Section);
    ASSERT(Late == NULL);
    UNREFERENCED_PARAMETER(Late);
    KeInsertQueueDpc(&Extension->Self->Dpc, NULL, NULL);
    KeFlushQueuedDpcs();
    InterlockedExchange(&Extension->OperationBusy, FALSE);
    return Irp;
}

static VOID ReleaseResources(PDEVICE_EXTENSION Extension)
{
    InterruptDisconnect(Extension);
    TransfersClose(Extension);
    if (Extension->Registers != NULL) {
        MmUnmapIoSpace(Extension->Registers, EDU_REGISTER_BYTES);
        Extension->Registers = NULL;
    }
}

static NTSTATUS MapRegisters(PDEVICE_EXTENSION Extension, PCM_PARTIAL_RESOURCE_DESCRIPTOR Memory)
{
    if (Memory->u.Memory.Length < EDU_REGISTER_BYTES) {
        return STATUS_DEVICE_CONFIGURATION_ERROR;
    }
    Extension->Registers = MmMapIoSpaceEx(Memory->u.Memory.Start, EDU_REGISTER_BYTES,
                                          PAGE_READWRITE | PAGE_NOCACHE);
    return Extension->Registers != NULL ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

static NTSTATUS SetInterface(PDEVICE_EXTENSION Extension, BOOLEAN Enable)
{
    NTSTATUS Status = STATUS_SUCCESS;

    if (Extension->InterfaceIsEnabled != Enable) {
        Status = IoSetDeviceInterfaceState(&Extension->InterfaceName, Enable);
        if (NT_SUCCESS(Status)) {
            Extension->InterfaceIsEnabled = Enable;
        }
    }
    return Status;
}

static NTSTATUS StartDevice(PDEVICE_EXTENSION Extension, PCM_RESOURCE_LIST Translated)
{
    PCM_PARTIAL_RESOURCE_DESCRIPTOR Memory = NULL;
    PCM_PARTIAL_RESOURCE_DESCRIPTOR Line = NULL;
    PCM_PARTIAL_RESOURCE_LIST List;
    PCONTROLLER Controller = &Extension->Controller;
    POWER_STATE Power = {.DeviceState = PowerDeviceD0};
    ULONG Index;
    NTSTATUS Status;

    if (Translated == NULL || Translated->Count == 0) {
        return STATUS_DEVICE_CONFIGURATION_ERROR;
    }
    List = &Translated->List[0].PartialResourceList;
    for (Index = 0; Index < List->Count; Index += 1) {
        if (List->PartialDescriptors[Index].Type == CmResourceTypeMemory && Memory == NULL) {
            Memory = &List->PartialDescriptors[Index];
        } else if (List->PartialDescriptors[Index].Type == CmResourceTypeInterrupt &&
                   Line == NULL) {
            Line = &List->PartialDescriptors[Index];
        }
    }
    if (Memory == NULL || Line == NULL) {
        return STATUS_DEVICE_CONFIGURATION_ERROR;
    }
    Status = MapRegisters(Extension, Memory);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    ControllerInitialize(Controller, Extension->Registers);
    Extension->Identity.Version = EDU_INTERFACE_VERSION;
    Extension->Identity.Identification = ReadRegister(Controller, REG_IDENTIFICATION);
    if ((Extension->Identity.Identification & 0xffff) != 0x00ed) {
        Status = STATUS_NO_SUCH_DEVICE;
    }
    if (NT_SUCCESS(Status)) {
        Status = Quiet(Controller);
    }
    if (NT_SUCCESS(Status)) {
        Status = TransfersOpen(Extension);
    }
    if (NT_SUCCESS(Status)) {
        Status = InterruptConnect(Extension, Line);
    }
    if (NT_SUCCESS(Status)) {
        KeSynchronizeExecution(Extension->Interrupt, EnableSection, Extension);
        Extension->PowerState = PowerDeviceD0;
        PoSetPowerState(Extension->Self, DevicePowerState, Power);
        InterlockedAnd(&Extension->Holds, ~HOLD_POWER);
        OpenDevice(Extension);
        StartWorking(Extension, HOLD_PNP);
        Status = SetInterface(Extension, TRUE);
        if (!NT_SUCCESS(Status)) {
            InterlockedOr(&Extension->Holds, HOLD_PNP);
            StopWorking(Extension, SectionPnp, MAXULONG);
        }
    }
    if (!NT_SUCCESS(Status)) {
        ReleaseResources(Extension);
    }
    return Status;
}

static BOOLEAN HasResources(PDEVICE_EXTENSION Extension)
{
    return Extension->Interrupt != NULL;
}

/* Ends what the device is at, and gives its resources back. What waits stays where it is. */
static VOID StopDevice(PDEVICE_EXTENSION Extension, BOOLEAN WillGoOn)
{
    NTSTATUS Ended;
    PIRP Irp = NULL;

    InterlockedOr(&Extension->Holds, HOLD_PNP);
    if (!HasResources(Extension)) {
        return;
    }
    if (!WillGoOn) {
        TransfersGiveUp(Extension, NULL, STATUS_DELETE_PENDING);
    }
    if (Extension->PowerState == PowerDeviceD0) {
        Irp = StopWorking(Extension, SectionPnp, MAXULONG);
    } else {
        CloseDevice(Extension);
    }
    InterruptDisconnect(Extension);
    if (Extension->Controller.DmaStage != DmaIdle) {
        /* It lost its power with a transfer under way, and so has let go of the memory. */
        Extension->Controller.DmaStage = DmaEnded;
        if (ControllerDrainTransfer(&Extension->Controller, &Ended)) {
            TransfersAbort(Extension, STATUS_DELETE_PENDING);
        }
    }
    ReleaseResources(Extension);
    if (Irp != NULL) {
        if (WillGoOn) {
            OperationHoldAgain(Extension, Irp);
        } else {
            OperationFinish(Extension, Irp, STATUS_DELETE_PENDING, 0);
        }
    }
}

static VOID FailAll(PDEVICE_EXTENSION Extension)
{
    QueueFail(&Extension->Operations, NULL, STATUS_DELETE_PENDING);
    QueueFail(&Extension->Transfers, NULL, STATUS_DELETE_PENDING);
    QueueFail(&Extension->Waiting, NULL, STATUS_DELETE_PENDING);
}

static VOID SetState(PDEVICE_EXTENSION Extension, PNP_STATE State)
{
    Extension->PreviousState = Extension->State;
    Extension->State = State;
}

/* Sends an IRP down and waits for it; it is the caller's again. */
static NTSTATUS ForwardAndWait(PDEVICE_EXTENSION Extension, PIRP Irp)
{
    if (!IoForwardIrpSynchronously(Extension->Lower, Irp)) {
        /* There was no stack location for it. */
        Irp->IoStatus.Status = STATUS_INSUFFICIENT_RESOURCES;
    }
    return Irp->IoStatus.Status;
}

static NTSTATUS Forward(PDEVICE_EXTENSION Extension, PIRP Irp)
{
    NTSTATUS Status;

    IoSkipCurrentIrpStackLocation(Irp);
    Status = IoCallDriver(Extension->Lower, Irp);
    IoReleaseRemoveLock(&Extension->RemoveLock, Irp);
    return Status;
}

static NTSTATUS SucceedAndForward(PDEVICE_EXTENSION Extension, PIRP Irp)
{
    Irp->IoStatus.Status = STATUS_SUCCESS;
    return Forward(Extension, Irp);
}

/* The IRP is complete: PnP IRPs do not go through CompleteIrp, which is about requests. */
static NTSTATUS Complete(PDEVICE_EXTENSION Extension, PIRP Irp, NTSTATUS Status)
{
    Irp->IoStatus.Status = Status;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    IoReleaseRemoveLock(&Extension->RemoveLock, Irp);
    return Status;
}

static NTSTATUS Start(PDEVICE_EXTENSION Extension, PIRP Irp)
{
    PIO_STACK_LOCATION Stack = IoGetCurrentIrpStackLocation(Irp);
    NTSTATUS Status = ForwardAndWait(Extension, Irp);

    if (NT_SUCCESS(Status)) {
        /* A device that is started gets other resources without a stop between. */
        BeginChange(Extension);
        StopDevice(Extension, TRUE);
        Status =
            StartDevice(Extension, Stack->Parameters.StartDevice.AllocatedResourcesTranslated);
        EndChange(Extension);
    }
    if (NT_SUCCESS(Status)) {
        SetState(Extension, PnpStarted);
    }
    return Complete(Extension, Irp, Status);
}

/* A query is called off. */
static NTSTATUS CancelQuery(PDEVICE_EXTENSION Extension, PIRP Irp, PNP_STATE Pending)
{
    NTSTATUS Status = ForwardAndWait(Extension, Irp);

    UNREFERENCED_PARAMETER(Status);

    if (Extension->State == Pending) {
        Extension->State = Extension->PreviousState;
        if (Extension->State == PnpStarted) {
            InterlockedAnd(&Extension->Holds, ~HOLD_PNP);
            if (EnterDevice(Extension)) {
                OperationsStartNext(Extension);
                TransfersStartNext(Extension);
                LeaveDevice(Extension);
            }
        }
    }
    return Complete(Extension, Irp, STATUS_SUCCESS);
}

static NTSTATUS Remove(PDEVICE_EXTENSION Extension, PIRP Irp)
{
    PDEVICE_OBJECT Lower = Extension->Lower;
    NTSTATUS Status;

    SetState(Extension, PnpRemoved);
    BeginChange(Extension);
    StopDevice(Extension, FALSE);
    EndChange(Extension);
    FailAll(Extension);
    SetInterface(Extension, FALSE);
    IoReleaseRemoveLockAndWait(&Extension->RemoveLock, Irp);
    Irp->IoStatus.Status = STATUS_SUCCESS;
    IoSkipCurrentIrpStackLocation(Irp);
    Status = IoCallDriver(Lower, Irp);
    IoDetachDevice(Lower);
    RtlFreeUnicodeString(&Extension->InterfaceName);
    RecorderDelete(&Extension->Recorder);
    IoFreeWorkItem(Extension->PowerItem);
    IoDeleteDevice(Extension->Self);
    return Status;
}

NTSTATUS NTAPI DispatchPnp(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PDEVICE_EXTENSION Extension = ExtensionOf(DeviceObject);
    NTSTATUS Status = IoAcquireRemoveLock(&Extension->RemoveLock, Irp);

    if (!NT_SUCCESS(Status)) {
        Irp->IoStatus.Status = Status;
        IoCompleteRequest(Irp, IO_NO_INCREMENT);
        return Status;
    }
    switch (IoGetCurrentIrpStackLocation(Irp)->MinorFunction) {
    case IRP_MN_START_DEVICE:
        return Start(Extension, Irp);
    case IRP_MN_QUERY_STOP_DEVICE:
        SetState(Extension, PnpStopPending);
        InterlockedOr(&Extension->Holds, HOLD_PNP);
        return SucceedAndForward(Extension, Irp);
    case IRP_MN_CANCEL_STOP_DEVICE:
        return CancelQuery(Extension, Irp, PnpStopPending);
    case IRP_MN_STOP_DEVICE:
        BeginChange(Extension);
        StopDevice(Extension, TRUE);
        EndChange(Extension);
        SetState(Extension, PnpStopped);
        return SucceedAndForward(Extension, Irp);
    case IRP_MN_QUERY_REMOVE_DEVICE:
        /* It is not opened any more, and works until it goes. */
        SetState(Extension, PnpRemovePending);
        return SucceedAndForward(Extension, Irp);
    case IRP_MN_CANCEL_REMOVE_DEVICE:
        return CancelQuery(Extension, Irp, PnpRemovePending);
    case IRP_MN_SURPRISE_REMOVAL:
        SetState(Extension, PnpSurpriseRemoved);
        BeginChange(Extension);
        StopDevice(Extension, FALSE);
        EndChange(Extension);
        FailAll(Extension);
        SetInterface(Extension, FALSE);
        return SucceedAndForward(Extension, Irp);
    case IRP_MN_REMOVE_DEVICE:
        return Remove(Extension, Irp);
    default:
        return Forward(Extension, Irp);
    }
}
