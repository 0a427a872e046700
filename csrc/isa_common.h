/* Everything that must be included before a target region opens, so that no library header is compiled for a wider ISA. */
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "fpflags.h"
#include "kernels.h"
#include "threads.h"

/* A region compiled for more than the baseline; what it defines runs only after dispatch. */
#define PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define TARGET_BEGIN(features) PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define TARGET_END PRAGMA(clang attribute pop)
#else
#define TARGET_BEGIN(features) PRAGMA(GCC push_options) PRAGMA(GCC target(features))
#define TARGET_END PRAGMA(GCC pop_options)
#endif

#define STRING_(a) #a
#define STRING(a) STRING_(a)

/* The kernels of an ISA are compiled in two parts, since each takes long: axis_*.c asks for the second. */
#ifndef BODY
#define BODY "isa.h"
#endif
