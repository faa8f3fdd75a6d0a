/*
 * The device extension, and what the parts of the driver call of each other.
 */
#pragma once

#include "stand_in.h"
#include "interface.h"

#define POOL_TAG 'uduE'

/* Milliseconds from tick to tick of the watchdog. */
#define TICK_MS 20

/* Results that can wait for the DPC, events that can, events and records that are kept. */
#define RESULTS        4
#define PENDING_EVENTS 32
#define KEPT_EVENTS    256
#define KEPT_RECORDS   2048
/* Requests for events that may wait at one device. */
#define MOST_WAITING   64

/* Ticks in a row that the device must look quiet before an abandoned factorial is believed
 * to have ended without an interrupt. */
#define QUIET_TICKS 50

typedef enum _OPERATION_KIND {
    OperationFactorial,
    OperationRaise,
} OPERATION_KIND;

/* What the device is given, with the IRP whose it is. */
typedef struct _OPERATION {
    PIRP Irp;
    PFILE_OBJECT File;
    OPERATION_KIND Kind;
    ULONG Operand;
    LONG Ticks;
} OPERATION, *POPERATION;

typedef struct _RESULT {
    PIRP Irp;
    EDU_OPERATION_REPLY Reply;
} RESULT, *PRESULT;

typedef enum _ENGINE {
    /* The device may not interrupt. */
    EngineSilent,
    EngineIdle,
    /* Operation is under way. */
    EngineArmed,
    /* The device still computes a factorial that nobody waits for. */
    EngineDraining,
    /* As above, and Operation is programmed when it has ended. */
    EngineWaiting,
} ENGINE;

typedef enum _DMA_STAGE {
    DmaIdle,
    DmaRunning,
    DmaEnded,
} DMA_STAGE;

typedef struct _EVENT {
    ULONG64 Stamp;
    ULONG Causes;
} EVENT, *PEVENT;

/* All that the ISR shares. Guarded by the interrupt's lock while it is connected. */
typedef struct _CONTROLLER {
    PUCHAR Registers;
    ENGINE Engine;
    OPERATION Operation;
    ULONG QuietTicks;
    RESULT Results[RESULTS];
    ULONG ResultCount;

    DMA_STAGE DmaStage;
    /* A cause of DMA may come that is not the end of the transfer that runs. */
    BOOLEAN DmaDoubted;
    /* The cause of the transfer that runs may have been acknowledged unseen. */
    BOOLEAN DmaMayHaveEnded;
    BOOLEAN DmaToDevice;
    ULONG DmaLength;
    LONG DmaTicks;
    /* How the transfer ends when the device is done. */
    NTSTATUS DmaStatus;

    EVENT Events[PENDING_EVENTS];
    ULONG EventCount;
    /* Events that no room was left for since EventCount was zero. */
    ULONG EventsMissed;
    /* Somebody waits for the next event. */
    BOOLEAN EventsWanted;

    EDU_STATISTICS Counters;
    ULONG LivenessSaved;
    BOOLEAN ComputingSaved;
} CONTROLLER, *PCONTROLLER;

/* A cancel-safe queue of IRPs. */
typedef struct _IRP_QUEUE {
    IO_CSQ Csq;
    KSPIN_LOCK Lock;
    LIST_ENTRY Head;
    ULONG Length;
    struct _DEVICE_EXTENSION *Extension;
} IRP_QUEUE, *PIRP_QUEUE;

typedef struct _RECORDER {
    volatile LONG On;
    volatile LONG64 Next;
    PEDU_RECORD Records;
} RECORDER, *PRECORDER;

typedef enum _PNP_STATE {
    PnpNotStarted,
    PnpStarted,
    PnpStopPending,
    PnpStopped,
    PnpRemovePending,
    PnpSurpriseRemoved,
    PnpRemoved,
} PNP_STATE;

/* Why no request is begun. */
#define HOLD_PNP   0x1
#define HOLD_POWER 0x2

