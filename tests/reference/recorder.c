/*
 * The flight recorder: what the driver does, when, for how long, on which processor.
 *
 * Written by the ISR too, so no spin lock guards it: a record's number is claimed by one
 * interlocked operation, and its own field Sequence says when it is whole.
 */
#include "driver.h"

/* Of a record that is being written. */
#define BEING_WRITTEN (~0ULL)

NTSTATUS RecorderCreate(PRECORDER Recorder)
{
    ULONG Index;

    Recorder->Records = ExAllocatePoolWithTag(NonPagedPoolNx, KEPT_RECORDS * sizeof(EDU_RECORD),
                                              POOL_TAG);
    if (Recorder->Records == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    for (Index = 0; Index < KEPT_RECORDS; Index += 1) {
        Recorder->Records[Index].Sequence = BEING_WRITTEN;
    }
    return STATUS_SUCCESS;
}

VOID RecorderDelete(PRECORDER Recorder)
{
    if (Recorder->Records != NULL) {
        ExFreePoolWithTag(Recorder->Records, POOL_TAG);
        Recorder->Records = NULL;
    }
}

static ULONG Clamped(ULONG64 Stamps)
{
    return Stamps > MAXULONG ? MAXULONG : (ULONG)Stamps;
}

static VOID Write(PRECORDER Recorder, PEDU_RECORD Record)
{
    ULONG64 Sequence = (ULONG64)InterlockedIncrement64(&Recorder->Next) - 1;
    PEDU_RECORD Slot = &Recorder->Records[Sequence % KEPT_RECORDS];

    *(volatile ULONG64 *)&Slot->Sequence = BEING_WRITTEN;
    KeMemoryBarrier();
    Slot->Start = Record->Start;
    Slot->Waited = Record->Waited;
    Slot->Duration = Record->Duration;
    Slot->Detail = Record->Detail;
    Slot->Processor = (USHORT)KeGetCurrentProcessorNumberEx(NULL);
    Slot->Kind = Record->Kind;
    Slot->Section = Record->Section;
    KeMemoryBarrier();
    *(volatile ULONG64 *)&Slot->Sequence = Sequence;
}

VOID RecorderWrite(PRECORDER Recorder, EDU_RECORD_KIND Kind, ULONG64 Start, ULONG Detail)
{
    EDU_RECORD Record = {0};

    Record.Start = Start;
    Record.Duration = Clamped(Stamp() - Start);
    Record.Detail = Detail;
    Record.Kind = (UCHAR)Kind;
    Write(Recorder, &Record);
}

VOID RecorderWriteSection(PRECORDER Recorder, EDU_SECTION Section, ULONG64 Asked, ULONG64 Had,
                          ULONG64 Left)
{
    EDU_RECORD Record = {0};

    Record.Start = Asked;
    Record.Waited = Clamped(Had - Asked);
    Record.Duration = Clamped(Left - Had);
    Record.Kind = RecordCriticalSection;
    Record.Section = (UCHAR)Section;
    Write(Recorder, &Record);
}

/* Copies a record; FALSE if it is not whole, or not this one. */
static BOOLEAN Read(PRECORDER Recorder, ULONG64 Sequence, PEDU_RECORD Record)
{
    PEDU_RECORD Slot = &Recorder->Records[Sequence % KEPT_RECORDS];

    if (*(volatile ULONG64 *)&Slot->Sequence != Sequence) {
        return FALSE;
    }
    KeMemoryBarrier();
    *Record = *Slot;
    KeMemoryBarrier();
    Record->Sequence = Sequence;
    return *(volatile ULONG64 *)&Slot->Sequence == Sequence;
}

/* IOCTL_EDU_READ_RECORDS, whose buffers are long enough. */
NTSTATUS RecorderRead(PDEVICE_EXTENSION Extension, PIRP Irp, PULONG_PTR Information)
{
    PIO_STACK_LOCATION Stack = IoGetCurrentIrpStackLocation(Irp);
    ULONG Length = Stack->Parameters.DeviceIoControl.OutputBufferLength;
    PRECORDER Recorder = &Extension->Recorder;
    PEDU_RECORDS_HEADER Header = Irp->AssociatedIrp.SystemBuffer;
    PEDU_RECORD Records = (PEDU_RECORD)(Header + 1);
    ULONG64 After = *(PULONG64)Irp->AssociatedIrp.SystemBuffer;
    ULONG64 End = (ULONG64)InterlockedCompareExchange64(&Recorder->Next, 0, 0);
    ULONG64 Sequence = After;
    ULONG64 Lost = 0;
    ULONG Count = 0;
    ULONG Room = (ULONG)((Length - sizeof(*Header)) / sizeof(EDU_RECORD));

    if (After > End) {
        return STATUS_INVALID_PARAMETER;
    }
    if (End - After > KEPT_RECORDS) {
        Sequence = End - KEPT_RECORDS;
        Lost = Sequence - After;
    }
    for (; Sequence < End && Count < Room; Sequence += 1) {
        if (Read(Recorder, Sequence, &Records[Count])) {
            Count += 1;
        } else if (End - Sequence < KEPT_RECORDS / 2) {
            /* Young, so it is being written: it comes with the next reply. */
            break;
        } else {
            Lost += 1;
        }
    }
    ReadClock(Extension, &Header->Clock);
    Header->Next = Sequence;
    Header->Lost = Lost;
    Header->Count = Count;
    Header->On = Recorder->On != 0;
    *Information = sizeof(*Header) + Count * sizeof(EDU_RECORD);
    return STATUS_SUCCESS;
}
