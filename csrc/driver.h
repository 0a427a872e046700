/* The driver: feeds user memory of any type and layout to the kernels of elementwise.h.
 *
 * It passes user memory directly where it is contiguous and stages everything else (strides, less than a vector, outputs
 * that lie on inputs) through stack blocks, so that every element goes through the same instructions: same element, same
 * bits. Results that will not stay in a cache anyway are made in the stage, which is in L1, and go past the caches from
 * there (stream.h). */

enum {
  FN(STAGE) = 4096 / sizeof(T),  /* elements of a block that is staged */
  FN(MANY) = 8192 / sizeof(T),   /* elements that are worth being aligned */
  FN(STRETCH) = 16384,           /* of one that is not */
  FN(BURST) = 2048 / sizeof(T),  /* of one that is streamed: reads and writes take turns at the memory */
  FN(PIECE) = 131072 / sizeof(T) /* of a trial whether to stream */
};

/* How n elements in memory become T and back; storing returns the flags that its rounding deserves. */
typedef struct {
  size_t size; /* of an element in memory; kernels may work on memory where it is that of T */
  void (*load)(T *to, const char *from, ptrdiff_t stride, size_t n);
  unsigned (*store)(char *to, ptrdiff_t stride, const T *from, size_t n);
} FN(Memory);

static NOINLINE void FN(load)(T *to, const char *from, ptrdiff_t stride, size_t n) {
  if (stride == sizeof(T))
    memcpy(to, from, n * sizeof(T));
  else
    for (size_t i = 0; i < n; i++) memcpy(to + i, from + (ptrdiff_t)i * stride, sizeof(T));
}

static NOINLINE unsigned FN(store)(char *to, ptrdiff_t stride, const T *from, size_t n) {
  if (stride == sizeof(T))
    memcpy(to, from, n * sizeof(T));
  else
    for (size_t i = 0; i < n; i++) memcpy(to + (ptrdiff_t)i * stride, from + i, sizeof(T));
  return 0;
}

typedef struct {
  FN(Kernel) kernel;
  const FN(Memory) *memory;
  const fastact_activation *row;
  int nin, nout;
  char *const *operands;
  const ptrdiff_t *strides;
  T (*stage)[FN(STAGE) + LANES]; /* a row an operand; inputs that do not change stay replicated in theirs */
  unsigned flags;                /* deserved so far */
} FN(Job);

static int FN(is_tiny)(T y) { return y < PICK(FLT_MIN, DBL_MIN) && y > -PICK(FLT_MIN, DBL_MIN); }

/* A result that is an input, as where f(x) = x, is exact. */
static int FN(is_input)(T y, int nin, const T *const *in, const size_t *step, size_t i) {
  for (int k = 0; k < nin; k++)
    if (in[k][i * step[k]] == y) return 1;
  return 0;
}

/* Whether x is where the domain ends, and f or f' may have a pole. */
static int FN(is_end)(const fastact_activation *row, T x) {
  return fastact_has_ends(row) && (x == row->domain[0] || x == row->domain[1]);
}

/* Whether element i, all alone, makes the kernel underflow: a zero among others may be exact. */
static NOINLINE int FN(underflows_alone)(const FN(Job) *job, size_t i, const T *const *in, const size_t *step) {
  T alone[FASTACT_MAX_OPERANDS][LANES] ALIGNED;
  const T *inputs[FASTACT_MAX_OPERANDS];
  T *outputs[2];
  size_t still[FASTACT_MAX_OPERANDS] = {0};
  for (int k = 0; k < job->nin; k++) {
    vstore(alone[k], vset(in[k][i * step[k]]));
    inputs[k] = alone[k];
  }
  for (int k = 0; k < job->nout; k++) outputs[k] = alone[job->nin + k];
  fpflags_set(0);
  job->kernel(inputs, still, outputs, LANES);
  return (fpflags_get() & FLAG_UNDERFLOW) != 0;
}