typedef struct _DEVICE_EXTENSION {
    PDEVICE_OBJECT Self;
    PDEVICE_OBJECT Lower;
    PDEVICE_OBJECT Pdo;
    IO_REMOVE_LOCK RemoveLock;
    UNICODE_STRING InterfaceName;
    BOOLEAN InterfaceIsEnabled;

    PNP_STATE State;
    PNP_STATE PreviousState;
    volatile LONG Holds;

    /* Dispatch routines that use the device, and one more while it may be used. */
    volatile LONG Users;
    volatile LONG IsOpen;
    KEVENT NoUsers;

    /* Of the interrupt. */
    PKINTERRUPT Interrupt;
    PVOID ConnectionContext;
    ULONG ConnectVersion;
    KDPC DmaDpc;
    EDU_IDENTITY Identity;
    CONTROLLER Controller;

    PHYSICAL_ADDRESS RegistersAddress;
    PVOID Registers;

    /* Of operations. */
    IRP_QUEUE Operations;
    volatile LONG OperationBusy;
    KSPIN_LOCK OperationLock;
    /* Of the one that was taken from the queue last. */
    PFILE_OBJECT OperationFile;
    /* Its handle was closed: it is not begun, or begun again. */
    volatile BOOLEAN OperationGivenUp;

    /* Of reads and writes. */
    IRP_QUEUE Transfers;
    volatile LONG TransferBusy;
    PDMA_ADAPTER Adapter;
    KSPIN_LOCK TransferLock;
    PIRP TransferIrp;
    PFILE_OBJECT TransferFile;
    NTSTATUS TransferGivenUp;
    PVOID MapRegisterBase;
    ULONG MapRegisters;
    ULONG MapRegistersAllocated;
    ULONG TransferDone;
    ULONG TransferStep;

    KTIMER Watchdog;
    KDPC WatchdogDpc;

    /* Of those who wait for interrupts. The last events, under their lock. */
    IRP_QUEUE Waiting;
    KSPIN_LOCK LogLock;
    ULONG64 LogEnd;
    EDU_EVENT Log[KEPT_EVENTS];

    RECORDER Recorder;
    EDU_MOMENT Added;

    /* Of power. */
    DEVICE_POWER_STATE PowerState;
    /* Held by whoever changes whether the device works: PnP and power. */
    KEVENT Changing;
    PIO_WORKITEM PowerItem;
    PIRP SystemPowerIrp;
} DEVICE_EXTENSION, *PDEVICE_EXTENSION;

static inline PDEVICE_EXTENSION ExtensionOf(PDEVICE_OBJECT DeviceObject)
{
    return (PDEVICE_EXTENSION)DeviceObject->DeviceExtension;
}

/*
 * READ_REGISTER_ULONG and WRITE_REGISTER_ULONG in their NOFENCE forms, which not every set
 * of headers has: the device's registers are uncached, and all that is guarded by one lock.
 */
static inline ULONG ReadRegister(PCONTROLLER Controller, ULONG Offset)
{
    return *(volatile ULONG *)(Controller->Registers + Offset);
}

static inline VOID WriteRegister(PCONTROLLER Controller, ULONG Offset, ULONG Value)
{
    *(volatile ULONG *)(Controller->Registers + Offset) = Value;
}

static inline ULONG64 Stamp(VOID)
{
    return __builtin_ia32_rdtsc();
}

/* driver.c */
NTSTATUS AcquireLocks(PDEVICE_EXTENSION Extension, PIRP Irp);
VOID ReleaseDispatchLock(PDEVICE_EXTENSION Extension, PIRP Irp);
NTSTATUS CompleteIrp(PDEVICE_EXTENSION Extension, PIRP Irp, NTSTATUS Status, ULONG_PTR Information);
BOOLEAN EnterDevice(PDEVICE_EXTENSION Extension);
VOID LeaveDevice(PDEVICE_EXTENSION Extension);
VOID OpenDevice(PDEVICE_EXTENSION Extension);
VOID CloseDevice(PDEVICE_EXTENSION Extension);
ULONG64 Milliseconds(VOID);
VOID BeginChange(PDEVICE_EXTENSION Extension);
VOID EndChange(PDEVICE_EXTENSION Extension);
VOID ReadClock(PDEVICE_EXTENSION Extension, PEDU_CLOCK Clock);

/* queue.c */
VOID QueueInitialize(PDEVICE_EXTENSION Extension, PIRP_QUEUE Queue);
VOID QueueInsert(PIRP_QUEUE Queue, PIRP Irp);
VOID QueueInsertFirst(PIRP_QUEUE Queue, PIRP Irp);
BOOLEAN QueueInsertAtMost(PIRP_QUEUE Queue, PIRP Irp, ULONG Most);
PIRP QueueRemove(PIRP_QUEUE Queue, PFILE_OBJECT File);
PIRP QueueRemoveBefore(PIRP_QUEUE Queue, ULONG64 End);
BOOLEAN QueueIsEmpty(PIRP_QUEUE Queue);
VOID QueueFail(PIRP_QUEUE Queue, PFILE_OBJECT File, NTSTATUS Status);

/* controller.c: called with the interrupt's lock, or before it is connected. */
VOID ControllerInitialize(PCONTROLLER Controller, PUCHAR Registers);
PIRP ControllerSilence(PCONTROLLER Controller);
BOOLEAN ControllerIsQuiet(PCONTROLLER Controller);
VOID ControllerEnable(PCONTROLLER Controller);
NTSTATUS ControllerArm(PCONTROLLER Controller, const OPERATION *Operation);
PIRP ControllerTick(PCONTROLLER Controller);
PIRP ControllerTakeBack(PCONTROLLER Controller, PIRP Irp, PFILE_OBJECT File);
BOOLEAN ControllerService(PCONTROLLER Controller, ULONG64 Now, PULONG Causes, PBOOLEAN DpcForIsr,
                          PBOOLEAN DpcForDma);
