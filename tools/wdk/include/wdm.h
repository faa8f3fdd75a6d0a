/*
 * mingw-w64's wdm.h, with the routine that the WDK declares as a kernel export
 * on x64 and mingw-w64 defines inline, where bindgen cannot see it.
 */
#pragma once

#define KeGetCurrentIrql stand_in_inline_KeGetCurrentIrql
#include_next <wdm.h>
#undef KeGetCurrentIrql

NTHALAPI KIRQL NTAPI KeGetCurrentIrql(VOID);
