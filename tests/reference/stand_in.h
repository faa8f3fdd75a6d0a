/*
 * What the headers lack that the driver is compiled with where there is no WDK. The WDK has
 * all of it.
 */
#pragma once

#ifdef DIRQL_WDK_STAND_IN

/* Exports in the WDK, written out in these headers. */
#define KfRaiseIrql stand_in_inline_KfRaiseIrql
#define KeLowerIrql stand_in_inline_KeLowerIrql
#include <ntifs.h>
#include <wdm.h>
#undef KfRaiseIrql
#undef KeLowerIrql
NTHALAPI KIRQL NTAPI KfRaiseIrql(KIRQL NewIrql);
NTHALAPI VOID NTAPI KeLowerIrql(KIRQL NewIrql);

#define KeMemoryBarrier() __sync_synchronize()
/* An intrinsic of clang, which the headers declare for none but cl. */
LONG64 _InterlockedIncrement64(LONG64 volatile *Addend);

/* Windows 8. */
typedef struct _IO_REPORT_INTERRUPT_ACTIVE_STATE_PARAMETERS {
    ULONG Version;
    union {
        PVOID Generic;
        PKINTERRUPT InterruptObject;
        PIO_INTERRUPT_MESSAGE_INFO InterruptMessageTable;
    } ConnectionContext;
} IO_REPORT_INTERRUPT_ACTIVE_STATE_PARAMETERS, *PIO_REPORT_INTERRUPT_ACTIVE_STATE_PARAMETERS;

NTKERNELAPI VOID NTAPI
IoReportInterruptActive(PIO_REPORT_INTERRUPT_ACTIVE_STATE_PARAMETERS Parameters);
NTKERNELAPI VOID NTAPI
IoReportInterruptInactive(PIO_REPORT_INTERRUPT_ACTIVE_STATE_PARAMETERS Parameters);

#else

#include <ntifs.h>
#include <wdm.h>

#endif
