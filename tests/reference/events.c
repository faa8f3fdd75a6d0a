/*
 * IOCTL_EDU_WAIT_EVENTS: requests that pend until the device has interrupted.
 *
 * Events go from the controller to the log with the log's lock held outside of the
 * interrupt's, so that they are logged in the order in which they came. A request is queued
 * after it has looked, and looked for again afterwards: whoever logs events looks at the queue
 * after that, so one of the two sees the other.
 */
#include "driver.h"

/* With the log's lock and the interrupt's: what the ISR has saved goes to the log. */
VOID EventsTake(PDEVICE_EXTENSION Extension)
{
    PCONTROLLER Controller = &Extension->Controller;
    PEDU_EVENT Event;
    ULONG Index;

    if (Controller->EventCount == 0) {
        return;
    }
    for (Index = 0; Index < Controller->EventCount; Index += 1) {
        Event = &Extension->Log[Extension->LogEnd % KEPT_EVENTS];
        Event->Sequence = Extension->LogEnd;
        Event->Stamp = Controller->Events[Index].Stamp;
        Event->Causes = Controller->Events[Index].Causes;
        Event->Reserved = 0;
        Extension->LogEnd += 1;
    }
    /* Their numbers are nobody's. */
    Extension->LogEnd += Controller->EventsMissed;
    Controller->EventCount = 0;
    Controller->EventsMissed = 0;
    /* Who waits is answered with these. */
    Controller->EventsWanted = FALSE;
}

/* With the log's lock: writes the reply with the events from number After on; FALSE if there
 * are none. */
static BOOLEAN WriteReply(PDEVICE_EXTENSION Extension, PIRP Irp, ULONG64 After,
                          PULONG_PTR Information)
{
    PEDU_EVENTS_HEADER Header = Irp->AssociatedIrp.SystemBuffer;
    PEDU_EVENT Events = (PEDU_EVENT)(Header + 1);
    ULONG Length = IoGetCurrentIrpStackLocation(Irp)->Parameters.DeviceIoControl.OutputBufferLength;
    ULONG Room = (ULONG)((Length - sizeof(*Header)) / sizeof(EDU_EVENT));
    ULONG64 End = Extension->LogEnd;
    ULONG64 Sequence = After;
    ULONG64 Lost = 0;
    ULONG Count = 0;
    PEDU_EVENT Event;

    if (After >= End) {
        return FALSE;
    }
    if (End - After > KEPT_EVENTS) {
        Sequence = End - KEPT_EVENTS;
        Lost = Sequence - After;
    }
    for (; Sequence < End && Count < Room; Sequence += 1) {
        Event = &Extension->Log[Sequence % KEPT_EVENTS];
        if (Event->Sequence == Sequence && Event->Stamp != 0) {
            Events[Count] = *Event;
            Count += 1;
        } else {
            Lost += 1;
        }
    }
    ReadClock(Extension, &Header->Clock);
    Header->Next = Sequence;
    Header->Lost = Lost;
    Header->Count = Count;
    Header->Reserved = 0;
    *Information = sizeof(*Header) + Count * sizeof(EDU_EVENT);
    return TRUE;
}

/* Answers all who wait for events that are in the log. */
VOID EventsAnswer(PDEVICE_EXTENSION Extension)
{
    ULONG_PTR Information;
    ULONG64 End;
    KIRQL Irql;
    PIRP Irp;

    KeAcquireSpinLock(&Extension->LogLock, &Irql);
    End = Extension->LogEnd;
    KeReleaseSpinLock(&Extension->LogLock, Irql);
    while (End != 0 && (Irp = QueueRemoveBefore(&Extension->Waiting, End)) != NULL) {
        Information = 0;
        KeAcquireSpinLock(&Extension->LogLock, &Irql);
        WriteReply(Extension, Irp, *(PULONG64)Irp->AssociatedIrp.SystemBuffer, &Information);
        KeReleaseSpinLock(&Extension->LogLock, Irql);
        CompleteIrp(Extension, Irp, STATUS_SUCCESS, Information);
    }
}

typedef struct _LOOK {
    PDEVICE_EXTENSION Extension;
    ULONG64 After;
} LOOK, *PLOOK;

static BOOLEAN NTAPI LookSection(PVOID SynchronizeContext)
{
    PLOOK Context = SynchronizeContext;

    EventsTake(Context->Extension);
    if (Context->Extension->LogEnd <= Context->After) {
        Context->Extension->Controller.EventsWanted = TRUE;
    }
    return TRUE;
}

NTSTATUS EventsWait(PDEVICE_EXTENSION Extension, PIRP Irp)
{
    PULONG64 Position = Irp->AssociatedIrp.SystemBuffer;
    LOOK Context = {Extension, *Position};
    ULONG_PTR Information = 0;
    NTSTATUS Status = STATUS_PENDING;
    ULONG64 Before;
    BOOLEAN AreNew;
    BOOLEAN MayUse = EnterDevice(Extension);
    KIRQL Irql;

    KeAcquireSpinLock(&Extension->LogLock, &Irql);
    Before = Extension->LogEnd;
    if (MayUse) {
        Synchronize(Extension, SectionDispatch, LookSection, &Context);
    }
    AreNew = Extension->LogEnd != Before;
    if (Context.After == EDU_FROM_NOW) {
        *Position = Extension->LogEnd;
    } else if (Context.After > Extension->LogEnd) {
        Status = STATUS_INVALID_PARAMETER;
    } else if (WriteReply(Extension, Irp, Context.After, &Information)) {
        Status = STATUS_SUCCESS;
    }
    KeReleaseSpinLock(&Extension->LogLock, Irql);
    if (MayUse) {
        LeaveDevice(Extension);
    }
    if (AreNew) {
        EventsAnswer(Extension);
    }
    if (Status != STATUS_PENDING) {
        return CompleteIrp(Extension, Irp, Status, Information);
    }
    if (QueueInsertAtMost(&Extension->Waiting, Irp, MOST_WAITING)) {
        EventsAnswer(Extension);
        if (Extension->State >= PnpSurpriseRemoved) {
            QueueFail(&Extension->Waiting, NULL, STATUS_DELETE_PENDING);
        }
    } else {
        CompleteIrp(Extension, Irp, STATUS_INSUFFICIENT_RESOURCES, 0);
    }
    return STATUS_PENDING;
}
