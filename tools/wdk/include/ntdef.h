/*
 * mingw-w64's ntdef.h, with two macros that its GCC form spells in a way that
 * clang refuses when it stands in for the Microsoft compiler: C_ASSERT as a
 * redeclared extern array, and FIELD_OFFSET as a null-pointer cast, which is
 * no constant expression.
 */
#pragma once

#include_next <ntdef.h>

#undef C_ASSERT
#define C_ASSERT(expr) _Static_assert(expr, #expr)

#undef FIELD_OFFSET
#define FIELD_OFFSET(Type, Field) ((LONG)__builtin_offsetof(Type, Field))
