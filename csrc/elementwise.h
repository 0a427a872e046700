/* The elementwise loops: a kernel for each row and form of activations.def, and one driver that feeds them blocks.
 *
 * A kernel sees whole vectors only: contiguous operands, or one replicated vector for an operand that does not change. The
 * driver passes user memory directly where it is contiguous and stages everything else (strides, the last few elements,
 * outputs that lie on inputs) through stack blocks, so that every element goes through the same instructions: same
 * element, same bits. */

typedef struct {
  V f, d; /* f(x) and f'(x); what a kernel does not use is never computed */
} VD;

#include "activations.h"

/* Inputs first (grad, x, parameters), then outputs; step is in elements per element, 0 or 1; n is a multiple of LANES. */
typedef void (*FN(Kernel))(const T *const *in, const size_t *step, T *const *out, size_t n);
typedef VD (*FN(Formula))(V x, const V *parameters);

enum { FN(STAGE) = 4096 / sizeof(T), FN(STRETCH) = 16384 };

/* One vector of a kernel's outputs. */
static INLINE void FN(give)(enum fastact_form form, VD both, const T *grad, T *y, T *d) {
  if (form == FASTACT_FORWARD || form == FASTACT_WITH_DERIVATIVE) vstore(y, both.f);
  if (form == FASTACT_DERIVATIVE || form == FASTACT_WITH_DERIVATIVE) vstore(d, both.d);
  if (form == FASTACT_BACKWARD) vstore(y, vload(grad) * both.d);
}

/* Two vectors at a time, since a formula is a long chain of operations that wait for each other. */
static INLINE void FN(sweep_with)(FN(Formula) formula, enum fastact_form form, int parameters, int parameters_vary,
                                  const T *const *in, const size_t *step, T *const *out, size_t n) {
  int first = form == FASTACT_BACKWARD; /* where x is */
  const T *grad = in[0], *x = in[first];
  size_t grad_step = step[0], x_step = step[first], i = 0;
  T *y = out[0], *d = form == FASTACT_WITH_DERIVATIVE ? out[1] : out[0];
  V p[FASTACT_MAX_PARAMETERS];
  for (int k = 0; k < parameters; k++) p[k] = vload(in[first + 1 + k]);
  if (!parameters_vary)
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
      size_t j = i + LANES;
      VD one = formula(vload(x + i * x_step), p), two = formula(vload(x + j * x_step), p);
      FN(give)(form, one, grad + i * grad_step, y + i, d + i);
      FN(give)(form, two, grad + j * grad_step, y + j, d + j);
    }
  for (; i < n; i += LANES) {
    if (parameters_vary)
      for (int k = 0; k < parameters; k++) p[k] = vload(in[first + 1 + k] + i * step[first + 1 + k]);
    FN(give)(form, formula(vload(x + i * x_step), p), grad + i * grad_step, y + i, d + i);
  }
}

/* Parameters that do not vary get a loop of their own, out of which the compiler moves all that depends on them alone. */
static INLINE void FN(sweep)(FN(Formula) formula, enum fastact_form form, int parameters, const T *const *in,
                             const size_t *step, T *const *out, size_t n) {
  int vary = 0;
  for (int k = 0; k < parameters; k++) vary |= step[(form == FASTACT_BACKWARD) + 1 + k] != 0;
  if (vary)
    FN(sweep_with)(formula, form, parameters, 1, in, step, out, n);
  else
    FN(sweep_with)(formula, form, parameters, 0, in, step, out, n);
}

/* grad * x * slope: the larger of grad and x meets the slope first, so that nothing is lost on the way to a result. */
static INLINE V FN(three_factors)(V grad, V x, V slope) {
  M first = vlt(vabs(x), vabs(grad));
  return vsel(first, grad, x) * slope * vsel(first, x, grad);
}

/* x * act(gate), and its two gradients */
static INLINE void FN(sweep_gate)(FN(Formula) act, enum fastact_form form, const T *const *in, const size_t *step,
                                  T *const *out, size_t n) {
  int first = form == FASTACT_BACKWARD;
  for (size_t i = 0; i < n; i += LANES) {
    V x = vload(in[first] + i * step[first]);
    VD both = act(vload(in[first + 1] + i * step[first + 1]), NULL);
    if (form == FASTACT_FORWARD) vstore(out[0] + i, x * both.f);
    if (form == FASTACT_BACKWARD) {
      V grad = vload(in[0] + i * step[0]);
      vstore(out[0] + i, grad * both.f);
      vstore(out[1] + i, FN(three_factors)(grad, x, both.d));
    }
  }
}

/* Symbols carry form, dtype and ISA, for profilers and for the test that reads the assembly. */
#define KERNEL_NAME(name, form) CAT(FN(name##_##form), ISA)
#define KERNEL(name, form, sweep) \
  static NOINLINE void KERNEL_NAME(name, form)(const T *const *in, const size_t *step, T *const *out, size_t n) { sweep; }
#define FORMULA(name, value) \
  static INLINE VD FN(name##_formula)(V x, const V *p) { \
    (void)p; \
    return value; \
  }
