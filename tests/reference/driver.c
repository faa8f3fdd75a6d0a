/*
 * DriverEntry, AddDevice, and what every dispatch routine does with its IRP.
 */
#include "driver.h"

DRIVER_INITIALIZE DriverEntry;
static DRIVER_ADD_DEVICE AddDevice;
static DRIVER_UNLOAD Unload;
static DRIVER_DISPATCH DispatchCreate, DispatchClose, DispatchCleanup, DispatchSystemControl;

NTSTATUS CompleteIrp(PDEVICE_EXTENSION Extension, PIRP Irp, NTSTATUS Status, ULONG_PTR Information)
{
    RecorderEnd(&Extension->Recorder, RecordCompletion, RecorderBegin(&Extension->Recorder),
                (ULONG)Status);
    Irp->IoStatus.Status = Status;
    Irp->IoStatus.Information = Information;
    IoCompleteRequest(Irp, NT_SUCCESS(Status) ? IO_NO_INCREMENT + 1 : IO_NO_INCREMENT);
    IoReleaseRemoveLock(&Extension->RemoveLock, Irp);
    return Status;
}

/* The tag of a dispatch routine: nothing lies at this address of an IRP's. */
static PVOID DispatchTag(PIRP Irp)
{
    return &Irp->Tail;
}

/* The remove lock for an IRP, until it is completed, and for its dispatch routine, which goes
 * on when it has queued the IRP and another processor may have completed it. */
NTSTATUS AcquireLocks(PDEVICE_EXTENSION Extension, PIRP Irp)
{
    NTSTATUS Status = IoAcquireRemoveLock(&Extension->RemoveLock, DispatchTag(Irp));

    if (NT_SUCCESS(Status)) {
        Status = IoAcquireRemoveLock(&Extension->RemoveLock, Irp);
        if (!NT_SUCCESS(Status)) {
            ReleaseDispatchLock(Extension, Irp);
        }
    }
    return Status;
}

VOID ReleaseDispatchLock(PDEVICE_EXTENSION Extension, PIRP Irp)
{
    IoReleaseRemoveLock(&Extension->RemoveLock, DispatchTag(Irp));
}

/* PnP and power change the device in turn. At PASSIVE_LEVEL. */
VOID BeginChange(PDEVICE_EXTENSION Extension)
{
    KeWaitForSingleObject(&Extension->Changing, Executive, KernelMode, FALSE, NULL);
}

VOID EndChange(PDEVICE_EXTENSION Extension)
{
    KeSetEvent(&Extension->Changing, IO_NO_INCREMENT, FALSE);
}

/* A clock for waits: a sleep of a millisecond takes as long as a tick of the system's. */
ULONG64 Milliseconds(VOID)
{
    LARGE_INTEGER Rate;
    LARGE_INTEGER Counter = KeQueryPerformanceCounter(&Rate);

    return (ULONG64)Counter.QuadPart / ((ULONG64)Rate.QuadPart / 1000);
}

/* Whether the interrupt stays connected until LeaveDevice. The device may be asleep: then its
 * engine is silent, and its registers are left alone. */
BOOLEAN EnterDevice(PDEVICE_EXTENSION Extension)
{
    InterlockedIncrement(&Extension->Users);
    if (Extension->IsOpen) {
        return TRUE;
    }
    LeaveDevice(Extension);
    return FALSE;
}

VOID LeaveDevice(PDEVICE_EXTENSION Extension)
{
    if (InterlockedDecrement(&Extension->Users) == 0) {
        KeSetEvent(&Extension->NoUsers, IO_NO_INCREMENT, FALSE);
    }
}

VOID OpenDevice(PDEVICE_EXTENSION Extension)
{
    InterlockedIncrement(&Extension->Users);
    InterlockedExchange(&Extension->IsOpen, TRUE);
}

