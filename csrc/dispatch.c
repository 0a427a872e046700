/* Which ISA runs: detected on first use, or forced by name. Nothing here uses more than the baseline. */
#include "kernels.h"

#include <string.h>

extern const fastact_kernels fastact_kernels_scalar;
#if defined(FASTACT_X86)
extern const fastact_kernels fastact_kernels_sse2, fastact_kernels_avx2, fastact_kernels_avx512;
static int have_sse2(void) { return 1; }
static int have_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
static int have_avx512(void) {
  return have_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
#elif defined(FASTACT_NEON)
extern const fastact_kernels fastact_kernels_neon;
static int have_neon(void) { return 1; }
#endif
static int have_scalar(void) { return 1; }

/* Ascending: the last one that the CPU has is the one to run. */
static const struct {
  const fastact_kernels *kernels;
  int (*available)(void);
} built[] = {
    {&fastact_kernels_scalar, have_scalar},
#if defined(FASTACT_X86)
    {&fastact_kernels_sse2, have_sse2},
    {&fastact_kernels_avx2, have_avx2},
    {&fastact_kernels_avx512, have_avx512},
#elif defined(FASTACT_NEON)
    {&fastact_kernels_neon, have_neon},
#endif
};
enum { BUILT = sizeof built / sizeof built[0] };

/* Written with one aligned pointer store, so that readers on other threads see the old or the new one. */
static const fastact_kernels *volatile active;
static const char *volatile last_isa = "";

const fastact_kernels *fastact_active(void) {
  if (!active) {
    const fastact_kernels *best = &fastact_kernels_scalar;
    for (int k = 0; k < BUILT; k++)
      if (built[k].available()) best = built[k].kernels;
    active = best;
  }
  return active;
}

int fastact_select(const char *isa) {
  for (int k = 0; k < BUILT; k++)
    if (strcmp(built[k].kernels->isa, isa) == 0 && built[k].available()) {
      active = built[k].kernels;
      return 0;
    }
  return -1;
}

const char *fastact_isa_built(int k) { return k >= 0 && k < BUILT ? built[k].kernels->isa : NULL; }

int fastact_isa_available(int k) { return k >= 0 && k < BUILT && built[k].available(); }

const char *fastact_last_isa(void) { return last_isa; }

void fastact_ran(const char *isa) { last_isa = isa; }