/* The flags that element i of the outputs deserves. */
static unsigned FN(flags_of)(const FN(Job) *job, unsigned raised, size_t i, const T *const *in, const size_t *step,
                             T *const *out) {
  const fastact_activation *row = job->row;
  unsigned deserved = 0;
  int nin = job->nin, any_inf = 0, any_zero = 0, x = nin - 1 - row->parameters;
  for (int k = 0; k < nin; k++) {
    T value = in[k][i * step[k]];
    if (isnan(value)) return 0;
    any_inf |= isinf(value);
    any_zero |= value == 0;
  }
  for (int k = 0; k < job->nout; k++) {
    T y = out[k][i];
    if (isnan(y)) deserved |= FLAG_INVALID;
    if (any_inf) continue;
    if (isinf(y)) deserved |= FN(is_end)(row, in[x][i * step[x]]) ? FLAG_DIVIDE : FLAG_OVERFLOW;
    if (isinf(y) && !fastact_has_ends(row)) deserved |= FLAG_DIVIDE & raised; /* by a parameter that is 0 */
    if (!(raised & FLAG_UNDERFLOW) || !FN(is_tiny)(y) || FN(is_input)(y, nin, in, step, i)) continue;
    if (y != 0 || (!any_zero && FN(underflows_alone)(job, i, in, step))) deserved |= FLAG_UNDERFLOW;
  }
  return deserved;
}

/* Which flags the block's results deserve, once a kernel raised any. Kernels may raise underflow in a term that is
 * negligible, and invalid by comparing NaN; the user sees a flag only where a result overflowed, underflowed, became NaN or
 * is a pole. */
static NOINLINE unsigned FN(deserved_flags)(const FN(Job) *job, unsigned raised, const T *const *in, const size_t *step,
                                            T *const *out, size_t n) {
  V tiny = vset(PICK(FLT_MIN - FLT_TRUE_MIN, DBL_MIN - DBL_TRUE_MIN)), infinity = vset((T)INFINITY);
  unsigned deserved = 0;
  for (size_t i = 0; i < n && (raised & ~deserved); i += LANES) {
    int suspect = 0;
    for (int k = 0; k < job->nout; k++) {
      V y = vabs(vload(out[k] + i));
      suspect |= !vall(vlt(tiny, y)) || !vall(vlt(y, infinity));
    }
    if (suspect)
      for (size_t lane = i; lane < i + LANES; lane++) deserved |= FN(flags_of)(job, raised & ~deserved, lane, in, step, out);
  }
  return raised & deserved;
}

static void FN(run_kernel)(FN(Job) *job, const T *const *in, const size_t *step, T *const *out, size_t n) {
  job->kernel(in, step, out, n);
  unsigned raised = fpflags_get();
  if (raised) {
    if (fastact_has_ends(job->row)) raised |= FLAG_DIVIDE; /* branch-free code meets a pole with any flag but this */
    job->flags |= FN(deserved_flags)(job, raised & ~job->flags, in, step, out, n);
    fpflags_set(0);
  }
}

/* Elements [first, first + n), a multiple of LANES, read from user memory, where the outputs go too, unless they are
 * streamed: then n is at most STAGE. */
static INLINE void FN(run_direct)(FN(Job) *job, size_t first, size_t n, int streamed) {
  const T *in[FASTACT_MAX_OPERANDS];
  size_t step[FASTACT_MAX_OPERANDS];
  T *out[2];
  for (int k = 0; k < job->nin; k++) {
    step[k] = job->strides[k] != 0;
    in[k] = step[k] ? (const T *)job->operands[k] + first : job->stage[k];
  }
  for (int k = 0; k < job->nout; k++)
    out[k] = streamed ? job->stage[job->nin + k] : (T *)job->operands[job->nin + k] + first;
  FN(run_kernel)(job, in, step, out, n);
  if (!streamed) return;
  for (int k = 0; k < job->nin; k++)
    if (step[k]) fetch((uintptr_t)(in[k] + n), n * sizeof(T));
  for (int k = 0; k < job->nout; k++)
    stream((char *)((T *)job->operands[job->nin + k] + first), (const char *)out[k], n * sizeof(T));
}

