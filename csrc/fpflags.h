/* The four IEEE exception flags that NumPy reports, read and written in one instruction where the machine has one. */
#ifndef FASTACT_FPFLAGS_H
#define FASTACT_FPFLAGS_H

#include "kernels.h"

#if defined(FASTACT_X86)
#include <xmmintrin.h>
enum { FLAG_INVALID = 0x01, FLAG_DIVIDE = 0x04, FLAG_OVERFLOW = 0x08, FLAG_UNDERFLOW = 0x10, FLAGS = 0x1d };
static inline unsigned fpflags_get(void) { return _mm_getcsr() & FLAGS; }
static inline void fpflags_set(unsigned flags) { _mm_setcsr((_mm_getcsr() & ~(unsigned)FLAGS) | flags); }
#else
#include <fenv.h>
enum {
  FLAG_INVALID = FE_INVALID,
  FLAG_DIVIDE = FE_DIVBYZERO,
  FLAG_OVERFLOW = FE_OVERFLOW,
  FLAG_UNDERFLOW = FE_UNDERFLOW,
  FLAGS = FE_INVALID | FE_DIVBYZERO | FE_OVERFLOW | FE_UNDERFLOW
};
static inline unsigned fpflags_get(void) { return (unsigned)fetestexcept(FLAGS); }
static inline void fpflags_set(unsigned flags) {
  feclearexcept(FLAGS);
  if (flags) feraiseexcept((int)flags);
}
#endif
#endif
