/* Which calls are worth several threads, and the threads: OpenMP's, so that OMP_NUM_THREADS, threadpoolctl, joblib and dask
 * govern them as they govern those of BLAS. Compiled for the baseline, and without OpenMP too. */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* sched_getaffinity */
#endif
#include "threads.h"

#include <stdint.h>

/* A large call begins with a part that is timed: what an element costs depends on function, form, dtype, ISA, machine, and
 * on where the operands lie, and nobody knows better than the call itself. */
enum {
  PROBE = 8192,     /* elements of that part; what NumPy buffers comes in as many, and stays on one thread */
  LARGE = 2 * PROBE /* elements of a large call at least */
};

/* 25 microseconds: several times what it takes to wake a thread and wait for it (docs/architecture.md). */
fastact_settings fastact_setting = {.stream_bytes = SIZE_MAX, .grain = 25e3};

/* Everything about a call but how many elements it has. */
typedef struct {
  fastact_elementwise kernel;
  int row;
  enum fastact_form form;
  char *const *operands;
  const ptrdiff_t *strides;
  int inputs, count; /* of the operands: those that are read, all */
  size_t size;       /* of an element */
} Call;

/* Elements [first, first + n). */
static void run_part(const Call *call, size_t first, size_t n) {
  char *operands[FASTACT_MAX_OPERANDS];
  for (int k = 0; k < call->count; k++) operands[k] = call->operands[k] + (ptrdiff_t)first * call->strides[k];
  call->kernel(call->row, call->form, operands, call->strides, n);
}

/* Of memory that is read or written. */
static size_t bytes_of(const Call *call, size_t n) {
  size_t moving = 0;
  for (int k = 0; k < call->count; k++) moving += call->strides[k] != 0;
  return moving * call->size * n;
}

#ifdef _OPENMP
#include <fenv.h>
#include <omp.h>
#include <stdatomic.h>
#include <time.h>
#ifndef _WIN32
#include <pthread.h>
#endif
#ifdef __linux__
#include <sched.h>
#endif

#include "fpflags.h"

enum {
  UNIT = 64, /* elements that threads do not divide: a cache line or more of any dtype */
  REST = 10  /* A call that took longer on several threads than alone, as where other processes want the CPUs, is followed by
              * this many times the loss during which none is shared: a busy machine then costs little. */
};

static int at_load;            /* what OpenMP allowed before anyone limited it */
static volatile int is_forked; /* then the threads that OpenMP remembers are gone, and it would wait for them forever */
static _Atomic double rest;    /* nanoseconds() until when no call is shared */
static atomic_int busy, peak;  /* threads in calls that several threads may share: now, and at most */

static void forked(void) {
  is_forked = 1;
  atomic_store(&busy, 0);
}

__attribute__((constructor)) static void loaded(void) {
  at_load = omp_get_max_threads();
#ifndef _WIN32
  pthread_atfork(NULL, NULL, forked);
#endif
}

#define STRING_(a) #a
#define STRING(a) STRING_(a)
const char *fastact_openmp(void) { return STRING(_OPENMP); }

int fastact_peak_threads(void) { return atomic_exchange(&peak, 0); }

static int least(int a, int b) { return a < b ? a : b; }

/* CPUs that the calling thread may run on; where OpenMP binds threads to places, one, and its own count is the one to trust.
 */
