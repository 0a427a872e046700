/* Steps of recurrent cells, all of them but the matrix products, and their gradients.
 *
 * A forward pass saves the partial derivatives of its step, products of slopes that were computed from x: no more memory
 * than gates and tanh(c) would take, and the way back only multiplies. */

/* One vector of each operand; what a kernel does not store is never computed. */
typedef void (*FN(CellFormula))(const V *in, V *out);

/* i, f, g, o, c_prev -> h, c; dc/di, dc/df, dc/dg, dh/do, dh/dc, dc/dc_prev */
static INLINE void FN(lstm_formula)(const V *in, V *out) {
  VD i = FN(sigmoid)(in[0]), f = FN(sigmoid)(in[1]), g = FN(tanh)(in[2]), o = FN(sigmoid)(in[3]);
  V c_prev = in[4], c = vfma(f.f, c_prev, i.f * g.f);
  VD t = FN(tanh)(c);
  out[0] = o.f * t.f;
  out[1] = c;
  out[2] = g.f * i.d;
  out[3] = c_prev * f.d;
  out[4] = i.f * g.d;
  out[5] = t.f * o.d;
  out[6] = o.f * t.d;
  out[7] = f.f;
}

/* dh, dc, what was saved -> di, df, dg, do, dc_prev */
static INLINE void FN(lstm_backward_formula)(const V *in, V *out) {
  const V *saved = in + 2;
  V dh = in[0], dc = vfma(dh, saved[4], in[1]);
  out[0] = dc * saved[0];
  out[1] = dc * saved[1];
  out[2] = dc * saved[2];
  out[3] = dh * saved[3];
  out[4] = dc * saved[5];
}

typedef struct {
  V open, shut, slope; /* sigmoid(v), 1 - sigmoid(v), sigmoid'(v) */
} FN(Gate);

/* Of v = a + b, whose rounding would cost the tails as many ULPs as it is large. */
static INLINE FN(Gate) FN(gate_of_sum)(V a, V b) {
  Pair v = exact_sum(a, b);
  v.lo = vsel(vlt(vabs(v.hi), vset(EXP_LIMIT)), v.lo, vset(0));
  Logistic open = logistic(v.hi, &v.lo), shut = {vlt(vset(0), v.hi), open.y};
  return (FN(Gate)){logistic_value(open), logistic_value(shut), logistic_slope(open) * vset(SCALE_DOWN)};
}

/* r, z and n of x, r, z and n of h, h_prev -> h = (1 - z) n + z h_prev; dh/dr, dh/dz, dh/dx_n, dh/dh_n, dh/dh_prev */
static INLINE void FN(gru_formula)(const V *in, V *out) {
  V h_n = in[5], h_prev = in[6];
  FN(Gate) r = FN(gate_of_sum)(in[0], in[3]), z = FN(gate_of_sum)(in[1], in[4]);
  VD n = FN(tanh)(vfma(r.open, h_n, in[2]));
  V dn = z.shut * n.d;
  out[0] = vfma(z.open, h_prev, z.shut * n.f);
  out[1] = h_n * r.slope * dn;
  out[2] = (h_prev - n.f) * z.slope;
  out[3] = dn;
  out[4] = r.open * dn;
  out[5] = z.open;
}

/* dh, what was saved -> r, z and n of dx, r, z and n of dh, dh_prev */
static INLINE void FN(gru_backward_formula)(const V *in, V *out) {
  const V *saved = in + 1;
  V dh = in[0];
  out[0] = out[3] = dh * saved[0];
  out[1] = out[4] = dh * saved[1];
  out[2] = dh * saved[2];
  out[5] = dh * saved[3];
  out[6] = dh * saved[4];
}

/* The first `left` elements of a row from j on, or a vector of them. */
static INLINE void FN(cell_step)(FN(CellFormula) formula, T *const *at, int nin, int nout, size_t j, size_t left) {
  V in[FASTACT_CELL_OPERANDS], out[FASTACT_CELL_OPERANDS];
  for (int k = 0; k < nin; k++) in[k] = FN(load_upto)(at[k] + j, left, 0);
  formula(in, out);
  for (int k = 0; k < nout; k++) FN(store_upto)(at[nin + k] + j, out[k], left);
}

static INLINE void FN(sweep_cells)(FN(CellFormula) formula, const fastact_cells *cells, int nin, int nout) {
  unsigned flags = fpflags_get();
  T *at[FASTACT_CELL_OPERANDS];
  for (int k = 0; k < nin + nout; k++) at[k] = cells->at[k];
  fastact_ran(STRING(ISA));
  for (size_t row = 0; row < cells->rows; row++) {
    size_t j = 0;
    for (; j + LANES <= cells->width; j += LANES) FN(cell_step)(formula, at, nin, nout, j, LANES);
    if (j < cells->width) FN(cell_step)(formula, at, nin, nout, j, cells->width - j);
    for (int k = 0; k < nin + nout; k++) at[k] += cells->stride[k];
  }
  fpflags_set(flags);
}

#define CELL_KERNEL(name, formula, nin, nout) \
  static void FN(name)(const fastact_cells *cells) { FN(sweep_cells)(FN(formula), cells, nin, nout); }
CELL_KERNEL(lstm, lstm_formula, 5, 8)
CELL_KERNEL(lstm_inference, lstm_formula, 5, 2)
CELL_KERNEL(lstm_backward, lstm_backward_formula, 8, 5)
CELL_KERNEL(gru, gru_formula, 7, 6)
CELL_KERNEL(gru_inference, gru_formula, 7, 1)
CELL_KERNEL(gru_backward, gru_backward_formula, 6, 7)
#undef CELL_KERNEL
