/*
 * What user mode may ask of the driver, and what the device is: driver/interface and
 * driver/controller in C. `eductl verify` fails when one of them changes alone.
 */
#pragma once

#define EDU_DEVICE_TYPE 0x8ed0UL
#define EDU_CTL(Function, Access) CTL_CODE(EDU_DEVICE_TYPE, Function, METHOD_BUFFERED, Access)

#define IOCTL_EDU_IDENTIFY         EDU_CTL(0x800, FILE_READ_ACCESS)
#define IOCTL_EDU_LIVENESS         EDU_CTL(0x801, FILE_READ_ACCESS | FILE_WRITE_ACCESS)
#define IOCTL_EDU_FACTORIAL        EDU_CTL(0x802, FILE_READ_ACCESS | FILE_WRITE_ACCESS)
#define IOCTL_EDU_RAISE_INTERRUPT  EDU_CTL(0x803, FILE_READ_ACCESS | FILE_WRITE_ACCESS)
#define IOCTL_EDU_STATISTICS       EDU_CTL(0x804, FILE_READ_ACCESS)
#define IOCTL_EDU_RESET_STATISTICS EDU_CTL(0x805, FILE_READ_ACCESS | FILE_WRITE_ACCESS)
#define IOCTL_EDU_WAIT_EVENTS      EDU_CTL(0x806, FILE_READ_ACCESS)
#define IOCTL_EDU_SWITCH_RECORDER  EDU_CTL(0x807, FILE_READ_ACCESS | FILE_WRITE_ACCESS)
#define IOCTL_EDU_READ_RECORDS     EDU_CTL(0x808, FILE_READ_ACCESS)

#define EDU_INTERFACE_VERSION  2
#define EDU_DEFAULT_TIMEOUT_MS 10000
#define EDU_MAX_TIMEOUT_MS     60000
/* QEMU up to 9.0 aborts the machine when a transfer touches byte 4095. */
#define EDU_BUFFER_BYTES       4095

/* {6d7e0c5b-3f0a-4c7e-9a41-215de88c7b13} */
static const GUID GUID_DEVINTERFACE_EDU = {
    0x6d7e0c5b, 0x3f0a, 0x4c7e, {0x9a, 0x41, 0x21, 0x5d, 0xe8, 0x8c, 0x7b, 0x13}};

typedef enum _EDU_INTERRUPT_KIND {
    EduInterruptLine = 1,
    EduInterruptMessage = 2,
} EDU_INTERRUPT_KIND;

typedef struct _EDU_IDENTITY {
    ULONG Version;
    ULONG Identification;
    ULONG InterruptKind;
    ULONG Vector;
    ULONG SynchronizeIrql;
    ULONG Processors;
} EDU_IDENTITY, *PEDU_IDENTITY;

typedef struct _EDU_OPERATION_REQUEST {
    /* n of a factorial, the bits to raise. */
    ULONG Operand;
    ULONG TimeoutMs;
} EDU_OPERATION_REQUEST, *PEDU_OPERATION_REQUEST;

/* {n, n!} of a factorial; {causes, 0} of a raised interrupt. */
typedef struct _EDU_OPERATION_REPLY {
    ULONG First;
    ULONG Second;
} EDU_OPERATION_REPLY, *PEDU_OPERATION_REPLY;

typedef struct _EDU_STATISTICS {
    ULONG64 InterruptsClaimed;
    ULONG64 InterruptsNotOurs;
    ULONG64 InterruptsUnasked;
    ULONG64 OperationsStarted;
    ULONG64 OperationsCompleted;
    ULONG64 OperationsTimedOut;
    ULONG64 OperationsAborted;
    ULONG64 DpcRuns;
    ULONG64 DpcMostResults;
    ULONG64 LivenessChecks;
    ULONG64 ResultsRefused;
    ULONG64 DmaStarted;
    ULONG64 DmaCompleted;
    ULONG64 DmaTimedOut;
    ULONG64 DmaAborted;
    ULONG64 DmaBytesRead;
    ULONG64 DmaBytesWritten;
    ULONG64 EventsLost;
} EDU_STATISTICS, *PEDU_STATISTICS;

typedef struct _EDU_MOMENT {
    ULONG64 Stamp;
    ULONG64 Counter;
} EDU_MOMENT;

typedef struct _EDU_CLOCK {
    EDU_MOMENT First;
    EDU_MOMENT Now;
    ULONG64 Frequency;
} EDU_CLOCK, *PEDU_CLOCK;

#define EDU_FROM_NOW (~0ULL)

typedef struct _EDU_EVENTS_HEADER {
    EDU_CLOCK Clock;
    ULONG64 Next;
    ULONG64 Lost;
    ULONG Count;
    ULONG Reserved;
} EDU_EVENTS_HEADER, *PEDU_EVENTS_HEADER;

typedef struct _EDU_EVENT {
    ULONG64 Sequence;
    ULONG64 Stamp;
    ULONG Causes;
    ULONG Reserved;
} EDU_EVENT, *PEDU_EVENT;

typedef struct _EDU_RECORDS_HEADER {
    EDU_CLOCK Clock;
    ULONG64 Next;
    ULONG64 Lost;
    ULONG Count;
    ULONG On;
} EDU_RECORDS_HEADER, *PEDU_RECORDS_HEADER;

typedef struct _EDU_RECORD {
    ULONG64 Sequence;
    ULONG64 Start;
    ULONG Waited;
    ULONG Duration;
    ULONG Detail;
    USHORT Processor;
    UCHAR Kind;
    UCHAR Section;
} EDU_RECORD, *PEDU_RECORD;

typedef enum _EDU_RECORD_KIND {
    RecordIsr = 1,
    RecordCriticalSection,
    RecordStartIo,
    RecordDpcForIsr,
    RecordCustomDpc,
    RecordAdapterControl,
    RecordTimer,
    RecordCancel,
    RecordCompletion,
} EDU_RECORD_KIND;

typedef enum _EDU_SECTION {
    SectionStartIo = 1,
    SectionDpcForIsr,
    SectionCustomDpc,
    SectionAdapterControl,
    SectionTimer,
    SectionDispatch,
    SectionCancel,
    SectionPnp,
    SectionPower,
} EDU_SECTION;

C_ASSERT(sizeof(EDU_STATISTICS) == 144);
C_ASSERT(sizeof(EDU_EVENTS_HEADER) == 64);
C_ASSERT(sizeof(EDU_RECORD) == 32);

/* Registers of the device, in BAR 0. */

#define EDU_REGISTER_BYTES 0xa0

#define REG_IDENTIFICATION   0x00
#define REG_LIVENESS         0x04
#define REG_FACTORIAL        0x08
#define REG_STATUS           0x20
#define REG_INTERRUPT_STATUS 0x24
#define REG_RAISE            0x60
#define REG_ACKNOWLEDGE      0x64
#define REG_DMA_SOURCE       0x80
#define REG_DMA_DESTINATION  0x88
#define REG_DMA_COUNT        0x90
#define REG_DMA_COMMAND      0x98

#define STATUS_COMPUTING 0x01
#define STATUS_INTERRUPT 0x80

#define DMA_RUN       0x01
#define DMA_TO_MEMORY 0x02
#define DMA_INTERRUPT 0x04

#define CAUSE_FACTORIAL 0x001
#define CAUSE_DMA       0x100

/* What every register of a device that is gone reads as. */
#define ABSENT 0xffffffff

#define DMA_ADDRESS_BITS 28
/* Where the device's buffer begins in the address space of its DMA engine. */
#define DMA_BUFFER 0x40000
