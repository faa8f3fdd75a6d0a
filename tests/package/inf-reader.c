/*
 * Reads an INF with SetupAPI and prints what it understood: every line with its
 * strings filled in, the section that is installed for a device, and the values
 * that are in the registry once the section's hardware part was carried out, with
 * whom the device's descriptor lets do what.
 *
 *     inf-reader FILE INSTALL-SECTION
 *
 * Each line of the output has its fields separated by `|`.
 */
#include <stdio.h>
#include <windows.h>
#include <setupapi.h>
#include <sddl.h>

#define LENGTH 512
/* Where AddReg's HKR is while this program runs. */
#define ROOT L"Software\\InfReader"

static int failed(const char *what, DWORD error)
{
    fprintf(stderr, "%s: error 0x%lx\n", what, error);
    return 1;
}

static void print_line(const WCHAR *section, INFCONTEXT *line)
{
    DWORD fields = SetupGetFieldCount(line);
    WCHAR field[LENGTH];
    DWORD index;

    wprintf(L"%ls", section);
    for (index = 0; index <= fields; index++) {
        if (!SetupGetStringFieldW(line, index, field, LENGTH, NULL)) {
            field[0] = 0;
        }
        wprintf(L"|%ls", field);
    }
    wprintf(L"\n");
}

static int print_sections(HINF inf)
{
    WCHAR section[LENGTH];
    INFCONTEXT line;
    DWORD index;

    for (index = 0; SetupEnumInfSectionsW(inf, index, section, LENGTH, NULL); index++) {
        BOOL more = SetupFindFirstLineW(inf, section, NULL, &line);
        while (more) {
            print_line(section, &line);
            more = SetupFindNextLine(&line, &line);
        }
    }
    if (GetLastError() != ERROR_NO_MORE_ITEMS) {
        return failed("cannot list the sections", GetLastError());
    }
    return 0;
}

/* The access control list in `descriptor`, entry by entry. */
static int print_access(const WCHAR *descriptor)
{
    SECURITY_DESCRIPTOR_CONTROL control;
    PSECURITY_DESCRIPTOR security;
    BOOL present, defaulted;
    ACCESS_ALLOWED_ACE *ace;
    DWORD revision, index;
    int result = 0;
    WCHAR *sid;
    ACL *list;

    if (!ConvertStringSecurityDescriptorToSecurityDescriptorW(descriptor, SDDL_REVISION_1,
                                                              &security, NULL)) {
        return failed("this is no security descriptor", GetLastError());
    }
    if (!GetSecurityDescriptorControl(security, &control, &revision) ||
        !GetSecurityDescriptorDacl(security, &present, &list, &defaulted) || !present || !list) {
        LocalFree(security);
        return failed("the descriptor has no access control list", GetLastError());
    }
    wprintf(L"access|%ls|%u\n", control & SE_DACL_PROTECTED ? L"protected" : L"inherits",
            list->AceCount);
    for (index = 0; result == 0 && index < list->AceCount; index++) {
        if (!GetAce(list, index, (void **)&ace) ||
            !ConvertSidToStringSidW((PSID)&ace->SidStart, &sid)) {
            result = failed("cannot read an entry", GetLastError());
        } else {
            wprintf(L"access|%ls|%ls|0x%lx\n",
                    ace->Header.AceType == ACCESS_ALLOWED_ACE_TYPE ? L"allowed" : L"other", sid,
                    ace->Mask);
            LocalFree(sid);
        }
    }
    LocalFree(security);
    return result;
}

static int print_value(const WCHAR *path, const WCHAR *name, DWORD type, const BYTE *data)
{
    int result = 0;

    wprintf(L"registry|%ls|%ls|%lu|", path, name, type);
    if (type == REG_DWORD) {
        wprintf(L"0x%lx\n", *(const DWORD *)data);
    } else if (type == REG_SZ) {
        wprintf(L"%ls\n", (const WCHAR *)data);
        if (!wcscmp(name, L"Security")) {
            result = print_access((const WCHAR *)data);
        }
    } else {
        wprintf(L"?\n");
    }
    return result;
}

static int print_key(HKEY key, const WCHAR *path)
{
    WCHAR name[LENGTH], below[LENGTH];
    DWORD index, length, size, type;
    DWORD data[LENGTH];
    HKEY child;
    LONG error;

    for (index = 0;; index++) {
        length = LENGTH;
        size = sizeof data;
        error = RegEnumValueW(key, index, name, &length, NULL, &type, (BYTE *)data, &size);
        if (error == ERROR_NO_MORE_ITEMS) {
            break;
        }
        if (error != ERROR_SUCCESS) {
            return failed("cannot list values", error);
        }
        if (print_value(path, name, type, (const BYTE *)data)) {
            return 1;
        }
    }
    for (index = 0;; index++) {
        length = LENGTH;
        error = RegEnumKeyExW(key, index, name, &length, NULL, NULL, NULL, NULL);
        if (error == ERROR_NO_MORE_ITEMS) {
            return 0;
        }
        if (error == ERROR_SUCCESS) {
            error = RegOpenKeyExW(key, name, 0, KEY_READ, &child);
        }
        if (error != ERROR_SUCCESS) {
            return failed("cannot list keys", error);
        }
        _snwprintf(below, LENGTH, *path ? L"%ls\\%ls" : L"%ls%ls", path, name);
        below[LENGTH - 1] = 0;
        error = print_key(child, below);
        RegCloseKey(child);
        if (error) {
            return error;
        }
    }
}

/* Carries the AddReg directives of `section` out below a key of its own. */
static int print_registry(HINF inf, const WCHAR *section)
{
    HKEY root;
    LONG error;
    int result;

    RegDeleteTreeW(HKEY_CURRENT_USER, ROOT);
    error = RegCreateKeyW(HKEY_CURRENT_USER, ROOT, &root);
    if (error != ERROR_SUCCESS) {
        return failed("cannot make a key", error);
    }
    if (SetupInstallFromInfSectionW(NULL, inf, section, SPINST_REGISTRY, root, NULL, 0, NULL,
                                    NULL, NULL, NULL)) {
        result = print_key(root, L"");
    } else {
        result = failed("cannot carry the section out", GetLastError());
    }
    RegCloseKey(root);
    RegDeleteTreeW(HKEY_CURRENT_USER, ROOT);
    return result;
}

int wmain(int count, WCHAR **arguments)
{
    WCHAR section[LENGTH], hardware[LENGTH];
    UINT line = 0;
    int result;
    HINF inf;

    if (count != 3) {
        fprintf(stderr, "usage: inf-reader FILE INSTALL-SECTION\n");
        return 2;
    }
    inf = SetupOpenInfFileW(arguments[1], NULL, INF_STYLE_WIN4, &line);
    if (inf == INVALID_HANDLE_VALUE) {
        fprintf(stderr, "line %u: ", line);
        return failed("this is no INF", GetLastError());
    }
    result = print_sections(inf);
    if (result == 0 && !SetupDiGetActualSectionToInstallW(inf, arguments[2], section, LENGTH,
                                                          NULL, NULL)) {
        result = failed("cannot tell the section to install", GetLastError());
    }
    if (result == 0) {
        wprintf(L"install|%ls\n", section);
        _snwprintf(hardware, LENGTH, L"%ls.HW", section);
        hardware[LENGTH - 1] = 0;
        result = print_registry(inf, hardware);
    }
    SetupCloseInfFile(inf);
    return result;
}
