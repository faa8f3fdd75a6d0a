/*
 * IRP_MJ_POWER: the driver as the power policy owner of its device.
 *
 * See "Handling a System Set-Power IRP in a Device Power Policy Owner", "Handling Device
 * Power-Down IRPs" and "Handling Device Power-Up IRPs".
 */
#include "driver.h"

/* Longest time that a machine that goes to sleep waits for a transfer. */
#define SLEEP_MS 1000
/* Longest time that it waits for a factorial that nobody waits for, and how often in a row, a
 * millisecond apart, the device must look quiet: its interrupt comes a moment after its end. */
#define QUIET_MS    200
#define QUIET_POLLS 5

static IO_COMPLETION_ROUTINE SystemPowerDone, DevicePowerUpDone;
static REQUEST_POWER_COMPLETE DevicePowerDone;
static IO_WORKITEM_ROUTINE PowerDownAtPassive, PowerUpAtPassive;

static BOOLEAN NTAPI SaveSection(PVOID SynchronizeContext)
{
    ControllerSave(SynchronizeContext);
    return TRUE;
}

static BOOLEAN NTAPI RestoreSection(PVOID SynchronizeContext)
{
    PDEVICE_EXTENSION Extension = SynchronizeContext;

    ControllerRestore(&Extension->Controller);
    Extension->Controller.EventsWanted = TRUE;
    return TRUE;
}

typedef struct _LOOK_WHETHER_QUIET {
    PCONTROLLER Controller;
    BOOLEAN IsQuiet;
} LOOK_WHETHER_QUIET, *PLOOK_WHETHER_QUIET;

static BOOLEAN NTAPI QuietSection(PVOID SynchronizeContext)
{
    PLOOK_WHETHER_QUIET Context = SynchronizeContext;

    Context->IsQuiet = ControllerIsQuiet(Context->Controller);
    return TRUE;
}

/* Waits for the end of what a silenced device still does, for a while. */
static VOID WaitUntilQuiet(PDEVICE_EXTENSION Extension)
{
    LOOK_WHETHER_QUIET Context = {&Extension->Controller, FALSE};
    LARGE_INTEGER Millisecond = {.QuadPart = -10000};
    ULONG64 Begun = Milliseconds();
    ULONG Polls = 0;

    while (Polls < QUIET_POLLS && Milliseconds() - Begun < QUIET_MS) {
        KeDelayExecutionThread(KernelMode, FALSE, &Millisecond);
        Synchronize(Extension, SectionPower, QuietSection, &Context);
        Polls = Context.IsQuiet ? Polls + 1 : 0;
    }
}

/* At PASSIVE_LEVEL, before the drivers below. */
static VOID PowerDown(PDEVICE_EXTENSION Extension, DEVICE_POWER_STATE To)
{
    POWER_STATE Power = {.DeviceState = To};
    PIRP Irp;

    BeginChange(Extension);
    if (Extension->PowerState == PowerDeviceD0 && Extension->Interrupt != NULL) {
        InterlockedOr(&Extension->Holds, HOLD_POWER);
        Irp = StopWorking(Extension, SectionPower, SLEEP_MS);
        WaitUntilQuiet(Extension);
        KeSynchronizeExecution(Extension->Interrupt, SaveSection, &Extension->Controller);
        InterruptSetActive(Extension, FALSE);
        Extension->PowerState = To;
        /* Nothing begins an operation: the counters can be read. */
        OpenDevice(Extension);
        if (Irp != NULL) {
            OperationHoldAgain(Extension, Irp);
        }
    }
    PoSetPowerState(Extension->Self, DevicePowerState, Power);
    EndChange(Extension);
}

/* At PASSIVE_LEVEL, after the drivers below. */
static VOID PowerUp(PDEVICE_EXTENSION Extension)
{
    POWER_STATE Power = {.DeviceState = PowerDeviceD0};

    BeginChange(Extension);
    if (Extension->PowerState != PowerDeviceD0 && Extension->Interrupt != NULL) {
        InterruptSetActive(Extension, TRUE);
        KeSynchronizeExecution(Extension->Interrupt, RestoreSection, Extension);
        Extension->PowerState = PowerDeviceD0;
        PoSetPowerState(Extension->Self, DevicePowerState, Power);
        StartWorking(Extension, HOLD_POWER);
    } else {
        PoSetPowerState(Extension->Self, DevicePowerState, Power);
    }
    EndChange(Extension);
}

/* Leaves an IRP pending and passes it down. */
static NTSTATUS PendAndForward(PDEVICE_EXTENSION Extension, PIRP Irp, PIO_COMPLETION_ROUTINE Done)
{
    IoMarkIrpPending(Irp);
    IoCopyCurrentIrpStackLocationToNext(Irp);
    IoSetCompletionRoutine(Irp, Done, Extension, TRUE, TRUE, TRUE);
    IoCallDriver(Extension->Lower, Irp);
    return STATUS_PENDING;
}

