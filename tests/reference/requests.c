/*
 * IRP_MJ_DEVICE_CONTROL: lengths and values are checked, what needs no interrupt is answered,
 * everything else is queued.
 */
#include "driver.h"

typedef struct _SHAPE {
    ULONG Code;
    ULONG InputLength;
    ULONG OutputLength;
} SHAPE;

static const SHAPE Shapes[] = {
    {IOCTL_EDU_FACTORIAL, sizeof(EDU_OPERATION_REQUEST), sizeof(EDU_OPERATION_REPLY)},
    {IOCTL_EDU_RAISE_INTERRUPT, sizeof(EDU_OPERATION_REQUEST), sizeof(EDU_OPERATION_REPLY)},
    {IOCTL_EDU_LIVENESS, sizeof(ULONG), sizeof(ULONG)},
    {IOCTL_EDU_WAIT_EVENTS, sizeof(ULONG64), sizeof(EDU_EVENTS_HEADER) + sizeof(EDU_EVENT)},
    {IOCTL_EDU_STATISTICS, 0, sizeof(EDU_STATISTICS)},
    {IOCTL_EDU_RESET_STATISTICS, 0, 0},
    {IOCTL_EDU_IDENTIFY, 0, sizeof(EDU_IDENTITY)},
    {IOCTL_EDU_SWITCH_RECORDER, sizeof(ULONG), 0},
    {IOCTL_EDU_READ_RECORDS, sizeof(ULONG64), sizeof(EDU_RECORDS_HEADER) + sizeof(EDU_RECORD)},
};

static NTSTATUS CheckLengths(PIO_STACK_LOCATION Stack)
{
    ULONG Code = Stack->Parameters.DeviceIoControl.IoControlCode;
    ULONG Input = Stack->Parameters.DeviceIoControl.InputBufferLength;
    ULONG Output = Stack->Parameters.DeviceIoControl.OutputBufferLength;
    ULONG Index;

    for (Index = 0; Index < RTL_NUMBER_OF(Shapes); Index += 1) {
        if (Shapes[Index].Code != Code) {
            continue;
        }
        if (Input < Shapes[Index].InputLength) {
            return STATUS_INFO_LENGTH_MISMATCH;
        }
        if (Output < Shapes[Index].OutputLength) {
            return STATUS_BUFFER_TOO_SMALL;
        }
        /* Who wants to know what the counters were passes a buffer. */
        if (Code == IOCTL_EDU_RESET_STATISTICS && Output != 0 &&
            Output < sizeof(EDU_STATISTICS)) {
            return STATUS_BUFFER_TOO_SMALL;
        }
        return STATUS_SUCCESS;
    }
    return STATUS_INVALID_DEVICE_REQUEST;
}

/* The operation that an IRP asks for; STATUS_NOT_FOUND if it asks for none. */
NTSTATUS RequestParse(PIRP Irp, POPERATION Operation)
{
    PIO_STACK_LOCATION Stack = IoGetCurrentIrpStackLocation(Irp);
    PEDU_OPERATION_REQUEST Request = Irp->AssociatedIrp.SystemBuffer;
    ULONG TimeoutMs;

    switch (Stack->Parameters.DeviceIoControl.IoControlCode) {
    case IOCTL_EDU_FACTORIAL:
        Operation->Kind = OperationFactorial;
        break;
    case IOCTL_EDU_RAISE_INTERRUPT:
        if (Request->Operand == 0) {
            return STATUS_INVALID_PARAMETER;
        }
        Operation->Kind = OperationRaise;
        break;
    default:
        return STATUS_NOT_FOUND;
    }
    TimeoutMs = Request->TimeoutMs == 0 ? EDU_DEFAULT_TIMEOUT_MS : Request->TimeoutMs;
    if (TimeoutMs > EDU_MAX_TIMEOUT_MS) {
        return STATUS_INVALID_PARAMETER;
    }
    Operation->Irp = Irp;
    Operation->File = Stack->FileObject;
    Operation->Operand = Request->Operand;
    Operation->Ticks = (LONG)((TimeoutMs + TICK_MS - 1) / TICK_MS);
    return STATUS_SUCCESS;
}

typedef struct _ANSWER {
    PCONTROLLER Controller;
    ULONG Code;
    ULONG Liveness;
    BOOLEAN IsAlive;
    EDU_STATISTICS Statistics;
} ANSWER, *PANSWER;

static BOOLEAN NTAPI LivenessSection(PVOID SynchronizeContext)
{
    PANSWER Context = SynchronizeContext;

    Context->IsAlive =
        ControllerLiveness(Context->Controller, Context->Liveness, &Context->Liveness);
    return TRUE;
}

static BOOLEAN NTAPI StatisticsSection(PVOID SynchronizeContext)
{
    PANSWER Context = SynchronizeContext;

    Context->Statistics = Context->Controller->Counters;
    if (Context->Code == IOCTL_EDU_RESET_STATISTICS) {
        RtlZeroMemory(&Context->Controller->Counters, sizeof(Context->Controller->Counters));
    }
    return TRUE;
}

