/* Elementwise calls as users make them: on as many threads as pay, and past the caches where the operands outgrow them. */
#ifndef FASTACT_THREADS_H
#define FASTACT_THREADS_H

#include "kernels.h"

/* A call of the active kernels. Neither the bits of the results nor the flags that the calling thread finds raised depend on
 * how many threads shared the work. */
void fastact_call(enum fastact_dtype dtype, int row, enum fastact_form form, char *const *operands, const ptrdiff_t *strides,
                  size_t n);

/* Set by Python, which looks at the machine and the environment, and by tests. */
typedef struct {
  size_t stream_bytes; /* a call whose operands take more memory is streamed */
  int cpus;            /* that the system lets the process keep busy; 0: all */
  int threads;         /* most threads of a call, if the user says so; 0: what OpenMP, affinity and cpus allow */
  double grain;        /* nanoseconds of work that a thread must get to be worth it */
} fastact_settings;
extern fastact_settings fastact_setting;

int fastact_threads(void);        /* the most that a call on this thread may use now */
int fastact_peak_threads(void);   /* the most that shared in calls at one time, since this was last asked; 0: none did */
const char *fastact_openmp(void); /* its version (yyyymm), NULL where there is none */

#endif
