/*
 * Queues of IRPs that can be cancelled: see "Cancel-Safe IRP Queues".
 */
#include "driver.h"

static PIRP_QUEUE QueueOf(PIO_CSQ Csq)
{
    return CONTAINING_RECORD(Csq, IRP_QUEUE, Csq);
}

/* What IRPs are looked for with. */
typedef struct _SOUGHT {
    /* Of this handle, if it is not NULL. */
    PFILE_OBJECT File;
    /* Waits for events before this number, if it is not zero. */
    ULONG64 End;
} SOUGHT, *PSOUGHT;

/* How an IRP is inserted. */
typedef struct _PLACE {
    BOOLEAN First;
    ULONG Most;
} PLACE, *PPLACE;

static NTSTATUS NTAPI InsertIrp(PIO_CSQ Csq, PIRP Irp, PVOID InsertContext)
{
    PIRP_QUEUE Queue = QueueOf(Csq);
    PPLACE Place = InsertContext;

    if (Queue->Length >= Place->Most) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    if (Place->First) {
        InsertHeadList(&Queue->Head, &Irp->Tail.Overlay.ListEntry);
    } else {
        InsertTailList(&Queue->Head, &Irp->Tail.Overlay.ListEntry);
    }
    Queue->Length += 1;
    return STATUS_SUCCESS;
}

static VOID NTAPI RemoveIrp(PIO_CSQ Csq, PIRP Irp)
{
    RemoveEntryList(&Irp->Tail.Overlay.ListEntry);
    QueueOf(Csq)->Length -= 1;
}

static BOOLEAN Matches(PIRP Irp, PSOUGHT Sought)
{
    if (Sought->File != NULL && IoGetCurrentIrpStackLocation(Irp)->FileObject != Sought->File) {
        return FALSE;
    }
    /* EventsWait has left in the buffer from where on the IRP waits. */
    return Sought->End == 0 || *(PULONG64)Irp->AssociatedIrp.SystemBuffer < Sought->End;
}

static PIRP NTAPI PeekNextIrp(PIO_CSQ Csq, PIRP Irp, PVOID PeekContext)
{
    PIRP_QUEUE Queue = QueueOf(Csq);
    PLIST_ENTRY Entry = Irp != NULL ? Irp->Tail.Overlay.ListEntry.Flink : Queue->Head.Flink;

    for (; Entry != &Queue->Head; Entry = Entry->Flink) {
        Irp = CONTAINING_RECORD(Entry, IRP, Tail.Overlay.ListEntry);
        if (PeekContext == NULL || Matches(Irp, PeekContext)) {
            return Irp;
        }
    }
    return NULL;
}

static VOID NTAPI AcquireLock(PIO_CSQ Csq, PKIRQL Irql)
{
    KeAcquireSpinLock(&QueueOf(Csq)->Lock, Irql);
}

static VOID NTAPI ReleaseLock(PIO_CSQ Csq, KIRQL Irql)
{
    KeReleaseSpinLock(&QueueOf(Csq)->Lock, Irql);
}

static VOID NTAPI CompleteCanceledIrp(PIO_CSQ Csq, PIRP Irp)
{
    CompleteIrp(QueueOf(Csq)->Extension, Irp, STATUS_CANCELLED, 0);
}

VOID QueueInitialize(PDEVICE_EXTENSION Extension, PIRP_QUEUE Queue)
{
    Queue->Extension = Extension;
    Queue->Length = 0;
    InitializeListHead(&Queue->Head);
    KeInitializeSpinLock(&Queue->Lock);
    IoCsqInitializeEx(&Queue->Csq, InsertIrp, RemoveIrp, PeekNextIrp, AcquireLock, ReleaseLock,
                      CompleteCanceledIrp);
}

VOID QueueInsert(PIRP_QUEUE Queue, PIRP Irp)
{
    PLACE Place = {FALSE, MAXULONG};

    IoCsqInsertIrpEx(&Queue->Csq, Irp, NULL, &Place);
}

VOID QueueInsertFirst(PIRP_QUEUE Queue, PIRP Irp)
{
    PLACE Place = {TRUE, MAXULONG};

    IoCsqInsertIrpEx(&Queue->Csq, Irp, NULL, &Place);
}

/* FALSE if so many wait already; the IRP is marked pending all the same. */
BOOLEAN QueueInsertAtMost(PIRP_QUEUE Queue, PIRP Irp, ULONG Most)
{
    PLACE Place = {FALSE, Most};

    return NT_SUCCESS(IoCsqInsertIrpEx(&Queue->Csq, Irp, NULL, &Place));
}

/* The next IRP, of this handle if it is not NULL; or NULL. */
PIRP QueueRemove(PIRP_QUEUE Queue, PFILE_OBJECT File)
{
    SOUGHT Sought = {File, 0};

    return IoCsqRemoveNextIrp(&Queue->Csq, File != NULL ? &Sought : NULL);
}

/* The next IRP that waits for events before this number; or NULL. */
PIRP QueueRemoveBefore(PIRP_QUEUE Queue, ULONG64 End)
{
    SOUGHT Sought = {NULL, End};

    return IoCsqRemoveNextIrp(&Queue->Csq, &Sought);
}

/* As of now: who needs more holds what makes it so. */
BOOLEAN QueueIsEmpty(PIRP_QUEUE Queue)
{
    return *(volatile PLIST_ENTRY *)&Queue->Head.Flink == &Queue->Head;
}

/* Completes all IRPs, those of this handle if it is not NULL. */
VOID QueueFail(PIRP_QUEUE Queue, PFILE_OBJECT File, NTSTATUS Status)
{
    PIRP Irp;

    while ((Irp = QueueRemove(Queue, File)) != NULL) {
        CompleteIrp(Queue->Extension, Irp, Status, 0);
    }
}
