/*
 * The DDK headers include intrin.h for compiler intrinsics, all of which are
 * used in inline functions only. bindgen binds no inline function, so nothing
 * has to be declared here; mingw-w64's own intrin.h does not parse for an MSVC
 * target.
 */
#pragma once
