/*
 * The device and what its ISR shares: every critical section of the driver.
 *
 * Called with the interrupt's lock held, or while the interrupt is not connected.
 */
#include "driver.h"

static VOID AcknowledgeAll(PCONTROLLER Controller)
{
    WriteRegister(Controller, REG_ACKNOWLEDGE, ABSENT);
    ControllerAcknowledgedUnseen(Controller);
}

VOID ControllerInitialize(PCONTROLLER Controller, PUCHAR Registers)
{
    EDU_STATISTICS Counters = Controller->Counters;

    RtlZeroMemory(Controller, sizeof(*Controller));
    Controller->Registers = Registers;
    Controller->Counters = Counters;
}

/* Keeps the device from interrupting; the IRP of the operation under way, or NULL. */
PIRP ControllerSilence(PCONTROLLER Controller)
{
    PIRP Irp = NULL;

    if (Controller->Engine == EngineArmed || Controller->Engine == EngineWaiting) {
        Irp = Controller->Operation.Irp;
        Controller->Counters.OperationsAborted += 1;
    }
    Controller->Engine = EngineSilent;
    WriteRegister(Controller, REG_STATUS, 0);
    AcknowledgeAll(Controller);
    return Irp;
}

BOOLEAN ControllerIsQuiet(PCONTROLLER Controller)
{
    ULONG Status = ReadRegister(Controller, REG_STATUS);
    ULONG Command = ReadRegister(Controller, REG_DMA_COMMAND);

    return Status == ABSENT || ((Status & STATUS_COMPUTING) == 0 && (Command & DMA_RUN) == 0);
}

VOID ControllerEnable(PCONTROLLER Controller)
{
    Controller->Engine = EngineIdle;
    AcknowledgeAll(Controller);
    WriteRegister(Controller, REG_STATUS, STATUS_INTERRUPT);
}

static VOID Program(PCONTROLLER Controller)
{
    Controller->Engine = EngineArmed;
    if (Controller->Operation.Kind == OperationFactorial) {
        WriteRegister(Controller, REG_FACTORIAL, Controller->Operation.Operand);
    } else {
        if (Controller->Operation.Operand & CAUSE_DMA) {
            Controller->DmaDoubted = TRUE;
        }
        WriteRegister(Controller, REG_RAISE, Controller->Operation.Operand);
    }
}

/* The device has ended what nobody waits for. */
static VOID Proceed(PCONTROLLER Controller)
{
    if (Controller->Engine == EngineWaiting) {
        Program(Controller);
    } else {
        Controller->Engine = EngineIdle;
    }
}

NTSTATUS ControllerArm(PCONTROLLER Controller, const OPERATION *Operation)
{
    if (Controller->ResultCount == RESULTS) {
        Controller->Counters.ResultsRefused += 1;
        return STATUS_DEVICE_BUSY;
    }
    switch (Controller->Engine) {
    case EngineIdle:
        Controller->Operation = *Operation;
        Program(Controller);
        break;
    case EngineDraining:
        Controller->Operation = *Operation;
        Controller->Engine = EngineWaiting;
        break;
    case EngineSilent:
        return STATUS_DEVICE_NOT_READY;
    default:
        return STATUS_DEVICE_BUSY;
    }
    Controller->Counters.OperationsStarted += 1;
    return STATUS_SUCCESS;
}

/* Lets go of the operation under way. */
static PIRP Abandon(PCONTROLLER Controller)
{
    PIRP Irp = Controller->Operation.Irp;

    if (Controller->Engine == EngineWaiting) {
        Controller->Engine = EngineDraining;
    } else if (Controller->Operation.Kind == OperationFactorial) {
        Controller->QuietTicks = 0;
        Controller->Engine = EngineDraining;
    } else {
        Controller->Engine = EngineIdle;
        WriteRegister(Controller, REG_ACKNOWLEDGE, Controller->Operation.Operand);
        if (Controller->Operation.Operand & CAUSE_DMA) {
            ControllerAcknowledgedUnseen(Controller);
        }
    }
    return Irp;
}