/* Waits until nobody uses the device. At PASSIVE_LEVEL. */
VOID CloseDevice(PDEVICE_EXTENSION Extension)
{
    KeClearEvent(&Extension->NoUsers);
    if (InterlockedExchange(&Extension->IsOpen, FALSE)) {
        LeaveDevice(Extension);
        for (;;) {
            KeWaitForSingleObject(&Extension->NoUsers, Executive, KernelMode, FALSE, NULL);
            if (Extension->Users == 0) {
                break;
            }
            /* One that was refused has set it, late. */
            KeClearEvent(&Extension->NoUsers);
            if (Extension->Users == 0) {
                break;
            }
        }
    }
}

static EDU_MOMENT Now(PULONG64 Frequency)
{
    EDU_MOMENT Moment;
    LARGE_INTEGER Rate;

    Moment.Stamp = Stamp();
    Moment.Counter = (ULONG64)KeQueryPerformanceCounter(&Rate).QuadPart;
    *Frequency = (ULONG64)Rate.QuadPart;
    return Moment;
}

VOID ReadClock(PDEVICE_EXTENSION Extension, PEDU_CLOCK Clock)
{
    Clock->First = Extension->Added;
    Clock->Now = Now(&Clock->Frequency);
}

NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    UNREFERENCED_PARAMETER(RegistryPath);

    DriverObject->DriverExtension->AddDevice = AddDevice;
    DriverObject->DriverUnload = Unload;
    DriverObject->MajorFunction[IRP_MJ_CREATE] = DispatchCreate;
    DriverObject->MajorFunction[IRP_MJ_CLOSE] = DispatchClose;
    DriverObject->MajorFunction[IRP_MJ_CLEANUP] = DispatchCleanup;
    DriverObject->MajorFunction[IRP_MJ_READ] = DispatchReadWrite;
    DriverObject->MajorFunction[IRP_MJ_WRITE] = DispatchReadWrite;
    DriverObject->MajorFunction[IRP_MJ_DEVICE_CONTROL] = DispatchDeviceControl;
    DriverObject->MajorFunction[IRP_MJ_PNP] = DispatchPnp;
    DriverObject->MajorFunction[IRP_MJ_POWER] = DispatchPower;
    DriverObject->MajorFunction[IRP_MJ_SYSTEM_CONTROL] = DispatchSystemControl;
    return STATUS_SUCCESS;
}

static VOID NTAPI Unload(PDRIVER_OBJECT DriverObject)
{
    UNREFERENCED_PARAMETER(DriverObject);
}

static NTSTATUS NTAPI AddDevice(PDRIVER_OBJECT DriverObject, PDEVICE_OBJECT Pdo)
{
    PDEVICE_OBJECT Self;
    PDEVICE_EXTENSION Extension;
    ULONG64 Frequency;
    NTSTATUS Status;

    Status = IoCreateDevice(DriverObject, sizeof(DEVICE_EXTENSION), NULL, FILE_DEVICE_UNKNOWN,
                            FILE_DEVICE_SECURE_OPEN, FALSE, &Self);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Extension = ExtensionOf(Self);
    RtlZeroMemory(Extension, sizeof(*Extension));
    Extension->Self = Self;
    Extension->Pdo = Pdo;
    Extension->State = Extension->PreviousState = PnpNotStarted;
    Extension->Holds = HOLD_PNP;
    Extension->PowerState = PowerDeviceD0;
    Extension->Added = Now(&Frequency);
    IoInitializeRemoveLock(&Extension->RemoveLock, POOL_TAG, 0, 0);
    KeInitializeEvent(&Extension->NoUsers, NotificationEvent, FALSE);
    KeInitializeSpinLock(&Extension->LogLock);
    KeInitializeSpinLock(&Extension->TransferLock);
    KeInitializeSpinLock(&Extension->OperationLock);
    KeInitializeEvent(&Extension->Changing, SynchronizationEvent, TRUE);
    QueueInitialize(Extension, &Extension->Operations);
    QueueInitialize(Extension, &Extension->Transfers);
    QueueInitialize(Extension, &Extension->Waiting);
    IoInitializeDpcRequest(Self, DpcForIsr);
    KeInitializeDpc(&Extension->DmaDpc, DmaDpcRoutine, Extension);
    KeInitializeDpc(&Extension->WatchdogDpc, WatchdogExpired, Extension);
    KeInitializeTimer(&Extension->Watchdog);
    Extension->PowerItem = IoAllocateWorkItem(Self);
    Status = Extension->PowerItem == NULL ? STATUS_INSUFFICIENT_RESOURCES
                                            : RecorderCreate(&Extension->Recorder);
    if (NT_SUCCESS(Status)) {
        Status = IoRegisterDeviceInterface(Pdo, &GUID_DEVINTERFACE_EDU, NULL,
                                           &Extension->InterfaceName);
    }
    if (NT_SUCCESS(Status)) {
        Extension->Lower = IoAttachDeviceToDeviceStack(Self, Pdo);
        if (Extension->Lower == NULL) {
            RtlFreeUnicodeString(&Extension->InterfaceName);
            Status = STATUS_NO_SUCH_DEVICE;
        }
    }
    if (!NT_SUCCESS(Status)) {
        RecorderDelete(&Extension->Recorder);
        if (Extension->PowerItem != NULL) {
            IoFreeWorkItem(Extension->PowerItem);
        }
        IoDeleteDevice(Self);
        return Status;
    }
    Self->Flags |= DO_DIRECT_IO | (Extension->Lower->Flags & DO_POWER_PAGABLE);
    Self->Flags &= ~DO_DEVICE_INITIALIZING;
    return STATUS_SUCCESS;
}

