/* What a kernel is: one row and form of activations.def over whole vectors. elementwise.h makes them, driver.h and the
 * passes along an axis call them. */

/* Inputs first (grad, x, parameters), then outputs; step is in elements per element, 0 or 1; n is a multiple of LANES. */
typedef void (*FN(Kernel))(const T *const *in, const size_t *step, T *const *out, size_t n);

/* What a formula gives. */
typedef struct {
  V f, d; /* f(x) and f'(x); what a kernel does not use is never computed */
} VD;

extern const FN(Kernel) CAT(FN(kernels), ISA)[][FASTACT_FORMS];