/* A tick of the watchdog; the IRP that is past its deadline, or NULL. */
PIRP ControllerTick(PCONTROLLER Controller)
{
    if (Controller->Engine == EngineDraining || Controller->Engine == EngineWaiting) {
        if (ReadRegister(Controller, REG_STATUS) & STATUS_COMPUTING) {
            Controller->QuietTicks = 0;
        } else if (++Controller->QuietTicks > QUIET_TICKS) {
            WriteRegister(Controller, REG_STATUS, STATUS_INTERRUPT);
            Proceed(Controller);
        }
    }
    if (Controller->Engine != EngineArmed && Controller->Engine != EngineWaiting) {
        return NULL;
    }
    Controller->Operation.Ticks -= 1;
    if (Controller->Operation.Ticks >= 0) {
        return NULL;
    }
    Controller->Counters.OperationsTimedOut += 1;
    return Abandon(Controller);
}

/* The IRP of the operation under way if it is this one, or of this handle; or NULL. */
PIRP ControllerTakeBack(PCONTROLLER Controller, PIRP Irp, PFILE_OBJECT File)
{
    if (Controller->Engine != EngineArmed && Controller->Engine != EngineWaiting) {
        return NULL;
    }
    if (Irp != NULL ? Controller->Operation.Irp != Irp : Controller->Operation.File != File) {
        return NULL;
    }
    Controller->Counters.OperationsAborted += 1;
    return Abandon(Controller);
}

static VOID SaveEvent(PCONTROLLER Controller, ULONG64 Now, ULONG Causes)
{
    if (Controller->EventCount < PENDING_EVENTS) {
        Controller->Events[Controller->EventCount].Stamp = Now;
        Controller->Events[Controller->EventCount].Causes = Causes;
        Controller->EventCount += 1;
    } else {
        Controller->EventsMissed += 1;
        Controller->Counters.EventsLost += 1;
    }
}

/* What these causes say about the operation under way; TRUE if it has ended. */
static BOOLEAN ServeOperation(PCONTROLLER Controller, ULONG Causes)
{
    PRESULT Result;

    if (Controller->Engine == EngineDraining || Controller->Engine == EngineWaiting) {
        if (Causes & CAUSE_FACTORIAL) {
            Proceed(Controller);
        }
        return FALSE;
    }
    if (Controller->Engine != EngineArmed) {
        return FALSE;
    }
    Result = &Controller->Results[Controller->ResultCount];
    if (Controller->Operation.Kind == OperationFactorial) {
        if ((Causes & CAUSE_FACTORIAL) == 0) {
            return FALSE;
        }
        Result->Reply.First = Controller->Operation.Operand;
        Result->Reply.Second = ReadRegister(Controller, REG_FACTORIAL);
    } else {
        if ((Causes & Controller->Operation.Operand) != Controller->Operation.Operand) {
            return FALSE;
        }
        Result->Reply.First = Causes;
        Result->Reply.Second = 0;
    }
    Result->Irp = Controller->Operation.Irp;
    /* There is room: ControllerArm has seen it. */
    Controller->ResultCount += 1;
    Controller->Engine = EngineIdle;
    Controller->Counters.OperationsCompleted += 1;
    return TRUE;
}