static int affinity(void) {
#ifdef __linux__
  cpu_set_t set;
  if (omp_get_proc_bind() == omp_proc_bind_false && sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  return omp_get_max_threads();
}

int fastact_threads(void) {
  if (is_forked || omp_in_parallel()) return 1;
  int allowed = omp_get_max_threads(), chosen = fastact_setting.threads;
  if (chosen) return allowed < at_load ? least(chosen, allowed) : chosen; /* a limit that came later holds */
  allowed = least(allowed, affinity());
  return fastact_setting.cpus ? least(allowed, fastact_setting.cpus) : allowed;
}

/* The bytes [low, high) between which an operand lies. */
typedef struct {
  uintptr_t low, high;
} Extent;
static Extent extent(const Call *call, int k, size_t n) {
  uintptr_t first = (uintptr_t)call->operands[k], last = first + (uintptr_t)((ptrdiff_t)(n - 1) * call->strides[k]);
  return first < last ? (Extent){first, last + call->size} : (Extent){last, first + call->size};
}

/* Whether elements may be computed in any order: an output lies on another operand only element on element. NumPy also hands
 * over sums, whose output stays where it is, and inputs that are ahead of an output on the same memory. */
static int in_any_order(const Call *call, size_t n) {
  for (int o = call->inputs; o < call->count; o++) {
    Extent out = extent(call, o, n);
    if (call->strides[o] == 0) return 0;
    for (int k = 0; k < call->count; k++) {
      Extent other = extent(call, k, n);
      int same = call->operands[k] == call->operands[o] && call->strides[k] == call->strides[o];
      if (k != o && !(same && k < call->inputs) && out.low < other.high && other.low < out.high) return 0;
    }
  }
  return 1;
}

/* Elements [first, n), a block of neighbours a thread. Workers round as the caller does, and what they raise is the caller's
 * alone: their own environment comes back. */
static void run_shared(const Call *call, size_t first, size_t n, int threads) {
  fenv_t callers;
  unsigned raised = 0;
  fegetenv(&callers);
#pragma omp parallel num_threads(threads) reduction(| : raised)
  {
    size_t team = (size_t)omp_get_num_threads(), me = (size_t)omp_get_thread_num();
    size_t block = ((n - first + team - 1) / team + UNIT - 1) / UNIT * UNIT;
    size_t begin = first + me * block;
    fenv_t own;
    fegetenv(&own);
    fesetenv(&callers);
    fpflags_set(0);
    if (begin < n) run_part(call, begin, n - begin < block ? n - begin : block);
    raised |= fpflags_get();
    fesetenv(&own);
  }
  fpflags_set(fpflags_get() | raised);
}

/* Of the threads that a call would like, those that are not in others: at least the one that it is on. */
static int take(int wanted) {
  int now = atomic_load(&busy), limit = fastact_threads(), taken;
  do {
    taken = least(wanted, limit - now);
    if (taken < 1) taken = 1;
  } while (!atomic_compare_exchange_weak(&busy, &now, now + taken));
  for (int most = atomic_load(&peak); most < now + taken && !atomic_compare_exchange_weak(&peak, &most, now + taken);)
    continue;
  return taken;
}

static double nanoseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return 1e9 * (double)t.tv_sec + (double)t.tv_nsec;
}

/* How many threads some nanoseconds of work are worth. */
static int worth(double work) {
  double grain = fastact_setting.grain;
  if (grain == 0) return INT16_MAX;
  if (work < 2 * grain || nanoseconds() < atomic_load(&rest)) return 1;
  return work < INT16_MAX * grain ? (int)(work / grain) : INT16_MAX;
}

static void run_large(const Call *call, size_t n) {
  double start = nanoseconds();
  run_part(call, 0, PROBE);
  double work = (nanoseconds() - start) * (double)(n - PROBE) / PROBE;
  int wanted = in_any_order(call, n) ? worth(work) : 1, threads = wanted > 1 ? take(wanted) : 0;
  if (threads > 1) {
    start = nanoseconds();
    run_shared(call, PROBE, n, threads);
    double now = nanoseconds(), lost = now - start - work;
    if (lost > 0) atomic_store(&rest, now + REST * lost);
  } else {
    run_part(call, PROBE, n - PROBE);
  }
  atomic_fetch_sub(&busy, threads);
}
#else
const char *fastact_openmp(void) { return NULL; }
int fastact_peak_threads(void) { return 0; }
int fastact_threads(void) { return 1; }
static void run_large(const Call *call, size_t n) { run_part(call, 0, n); }
#endif

void fastact_call(enum fastact_dtype dtype, int row, enum fastact_form form, char *const *operands, const ptrdiff_t *strides,
                  size_t n) {
  static const size_t sizes[FASTACT_DTYPES] = {sizeof(float), sizeof(double), 2, 2};
  const fastact_kernels *kernels = fastact_active();
  if (n < LARGE) {
    kernels->elementwise[dtype](row, form, operands, strides, n);
    return;
  }
  int inputs = fastact_nin(&fastact_activations[row], form), outputs = fastact_nout(&fastact_activations[row], form);
  Call call = {kernels->elementwise[dtype], row, form, operands, strides, inputs, inputs + outputs, sizes[dtype]};
  if (bytes_of(&call, n) > fastact_setting.stream_bytes) call.kernel = kernels->streaming[dtype];
  run_large(&call, n);
}