ULONG ControllerDrain(PCONTROLLER Controller, PRESULT Results);
BOOLEAN ControllerLiveness(PCONTROLLER Controller, ULONG Value, PULONG Answer);
VOID ControllerSave(PCONTROLLER Controller);
VOID ControllerRestore(PCONTROLLER Controller);
NTSTATUS ControllerArmTransfer(PCONTROLLER Controller, ULONG Memory, ULONG Position, ULONG Length,
                               BOOLEAN ToDevice);
BOOLEAN ControllerTickTransfer(PCONTROLLER Controller);
BOOLEAN ControllerLookAtTransfer(PCONTROLLER Controller);
BOOLEAN ControllerServeTransfer(PCONTROLLER Controller, ULONG Causes);
VOID ControllerGiveUpTransfer(PCONTROLLER Controller, NTSTATUS Status);
BOOLEAN ControllerDrainTransfer(PCONTROLLER Controller, PNTSTATUS Status);
VOID ControllerAcknowledgedUnseen(PCONTROLLER Controller);

/* interrupt.c */
NTSTATUS InterruptConnect(PDEVICE_EXTENSION Extension, PCM_PARTIAL_RESOURCE_DESCRIPTOR Line);
VOID InterruptDisconnect(PDEVICE_EXTENSION Extension);
VOID InterruptSetActive(PDEVICE_EXTENSION Extension, BOOLEAN Active);
VOID Synchronize(PDEVICE_EXTENSION Extension, EDU_SECTION Section, PKSYNCHRONIZE_ROUTINE Routine,
                 PVOID Context);
PIRP Silence(PDEVICE_EXTENSION Extension, EDU_SECTION Section);

/* operations.c */
VOID OperationsStartNext(PDEVICE_EXTENSION Extension);
VOID OperationFinish(PDEVICE_EXTENSION Extension, PIRP Irp, NTSTATUS Status, ULONG_PTR Information);
BOOLEAN OperationTakeBack(PDEVICE_EXTENSION Extension, PIRP Irp, PFILE_OBJECT File);
VOID OperationsCleanUp(PDEVICE_EXTENSION Extension, PFILE_OBJECT File);
VOID OperationHoldAgain(PDEVICE_EXTENSION Extension, PIRP Irp);
IO_DPC_ROUTINE DpcForIsr;
KDEFERRED_ROUTINE WatchdogExpired;

/* requests.c */
DRIVER_DISPATCH DispatchDeviceControl;
NTSTATUS RequestParse(PIRP Irp, POPERATION Operation);
NTSTATUS RequestAnswer(PDEVICE_EXTENSION Extension, PIRP Irp, EDU_SECTION Section,
                       PULONG_PTR Information);

/* transfers.c */
DRIVER_DISPATCH DispatchReadWrite;
KDEFERRED_ROUTINE DmaDpcRoutine;
NTSTATUS TransfersOpen(PDEVICE_EXTENSION Extension);
VOID TransfersClose(PDEVICE_EXTENSION Extension);
VOID TransfersStartNext(PDEVICE_EXTENSION Extension);
VOID TransfersWait(PDEVICE_EXTENSION Extension, EDU_SECTION Section, ULONG LimitMs);
VOID TransfersAbort(PDEVICE_EXTENSION Extension, NTSTATUS Status);
VOID TransfersGiveUp(PDEVICE_EXTENSION Extension, PFILE_OBJECT File, NTSTATUS Status);

/* events.c */
NTSTATUS EventsWait(PDEVICE_EXTENSION Extension, PIRP Irp);
VOID EventsTake(PDEVICE_EXTENSION Extension);
VOID EventsAnswer(PDEVICE_EXTENSION Extension);

/* recorder.c */
NTSTATUS RecorderCreate(PRECORDER Recorder);
VOID RecorderDelete(PRECORDER Recorder);
VOID RecorderWrite(PRECORDER Recorder, EDU_RECORD_KIND Kind, ULONG64 Start, ULONG Detail);
VOID RecorderWriteSection(PRECORDER Recorder, EDU_SECTION Section, ULONG64 Asked, ULONG64 Had,
                          ULONG64 Left);
NTSTATUS RecorderRead(PDEVICE_EXTENSION Extension, PIRP Irp, PULONG_PTR Information);

static inline ULONG64 RecorderBegin(PRECORDER Recorder)
{
    return Recorder->On ? Stamp() : 0;
}

/* What began at Start ends; nothing if the recorder was off then. */
static inline VOID RecorderEnd(PRECORDER Recorder, EDU_RECORD_KIND Kind, ULONG64 Start,
                               ULONG Detail)
{
    if (Start != 0) {
        RecorderWrite(Recorder, Kind, Start, Detail);
    }
}

/* pnp.c, power.c */
DRIVER_DISPATCH DispatchPnp;
DRIVER_DISPATCH DispatchPower;
VOID StartWorking(PDEVICE_EXTENSION Extension, LONG Hold);
PIRP StopWorking(PDEVICE_EXTENSION Extension, EDU_SECTION Section, ULONG TransferLimitMs);