/* The ISR; TRUE if the interrupt is the device's. */
BOOLEAN ControllerService(PCONTROLLER Controller, ULONG64 Now, PULONG Causes, PBOOLEAN DpcForIsr,
                          PBOOLEAN DpcForDma)
{
    ULONG Found = ReadRegister(Controller, REG_INTERRUPT_STATUS);

    *DpcForIsr = *DpcForDma = FALSE;
    if (Found == 0 ||
        (Found == ABSENT && ReadRegister(Controller, REG_IDENTIFICATION) == ABSENT)) {
        *Causes = 0;
        Controller->Counters.InterruptsNotOurs += 1;
        return FALSE;
    }
    WriteRegister(Controller, REG_ACKNOWLEDGE, Found);
    *Causes = Found;
    Controller->Counters.InterruptsClaimed += 1;
    SaveEvent(Controller, Now, Found);
    *DpcForDma = ControllerServeTransfer(Controller, Found);
    *DpcForIsr = ServeOperation(Controller, Found);
    if (!*DpcForDma && !*DpcForIsr) {
        Controller->Counters.InterruptsUnasked += 1;
        *DpcForIsr = Controller->EventsWanted || Controller->EventCount >= PENDING_EVENTS / 2;
    }
    return TRUE;
}

/* Takes out all results; how many there were. */
ULONG ControllerDrain(PCONTROLLER Controller, PRESULT Results)
{
    ULONG Count = Controller->ResultCount;

    if (Count > 0) {
        RtlCopyMemory(Results, Controller->Results, Count * sizeof(*Results));
        Controller->ResultCount = 0;
        Controller->Counters.DpcRuns += 1;
        if (Count > Controller->Counters.DpcMostResults) {
            Controller->Counters.DpcMostResults = Count;
        }
    }
    return Count;
}

BOOLEAN ControllerLiveness(PCONTROLLER Controller, ULONG Value, PULONG Answer)
{
    if (Controller->Engine == EngineSilent) {
        return FALSE;
    }
    Controller->Counters.LivenessChecks += 1;
    WriteRegister(Controller, REG_LIVENESS, Value);
    *Answer = ReadRegister(Controller, REG_LIVENESS);
    return TRUE;
}

/* Saves what the device forgets without power. */
VOID ControllerSave(PCONTROLLER Controller)
{
    WriteRegister(Controller, REG_STATUS, 0);
    AcknowledgeAll(Controller);
    Controller->LivenessSaved = ~ReadRegister(Controller, REG_LIVENESS);
    Controller->ComputingSaved = (ReadRegister(Controller, REG_STATUS) & STATUS_COMPUTING) != 0;
}

VOID ControllerRestore(PCONTROLLER Controller)
{
    WriteRegister(Controller, REG_LIVENESS, Controller->LivenessSaved);
    AcknowledgeAll(Controller);
    WriteRegister(Controller, REG_STATUS, STATUS_INTERRUPT);
    Controller->QuietTicks = 0;
    Controller->Engine = Controller->ComputingSaved ? EngineDraining : EngineIdle;
}

/* The DMA engine. */

NTSTATUS ControllerArmTransfer(PCONTROLLER Controller, ULONG Memory, ULONG Position, ULONG Length,
                               BOOLEAN ToDevice)
{
    if (Controller->Engine == EngineSilent) {
        return STATUS_DEVICE_NOT_READY;
    }
    if (Controller->DmaStage != DmaIdle) {
        return STATUS_DEVICE_BUSY;
    }
    Controller->DmaStage = DmaRunning;
    Controller->DmaMayHaveEnded = FALSE;
    Controller->DmaToDevice = ToDevice;
    Controller->DmaLength = Length;
    Controller->DmaTicks = EDU_DEFAULT_TIMEOUT_MS / TICK_MS;
    Controller->DmaStatus = STATUS_SUCCESS;
    Controller->Counters.DmaStarted += 1;
    WriteRegister(Controller, REG_DMA_SOURCE, ToDevice ? Memory : DMA_BUFFER + Position);
    WriteRegister(Controller, REG_DMA_DESTINATION, ToDevice ? DMA_BUFFER + Position : Memory);
    WriteRegister(Controller, REG_DMA_COUNT, Length);
    WriteRegister(Controller, REG_DMA_COMMAND,
                  DMA_RUN | DMA_INTERRUPT | (ToDevice ? 0 : DMA_TO_MEMORY));
    return STATUS_SUCCESS;
}

