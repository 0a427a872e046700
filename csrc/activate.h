/* An activation as the last step of another pass, which leaves its results in a stage: the kernel reads them there and
 * writes what the pass gives, so that memory is written once. */

typedef struct {
  FN(Kernel) kernel; /* NULL for none */
  int parameters;
  T parameter[FASTACT_MAX_PARAMETERS][LANES];
} FN(Activation);

static FN(Activation) FN(activation)(const fastact_chosen *chosen, enum fastact_form form) {
  FN(Activation) f = {NULL, 0, {{0}}};
  if (chosen->row < 0) return f;
  f.kernel = CAT(FN(kernels), ISA)[chosen->row][form];
  f.parameters = fastact_activations[chosen->row].parameters;
  for (int k = 0; k < f.parameters; k++) vstore(f.parameter[k], vset((T)chosen->parameter[k]));
  return f;
}

/* n elements, a multiple of LANES: f(z), or grad * f'(z) where the kernel is that of a backward pass. */
static void FN(activate_whole)(const FN(Activation) *f, const T *grad, const T *z, T *out, size_t n) {
  const T *in[FASTACT_MAX_OPERANDS];
  size_t step[FASTACT_MAX_OPERANDS] = {0};
  int nin = 0;
  if (grad) step[nin] = 1, in[nin++] = grad;
  step[nin] = 1, in[nin++] = z;
  for (int k = 0; k < f->parameters; k++) in[nin++] = f->parameter[k];
  f->kernel(in, step, &out, n);
}

/* The same for any n; out may be grad, but not z. */
static void FN(activate)(const FN(Activation) *f, const T *grad, const T *z, T *out, size_t n) {
  size_t whole = n / LANES * LANES, size = (n - whole) * sizeof(T);
  if (whole) FN(activate_whole)(f, grad, z, out, whole);
  if (!size) return;
  T last_z[LANES] = {0}, last_grad[LANES] = {0}, last_out[LANES];
  memcpy(last_z, z + whole, size);
  if (grad) memcpy(last_grad, grad + whole, size);
  FN(activate_whole)(f, grad ? last_grad : NULL, last_z, last_out, LANES);
  memcpy(out + whole, last_out, size);
}
