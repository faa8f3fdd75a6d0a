/*
 * ProcessPrng for Wine before version 9, which lacks bcryptprimitives.dll.
 * Rust's standard library imports it, so without this no Rust program starts
 * there. For the tests of eductl.exe only: Windows has its own, and nothing
 * here is shipped.
 */
#include <windows.h>
#include <ntsecapi.h>

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size)
{
    while (size != 0) {
        ULONG part = size > MAXLONG ? MAXLONG : (ULONG)size;
        if (!RtlGenRandom(data, part)) {
            return FALSE;
        }
        data += part;
        size -= part;
    }
    return TRUE;
}