VOID ControllerAcknowledgedUnseen(PCONTROLLER Controller)
{
    Controller->DmaMayHaveEnded = TRUE;
}

/* Ends the transfer under way, unless the device is at it still. */
static BOOLEAN EndTransfer(PCONTROLLER Controller, ULONG Command)
{
    if (Command != ABSENT && (Command & DMA_RUN) != 0) {
        return FALSE;
    }
    if (NT_SUCCESS(Controller->DmaStatus)) {
        if (Command == ABSENT) {
            Controller->Counters.DmaAborted += 1;
            Controller->DmaStatus = STATUS_DELETE_PENDING;
        } else {
            Controller->Counters.DmaCompleted += 1;
            if (Controller->DmaToDevice) {
                Controller->Counters.DmaBytesWritten += Controller->DmaLength;
            } else {
                Controller->Counters.DmaBytesRead += Controller->DmaLength;
            }
        }
    }
    Controller->DmaStage = DmaEnded;
    return TRUE;
}

/* What these causes say about the transfer under way; TRUE if it has ended. */
BOOLEAN ControllerServeTransfer(PCONTROLLER Controller, ULONG Causes)
{
    ULONG Command = 0;

    if ((Causes & CAUSE_DMA) == 0 || Controller->DmaStage != DmaRunning) {
        return FALSE;
    }
    if (Controller->DmaDoubted) {
        Command = ReadRegister(Controller, REG_DMA_COMMAND);
        if (Command == ABSENT || (Command & DMA_RUN) == 0) {
            Controller->DmaDoubted = FALSE;
            /* One that has ended since the causes were acknowledged has its own pending. */
            if (Command != ABSENT &&
                (ReadRegister(Controller, REG_INTERRUPT_STATUS) & CAUSE_DMA) != 0) {
                WriteRegister(Controller, REG_ACKNOWLEDGE, CAUSE_DMA);
            }
        }
    }
    return EndTransfer(Controller, Command);
}

/* For those who wait for a device whose interrupt may not come. */
BOOLEAN ControllerLookAtTransfer(PCONTROLLER Controller)
{
    ULONG Command;

    if (Controller->DmaStage != DmaRunning) {
        return FALSE;
    }
    Command = ReadRegister(Controller, REG_DMA_COMMAND);
    if (Command != ABSENT && (Command & DMA_RUN) == 0) {
        /* Its interrupt may be on its way still. */
        Controller->DmaDoubted = TRUE;
    }
    return EndTransfer(Controller, Command);
}

BOOLEAN ControllerTickTransfer(PCONTROLLER Controller)
{
    BOOLEAN MayHaveEnded;

    if (Controller->DmaStage != DmaRunning) {
        return FALSE;
    }
    if (NT_SUCCESS(Controller->DmaStatus) && --Controller->DmaTicks < 0) {
        Controller->DmaStatus = STATUS_IO_TIMEOUT;
        Controller->Counters.DmaTimedOut += 1;
    }
    MayHaveEnded = Controller->DmaMayHaveEnded || !NT_SUCCESS(Controller->DmaStatus);
    Controller->DmaMayHaveEnded = FALSE;
    return MayHaveEnded && ControllerLookAtTransfer(Controller);
}

/* The transfer under way is wanted no more: it fails so when the device is done with it. */
VOID ControllerGiveUpTransfer(PCONTROLLER Controller, NTSTATUS Status)
{
    if (Controller->DmaStage == DmaRunning && NT_SUCCESS(Controller->DmaStatus)) {
        Controller->DmaStatus = Status;
        Controller->Counters.DmaAborted += 1;
    }
}

/* Takes the transfer that has ended out; FALSE if none has. */
BOOLEAN ControllerDrainTransfer(PCONTROLLER Controller, PNTSTATUS Status)
{
    if (Controller->DmaStage != DmaEnded) {
        return FALSE;
    }
    Controller->DmaStage = DmaIdle;
    *Status = Controller->DmaStatus;
    return TRUE;
}