/* Elements [first, first + n) of an input, into its stage. A parameter that is its default rounded to the type in memory is
 * taken as the default where the table says so. */
static void FN(load_operand)(const FN(Job) *job, int k, size_t first, size_t n) {
  T *stage = job->stage[k];
  job->memory->load(stage, job->operands[k] + (ptrdiff_t)first * job->strides[k], job->strides[k], n);
  int parameter = k - (job->nin - job->row->parameters);
  if (parameter < 0 || parameter >= job->row->exact) return;
  T exact = (T)job->row->parameter[parameter].fallback, rounded;
  char memory[sizeof(T)];
  job->memory->store(memory, 0, &exact, 1);
  job->memory->load(&rounded, memory, 0, 1);
  for (size_t i = 0; i < n; i++)
    if (stage[i] == rounded) stage[i] = exact;
}

/* Elements [first, first + n), at most STAGE of them, through the stage; the last vector is filled up with copies. */
static void FN(run_staged)(FN(Job) *job, size_t first, size_t n) {
  const T *in[FASTACT_MAX_OPERANDS];
  size_t step[FASTACT_MAX_OPERANDS];
  T *out[2];
  size_t whole = (n + LANES - 1) / LANES * LANES;
  for (int k = 0; k < job->nin; k++) {
    T *stage = job->stage[k];
    in[k] = stage;
    step[k] = job->strides[k] != 0;
    if (!step[k]) continue;
    FN(load_operand)(job, k, first, n);
    for (size_t i = n; i < whole; i++) stage[i] = stage[n - 1];
  }
  for (int k = 0; k < job->nout; k++) out[k] = job->stage[job->nin + k];
  FN(run_kernel)(job, in, step, out, whole);
  for (int k = 0; k < job->nout; k++) {
    ptrdiff_t stride = job->strides[job->nin + k];
    job->flags |= job->memory->store(job->operands[job->nin + k] + (ptrdiff_t)first * stride, stride, out[k], n);
  }
}

/* T in memory, contiguous, aligned, and no output on an input: a kernel may then write before flags are judged by inputs. */
static int FN(may_run_direct)(const FN(Job) *job, size_t n) {
  if (job->memory->size != sizeof(T)) return 0;
  for (int k = 0; k < job->nin + job->nout; k++) {
    if (k < job->nin && job->strides[k] == 0) continue;
    if (job->strides[k] != sizeof(T) || (uintptr_t)job->operands[k] % sizeof(T)) return 0;
    for (int o = job->nin; o < job->nin + job->nout; o++) {
      uintptr_t a = (uintptr_t)job->operands[k], b = (uintptr_t)job->operands[o];
      if (o != k && (a < b ? b - a : a - b) < n * sizeof(T)) return 0;
    }
  }
  return 1;
}

/* How many elements lie before the first place in the first output that is a multiple of so many bytes. */
static size_t FN(before)(const FN(Job) *job, size_t bytes, size_t n) {
  size_t before = -(uintptr_t)job->operands[job->nin] % bytes / sizeof(T);
  return before < n ? before : n;
}

/* Elements [first, first + n), a multiple of LANES, directly or streamed. */
static void FN(run_blocks)(FN(Job) *job, size_t first, size_t n, int streamed) {
  size_t block = streamed ? FN(BURST) : FN(STRETCH);
  for (size_t end = first + n; first < end; first += block)
    FN(run_direct)(job, first, end - first < block ? end - first : block, streamed);
  if (streamed) stream_end();
}

