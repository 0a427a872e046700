/* The elementwise loops: a kernel for each row and form of activations.def.
 *
 * A kernel sees whole vectors only: contiguous operands, or one replicated vector for an operand that does not change. The
 * driver (driver.h) feeds it. */

#include "activations.h"

typedef VD (*FN(Formula))(V x, const V *parameters);

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
  FORMULA(name##_from_output, ((VD){FN(name##_from_output)(x), FN(name##_from_output)(x)})) \
  ACTIVATION_KERNEL(name##_from_output, FASTACT_FORWARD, 0) \
  ACTIVATION_KERNEL(name##_from_output, FASTACT_BACKWARD, 0)
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
#define FROM_OUTPUT(name, ...) {ENTRY(name##_from_output, FASTACT_FORWARD), ENTRY(name##_from_output, FASTACT_BACKWARD)},
#define PARAMETER_GRADIENT(name, ...) {ENTRY(name##_parameter, FASTACT_BACKWARD)},
const FN(Kernel) CAT(FN(kernels), ISA)[][FASTACT_FORMS] = {
#include "activations.def"
};
#undef ACTIVATION
#undef GATE
#undef FROM_OUTPUT
#undef PARAMETER_GRADIENT
#undef ENTRY
#undef KERNEL_NAME
