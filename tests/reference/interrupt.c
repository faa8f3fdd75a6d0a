/*
 * The interrupt: connected with IoConnectInterruptEx, messages before lines, and the way into
 * a critical section.
 */
#include "driver.h"

static BOOLEAN NTAPI InterruptService(PKINTERRUPT Interrupt, PVOID ServiceContext)
{
    PDEVICE_EXTENSION Extension = ServiceContext;
    ULONG64 Now = Stamp();
    BOOLEAN ForIsr, ForDma, IsOurs;
    ULONG Causes;

    UNREFERENCED_PARAMETER(Interrupt);

    IsOurs = ControllerService(&Extension->Controller, Now, &Causes, &ForIsr, &ForDma);
    if (ForIsr) {
        IoRequestDpc(Extension->Self, NULL, Extension);
    }
    if (ForDma) {
        KeInsertQueueDpc(&Extension->DmaDpc, NULL, NULL);
    }
    if (Extension->Recorder.On) {
        RecorderWrite(&Extension->Recorder, RecordIsr, Now, Causes);
    }
    return IsOurs;
}

static BOOLEAN NTAPI MessageService(PKINTERRUPT Interrupt, PVOID ServiceContext, ULONG MessageId)
{
    UNREFERENCED_PARAMETER(MessageId);

    return InterruptService(Interrupt, ServiceContext);
}

NTSTATUS InterruptConnect(PDEVICE_EXTENSION Extension, PCM_PARTIAL_RESOURCE_DESCRIPTOR Line)
{
    IO_CONNECT_INTERRUPT_PARAMETERS Connect;
    NTSTATUS Status;

    RtlZeroMemory(&Connect, sizeof(Connect));
    Connect.Version = CONNECT_MESSAGE_BASED;
    Connect.MessageBased.PhysicalDeviceObject = Extension->Pdo;
    Connect.MessageBased.ConnectionContext.Generic = &Extension->ConnectionContext;
    Connect.MessageBased.MessageServiceRoutine = MessageService;
    Connect.MessageBased.ServiceContext = Extension;
    Connect.MessageBased.FallBackServiceRoutine = InterruptService;
    Status = IoConnectInterruptEx(&Connect);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Extension->ConnectVersion = Connect.Version;
    if (Connect.Version == CONNECT_MESSAGE_BASED) {
        PIO_INTERRUPT_MESSAGE_INFO Messages = Extension->ConnectionContext;

        Extension->Interrupt = Messages->MessageInfo[0].InterruptObject;
        Extension->Identity.InterruptKind = EduInterruptMessage;
        Extension->Identity.Vector = Messages->MessageInfo[0].Vector;
        Extension->Identity.SynchronizeIrql = Messages->UnifiedIrql;
    } else {
        Extension->Interrupt = Extension->ConnectionContext;
        Extension->Identity.InterruptKind = EduInterruptLine;
        Extension->Identity.Vector = Line->u.Interrupt.Vector;
        Extension->Identity.SynchronizeIrql = Line->u.Interrupt.Level;
    }
    return STATUS_SUCCESS;
}

VOID InterruptDisconnect(PDEVICE_EXTENSION Extension)
{
    IO_DISCONNECT_INTERRUPT_PARAMETERS Disconnect;

    if (Extension->Interrupt == NULL) {
        return;
    }
    RtlZeroMemory(&Disconnect, sizeof(Disconnect));
    Disconnect.Version = Extension->ConnectVersion;
    Disconnect.ConnectionContext.Generic = Extension->ConnectionContext;
    IoDisconnectInterruptEx(&Disconnect);
    Extension->Interrupt = NULL;
    Extension->ConnectionContext = NULL;
}

/* While the device has no power its ISR is not to be called. */
VOID InterruptSetActive(PDEVICE_EXTENSION Extension, BOOLEAN Active)
{
    IO_REPORT_INTERRUPT_ACTIVE_STATE_PARAMETERS State;

    RtlZeroMemory(&State, sizeof(State));
    State.Version = Extension->ConnectVersion;
    State.ConnectionContext.Generic = Extension->ConnectionContext;
    if (Active) {
        IoReportInterruptActive(&State);
    } else {
        IoReportInterruptInactive(&State);
    }
}

typedef struct _TIMED {
    PKSYNCHRONIZE_ROUTINE Routine;
    PVOID Context;
    ULONG64 Had;
    ULONG64 Left;
} TIMED, *PTIMED;

static BOOLEAN NTAPI RunTimed(PVOID SynchronizeContext)
{
    PTIMED Timed = SynchronizeContext;
    BOOLEAN Result;

    Timed->Had = Stamp();
    Result = Timed->Routine(Timed->Context);
    Timed->Left = Stamp();
    return Result;
}

/* KeSynchronizeExecution, recorded. The caller has entered the device, or is a DPC. */
VOID Synchronize(PDEVICE_EXTENSION Extension, EDU_SECTION Section, PKSYNCHRONIZE_ROUTINE Routine,
                 PVOID Context)
{
    TIMED Timed;
    ULONG64 Asked;
    KIRQL Irql;

    if (!Extension->Recorder.On) {
        KeSynchronizeExecution(Extension->Interrupt, Routine, Context);
        return;
    }
    Timed.Routine = Routine;
    Timed.Context = Context;
    /* So that the wait and the section are on one processor. */
    KeRaiseIrql(DISPATCH_LEVEL, &Irql);
    Asked = Stamp();
    KeSynchronizeExecution(Extension->Interrupt, RunTimed, &Timed);
    RecorderWriteSection(&Extension->Recorder, Section, Asked, Timed.Had, Timed.Left);
    KeLowerIrql(Irql);
}

typedef struct _SILENCE {
    PCONTROLLER Controller;
    PIRP Irp;
} SILENCE, *PSILENCE;

static BOOLEAN NTAPI SilenceSection(PVOID SynchronizeContext)
{
    PSILENCE Context = SynchronizeContext;

    Context->Irp = ControllerSilence(Context->Controller);
    return TRUE;
}

PIRP Silence(PDEVICE_EXTENSION Extension, EDU_SECTION Section)
{
    SILENCE Context = {&Extension->Controller, NULL};

    Synchronize(Extension, Section, SilenceSection, &Context);
    return Context.Irp;
}