/* Whether streaming pays: where arithmetic is what takes the time, or fresh pages are in a cache already, it does not.
 * Nobody knows better than the call itself, so it begins with a few pieces either way. Moves `first` past them. */
static int FN(try_streaming)(FN(Job) *job, size_t *first) {
  uint64_t least[2] = {UINT64_MAX, UINT64_MAX};
  for (int trial = 0; trial < TRIALS; trial++, *first += FN(PIECE)) {
    uint64_t start = stream_clock(), time;
    FN(run_blocks)(job, *first, FN(PIECE), trial % 2);
    time = stream_clock() - start;
    if (time < least[trial % 2]) least[trial % 2] = time;
  }
  return least[1] < least[0];
}

/* All of it from memory to memory, in whole vectors: at either end some elements are computed twice, which costs less than
 * the stage. Stores that straddle two cache lines take longer, so that many of them begin with a whole vector's place;
 * streaming begins with a cache line. */
static void FN(run_contiguous)(FN(Job) *job, size_t n, int streamed) {
  size_t first = 0, end;
  if (n < LANES) {
    FN(run_staged)(job, 0, n);
    return;
  }
  if (streamed || n >= FN(MANY)) {
    first = FN(before)(job, streamed ? LINE : LANES * sizeof(T), n);
    if (first > LANES)
      FN(run_staged)(job, 0, first);
    else if (first)
      FN(run_direct)(job, 0, LANES, 0);
  }
  end = first + (n - first) / LANES * LANES;
  if (streamed && end - first >= 4 * TRIALS * FN(PIECE)) streamed = FN(try_streaming)(job, &first);
  FN(run_blocks)(job, first, end - first, streamed);
  if (end < n) FN(run_direct)(job, n - LANES, LANES, 0);
}

static void FN(run)(const FN(Memory) *memory, int streamed, int row, enum fastact_form form, char *const *operands,
                    const ptrdiff_t *strides, size_t n) {
  T stage[FASTACT_MAX_OPERANDS][FN(STAGE) + LANES] ALIGNED;
  const fastact_activation *entry = &fastact_activations[row];
  int nin = fastact_nin(entry, form), nout = fastact_nout(entry, form);
  FN(Job) job = {CAT(FN(kernels), ISA)[row][form], memory, entry, nin, nout, operands, strides, stage, 0};
  for (int k = 0; k < nin; k++)
    if (strides[k] == 0) {
      FN(load_operand)(&job, k, 0, 1);
      vstore(stage[k], vset(stage[k][0]));
    }

  fastact_ran(STRING(ISA));
  unsigned before = fpflags_get();
  if (before) fpflags_set(0);
  if (!FN(may_run_direct)(&job, n))
    for (size_t first = 0; first < n; first += FN(STAGE))
      FN(run_staged)(&job, first, n - first < FN(STAGE) ? n - first : FN(STAGE));
  else
    FN(run_contiguous)(&job, n, streamed && CAN_STREAM);
  if (before | job.flags) fpflags_set(before | job.flags);
}

#define ENTRY(name, streamed, size, load, store) \
  static void name(int row, enum fastact_form form, char *const *operands, const ptrdiff_t *strides, size_t n) { \
    static const FN(Memory) memory = {size, load, store}; \
    FN(run)(&memory, streamed, row, form, operands, strides, n); \
  }
#if REAL == 32
ENTRY(elementwise_f32, 0, sizeof(float), load_f32, store_f32)
ENTRY(streaming_f32, 1, sizeof(float), load_f32, store_f32)
ENTRY(elementwise_f16, 0, 2, CAT(load_f16, ISA), CAT(store_f16, ISA))
ENTRY(elementwise_bf16, 0, 2, CAT(load_bf16, ISA), CAT(store_bf16, ISA))
#else
ENTRY(elementwise_f64, 0, sizeof(double), load_f64, store_f64)
ENTRY(streaming_f64, 1, sizeof(double), load_f64, store_f64)
#endif
#undef ENTRY