/* Answers what needs no interrupt. The caller has entered the device, or is a DPC. */
NTSTATUS RequestAnswer(PDEVICE_EXTENSION Extension, PIRP Irp, EDU_SECTION Section,
                       PULONG_PTR Information)
{
    PIO_STACK_LOCATION Stack = IoGetCurrentIrpStackLocation(Irp);
    PVOID Buffer = Irp->AssociatedIrp.SystemBuffer;
    ANSWER Context;

    Context.Controller = &Extension->Controller;
    Context.Code = Stack->Parameters.DeviceIoControl.IoControlCode;
    if (Context.Code == IOCTL_EDU_LIVENESS) {
        Context.Liveness = *(PULONG)Buffer;
        Synchronize(Extension, Section, LivenessSection, &Context);
        if (!Context.IsAlive) {
            return STATUS_DEVICE_NOT_READY;
        }
        *(PULONG)Buffer = Context.Liveness;
        *Information = sizeof(ULONG);
        return STATUS_SUCCESS;
    }
    Synchronize(Extension, Section, StatisticsSection, &Context);
    if (Stack->Parameters.DeviceIoControl.OutputBufferLength != 0) {
        *(PEDU_STATISTICS)Buffer = Context.Statistics;
        *Information = sizeof(EDU_STATISTICS);
    }
    return STATUS_SUCCESS;
}

static BOOLEAN IsStopped(PDEVICE_EXTENSION Extension)
{
    return Extension->State == PnpNotStarted || Extension->State == PnpStopped;
}

/* Queues what waits its turn. */
static NTSTATUS Queue(PDEVICE_EXTENSION Extension, PIRP Irp)
{
    QueueInsert(&Extension->Operations, Irp);
    if (EnterDevice(Extension)) {
        OperationsStartNext(Extension);
        LeaveDevice(Extension);
    }
    if (Extension->State >= PnpSurpriseRemoved) {
        /* It may have come into the queue after that was looked through. */
        QueueFail(&Extension->Operations, NULL, STATUS_DELETE_PENDING);
    }
    return STATUS_PENDING;
}

static NTSTATUS Dispatch(PDEVICE_EXTENSION Extension, PIRP Irp)
{
    PIO_STACK_LOCATION Stack = IoGetCurrentIrpStackLocation(Irp);
    ULONG Code = Stack->Parameters.DeviceIoControl.IoControlCode;
    ULONG_PTR Information = 0;
    OPERATION Operation;
    NTSTATUS Status;

    Status = Extension->State >= PnpSurpriseRemoved ? STATUS_DELETE_PENDING : CheckLengths(Stack);
    if (!NT_SUCCESS(Status)) {
        return CompleteIrp(Extension, Irp, Status, 0);
    }
    switch (Code) {
    case IOCTL_EDU_IDENTIFY:
        if (IsStopped(Extension)) {
            Status = STATUS_DEVICE_NOT_READY;
            break;
        }
        Extension->Identity.Processors = KeQueryActiveProcessorCountEx(ALL_PROCESSOR_GROUPS);
        *(PEDU_IDENTITY)Irp->AssociatedIrp.SystemBuffer = Extension->Identity;
        Information = sizeof(EDU_IDENTITY);
        break;
    case IOCTL_EDU_SWITCH_RECORDER:
        if (*(PULONG)Irp->AssociatedIrp.SystemBuffer > 1) {
            Status = STATUS_INVALID_PARAMETER;
        } else {
            InterlockedExchange(&Extension->Recorder.On, *(PLONG)Irp->AssociatedIrp.SystemBuffer);
        }
        break;
    case IOCTL_EDU_READ_RECORDS:
        Status = RecorderRead(Extension, Irp, &Information);
        break;
    case IOCTL_EDU_WAIT_EVENTS:
        return EventsWait(Extension, Irp);
    case IOCTL_EDU_FACTORIAL:
    case IOCTL_EDU_RAISE_INTERRUPT:
        Status = RequestParse(Irp, &Operation);
        if (NT_SUCCESS(Status)) {
            return Queue(Extension, Irp);
        }
        break;
    default:
        if (!EnterDevice(Extension)) {
            if (IsStopped(Extension) && Code != IOCTL_EDU_LIVENESS) {
                /* The counters are of a device that is started. */
                Status = STATUS_DEVICE_NOT_READY;
                break;
            }
            return Queue(Extension, Irp);
        }
        Status = RequestAnswer(Extension, Irp, SectionDispatch, &Information);
        LeaveDevice(Extension);
        if (Status == STATUS_DEVICE_NOT_READY) {
            /* It sleeps. */
            return Queue(Extension, Irp);
        }
        break;
    }
    return CompleteIrp(Extension, Irp, Status, Information);
}

NTSTATUS NTAPI DispatchDeviceControl(PDEVICE_OBJECT DeviceObject, PIRP Irp)
{
    PDEVICE_EXTENSION Extension = ExtensionOf(DeviceObject);
    NTSTATUS Status = AcquireLocks(Extension, Irp);

    if (!NT_SUCCESS(Status)) {
        Irp->IoStatus.Status = Status;
        Irp->IoStatus.Information = 0;
        IoCompleteRequest(Irp, IO_NO_INCREMENT);
        return Status;
    }
    Status = Dispatch(Extension, Irp);
    ReleaseDispatchLock(Extension, Irp);
    return Status;
}