static NTSTATUS Refuse(PIRP Irp, NTSTATUS Status)
{
    Irp->IoStatus.Status = Status;
    Irp->IoStatus.Information = 0;
    IoCompleteRequest(Irp, IO_NO_INCREMENT);
    return Status;
}

static NTSTATUS NTAPI DispatchCreate(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PDEVICE_EXTENSION Extension = ExtensionOf(DeviceObject);
    PIO_STACK_LOCATION Stack = IoGetCurrentIrpStackLocation(Irp);
    NTSTATUS Status = IoAcquireRemoveLock(&Extension->RemoveLock, Irp);

    if (!NT_SUCCESS(Status)) {
        return Refuse(Irp, Status);
    }
    if (Extension->State >= PnpRemovePending) {
        Status = STATUS_DELETE_PENDING;
    } else if (Stack->FileObject != NULL && Stack->FileObject->FileName.Length != 0) {
        Status = STATUS_OBJECT_NAME_NOT_FOUND;
    }
    return CompleteIrp(Extension, Irp, Status, 0);
}

/* A handle may outlive its device, so these two ask for no lock. */
static NTSTATUS NTAPI DispatchClose(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    UNREFERENCED_PARAMETER(DeviceObject);

    return Refuse(Irp, STATUS_SUCCESS);
}

static NTSTATUS NTAPI DispatchCleanup(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PDEVICE_EXTENSION Extension = ExtensionOf(DeviceObject);
    PFILE_OBJECT File = IoGetCurrentIrpStackLocation(Irp)->FileObject;

    if (!NT_SUCCESS(IoAcquireRemoveLock(&Extension->RemoveLock, Irp))) {
        /* What the handle had pending ended with the device. */
        return Refuse(Irp, STATUS_SUCCESS);
    }
    OperationsCleanUp(Extension, File);
    QueueFail(&Extension->Transfers, File, STATUS_CANCELLED);
    QueueFail(&Extension->Waiting, File, STATUS_CANCELLED);
    TransfersGiveUp(Extension, File, STATUS_CANCELLED);
    return CompleteIrp(Extension, Irp, STATUS_SUCCESS, 0);
}

static NTSTATUS NTAPI DispatchSystemControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PDEVICE_EXTENSION Extension = ExtensionOf(DeviceObject);
    NTSTATUS Status = IoAcquireRemoveLock(&Extension->RemoveLock, Irp);

    if (!NT_SUCCESS(Status)) {
        return Refuse(Irp, Status);
    }
    IoSkipCurrentIrpStackLocation(Irp);
    Status = IoCallDriver(Extension->Lower, Irp);
    IoReleaseRemoveLock(&Extension->RemoveLock, Irp);
    return Status;
}