/* The drivers below have had a system power IRP: the device power IRP follows. */
static NTSTATUS NTAPI SystemPowerDone(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    PDEVICE_EXTENSION Extension = Context;
    PIO_STACK_LOCATION Stack = IoGetCurrentIrpStackLocation(Irp);
    POWER_STATE Power;
    BOOLEAN Waits;
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(DeviceObject);

    if (!NT_SUCCESS(Irp->IoStatus.Status)) {
        IoReleaseRemoveLock(&Extension->RemoveLock, Irp);
        return STATUS_CONTINUE_COMPLETION;
    }
    Power.DeviceState = Stack->Parameters.Power.State.SystemState == PowerSystemWorking
                            ? PowerDeviceD0
                            : PowerDeviceD3;
    /* Devices wake up side by side. */
    Waits = Stack->MinorFunction == IRP_MN_QUERY_POWER || Power.DeviceState != PowerDeviceD0;
    Extension->SystemPowerIrp = Irp;
    Status = PoRequestPowerIrp(Extension->Pdo, Stack->MinorFunction, Power,
                               Waits ? DevicePowerDone : NULL, Extension, NULL);
    if (Waits && NT_SUCCESS(Status)) {
        return STATUS_MORE_PROCESSING_REQUIRED;
    }
    if (!NT_SUCCESS(Status)) {
        Irp->IoStatus.Status = Status;
    }
    IoReleaseRemoveLock(&Extension->RemoveLock, Irp);
    return STATUS_CONTINUE_COMPLETION;
}

/* The device power IRP has ended, and with it the system power IRP. */
static VOID NTAPI DevicePowerDone(PDEVICE_OBJECT DeviceObject, UCHAR MinorFunction,
                                  POWER_STATE PowerState, PVOID Context,
                                  PIO_STATUS_BLOCK IoStatus)
{
    PDEVICE_EXTENSION Extension = Context;
    PIRP Irp = Extension->SystemPowerIrp;

    UNREFERENCED_PARAMETER(DeviceObject);
    UNREFERENCED_PARAMETER(MinorFunction);
    UNREFERENCED_PARAMETER(PowerState);

    Irp->IoStatus.Status = IoStatus->Status;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    IoReleaseRemoveLock(&Extension->RemoveLock, Irp);
}

static NTSTATUS NTAPI DevicePowerUpDone(PDEVICE_OBJECT DeviceObject, PIRP Irp, PVOID Context)
{
    PDEVICE_EXTENSION Extension = Context;

    UNREFERENCED_PARAMETER(DeviceObject);

    if (NT_SUCCESS(Irp->IoStatus.Status)) {
        if (KeGetCurrentIrql() > PASSIVE_LEVEL) {
            IoQueueWorkItem(Extension->PowerItem, PowerUpAtPassive, DelayedWorkQueue, Irp);
            return STATUS_MORE_PROCESSING_REQUIRED;
        }
        PowerUp(Extension);
    }
    IoReleaseRemoveLock(&Extension->RemoveLock, Irp);
    return STATUS_CONTINUE_COMPLETION;
}

static VOID NTAPI PowerUpAtPassive(PDEVICE_OBJECT DeviceObject, PVOID Context)
{
    PDEVICE_EXTENSION Extension = ExtensionOf(DeviceObject);
    PIRP Irp = Context;

    PowerUp(Extension);
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    IoReleaseRemoveLock(&Extension->RemoveLock, Irp);
}

static VOID NTAPI PowerDownAtPassive(PDEVICE_OBJECT DeviceObject, PVOID Context)
{
    PDEVICE_EXTENSION Extension = ExtensionOf(DeviceObject);
    PIRP Irp = Context;

    PowerDown(Extension, IoGetCurrentIrpStackLocation(Irp)->Parameters.Power.State.DeviceState);
    IoCopyCurrentIrpStackLocationToNext(Irp);
    IoCallDriver(Extension->Lower, Irp);
    IoReleaseRemoveLock(&Extension->RemoveLock, Irp);
}

NTSTATUS NTAPI DispatchPower(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PDEVICE_EXTENSION Extension = ExtensionOf(DeviceObject);
    PIO_STACK_LOCATION Stack = IoGetCurrentIrpStackLocation(Irp);
    NTSTATUS Status = IoAcquireRemoveLock(&Extension->RemoveLock, Irp);

    if (!NT_SUCCESS(Status)) {
        Irp->IoStatus.Status = Status;
        IoCompleteRequest(Irp, IO_NO_INCREMENT);
        return Status;
    }
    if (Stack->MinorFunction == IRP_MN_SET_POWER || Stack->MinorFunction == IRP_MN_QUERY_POWER) {
        if (Stack->Parameters.Power.Type == SystemPowerState) {
            return PendAndForward(Extension, Irp, SystemPowerDone);
        }
        if (Stack->MinorFunction == IRP_MN_QUERY_POWER) {
            Irp->IoStatus.Status = STATUS_SUCCESS;
        } else if (Stack->Parameters.Power.State.DeviceState == PowerDeviceD0) {
            return PendAndForward(Extension, Irp, DevicePowerUpDone);
        } else if (KeGetCurrentIrql() > PASSIVE_LEVEL) {
            /* One power IRP at a time, so one work item does. */
            IoMarkIrpPending(Irp);
            IoQueueWorkItem(Extension->PowerItem, PowerDownAtPassive, DelayedWorkQueue, Irp);
            return STATUS_PENDING;
        } else {
            PowerDown(Extension, Stack->Parameters.Power.State.DeviceState);
        }
    }
    IoSkipCurrentIrpStackLocation(Irp);
    Status = IoCallDriver(Extension->Lower, Irp);
    IoReleaseRemoveLock(&Extension->RemoveLock, Irp);
    return Status;
}