#define CALL_0(f) f(x)
#define CALL_1(f) f(x, p[0])
#define CALL_2(f) f(x, p[0], p[1])
#define CALL_4(f) f(x, p[0], p[1], p[2], p[3])
#define ACTIVATION_KERNEL(name, form, count) KERNEL(name, form, FN(sweep)(FN(name##_formula), form, count, in, step, out, n))
#define ACTIVATION(name, count, ...) \
  FORMULA(name, CALL_##count(FN(name))) \
  ACTIVATION_KERNEL(name, FASTACT_FORWARD, count) \
  ACTIVATION_KERNEL(name, FASTACT_DERIVATIVE, count) \
  ACTIVATION_KERNEL(name, FASTACT_BACKWARD, count) \
  ACTIVATION_KERNEL(name, FASTACT_WITH_DERIVATIVE, count)
#define GATE(name, act, ...) \
  KERNEL(name, FASTACT_FORWARD, FN(sweep_gate)(FN(act##_formula), FASTACT_FORWARD, in, step, out, n)) \
  KERNEL(name, FASTACT_BACKWARD, FN(sweep_gate)(FN(act##_formula), FASTACT_BACKWARD, in, step, out, n))
#define FROM_OUTPUT(name, ...) \
  FORMULA(name##_from_output, ((VD){FN(name##_from_output)(x), x})) \
  ACTIVATION_KERNEL(name##_from_output, FASTACT_FORWARD, 0)
#define PARAMETER_GRADIENT(name, count, ...) \
  FORMULA(name##_parameter, ((VD){x, CALL_##count(FN(name##_parameter))})) \
  ACTIVATION_KERNEL(name##_parameter, FASTACT_BACKWARD, count)
#include "activations.def"
#undef ACTIVATION
#undef GATE
#undef FROM_OUTPUT
#undef PARAMETER_GRADIENT
#undef ACTIVATION_KERNEL
#undef FORMULA
#undef KERNEL

#define ENTRY(name, form) [form] = KERNEL_NAME(name, form)
#define ACTIVATION(name, ...) \
  {ENTRY(name, FASTACT_FORWARD), ENTRY(name, FASTACT_DERIVATIVE), ENTRY(name, FASTACT_BACKWARD), \
   ENTRY(name, FASTACT_WITH_DERIVATIVE)},
#define GATE(name, ...) {ENTRY(name, FASTACT_FORWARD), ENTRY(name, FASTACT_BACKWARD)},
#define FROM_OUTPUT(name, ...) {ENTRY(name##_from_output, FASTACT_FORWARD)},
#define PARAMETER_GRADIENT(name, ...) {ENTRY(name##_parameter, FASTACT_BACKWARD)},
static const FN(Kernel) FN(kernels)[][FASTACT_FORMS] = {
#include "activations.def"
};
#undef ACTIVATION
#undef GATE
#undef FROM_OUTPUT
#undef PARAMETER_GRADIENT
#undef ENTRY
#undef KERNEL_NAME

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

/* Elements [first, first + n), a multiple of LANES, in user memory. */
static void FN(run_direct)(FN(Job) *job, size_t first, size_t n) {
  const T *in[FASTACT_MAX_OPERANDS];
  size_t step[FASTACT_MAX_OPERANDS];
  T *out[2];
  for (int k = 0; k < job->nin; k++) {
    step[k] = job->strides[k] != 0;
    in[k] = step[k] ? (const T *)job->operands[k] + first : job->stage[k];
  }
  for (int k = 0; k < job->nout; k++) out[k] = (T *)job->operands[job->nin + k] + first;
  FN(run_kernel)(job, in, step, out, n);
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

static void FN(run)(const FN(Memory) *memory, int row, enum fastact_form form, char *const *operands,
                    const ptrdiff_t *strides, size_t n) {
  T stage[FASTACT_MAX_OPERANDS][FN(STAGE) + LANES] ALIGNED;
  const fastact_activation *entry = &fastact_activations[row];
  int nin = fastact_nin(entry, form), nout = fastact_nout(entry, form);
  FN(Job) job = {FN(kernels)[row][form], memory, entry, nin, nout, operands, strides, stage, 0};
  for (int k = 0; k < nin; k++)
    if (strides[k] == 0) {
      FN(load_operand)(&job, k, 0, 1);
      vstore(stage[k], vset(stage[k][0]));
    }

  fastact_ran(STRING(ISA));
  unsigned before = fpflags_get();
  if (before) fpflags_set(0);
  if (FN(may_run_direct)(&job, n)) {
    size_t direct = n / LANES * LANES;
    for (size_t first = 0; first < direct; first += FN(STRETCH))
      FN(run_direct)(&job, first, direct - first < FN(STRETCH) ? direct - first : FN(STRETCH));
    if (direct < n) FN(run_staged)(&job, direct, n - direct);
  } else {
    for (size_t first = 0; first < n; first += FN(STAGE))
      FN(run_staged)(&job, first, n - first < FN(STAGE) ? n - first : FN(STAGE));
  }
  if (before | job.flags) fpflags_set(before | job.flags);
}

#define ELEMENTWISE(name, size, load, store) \
  static void elementwise_##name(int row, enum fastact_form form, char *const *operands, const ptrdiff_t *strides, \
                                 size_t n) { \
    static const FN(Memory) memory = {size, load, store}; \
    FN(run)(&memory, row, form, operands, strides, n); \
  }
#if REAL == 32
ELEMENTWISE(f32, sizeof(float), load_f32, store_f32)
ELEMENTWISE(f16, 2, CAT(load_f16, ISA), CAT(store_f16, ISA))
ELEMENTWISE(bf16, 2, CAT(load_bf16, ISA), CAT(store_bf16, ISA))
#else
ELEMENTWISE(f64, sizeof(double), load_f64, store_f64)
#endif
#undef ELEMENTWISE
