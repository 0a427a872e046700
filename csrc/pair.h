/* Unevaluated sums hi + lo of two T, lo small beside hi: more precise than T, so that the one rounding that a result needs
 * is its last. The error-free transformations are Dekker's (1971) and Knuth's. */

#define Pair FN(Pair)
#define pair FN(pair)
#define fast_sum FN(fast_sum)
#define exact_sum FN(exact_sum)
#define exact_product FN(exact_product)
#define pair_sum FN(pair_sum)
#define pair_product FN(pair_product)
#define pair_scaled FN(pair_scaled)
#define pair_quotient FN(pair_quotient)
#define pair_select FN(pair_select)
#define pair_times FN(pair_times)
#define pair_round FN(pair_round)
#define Inverse FN(Inverse)
#define inverse_of FN(inverse_of)
#define inverse_from FN(inverse_from)
#define pair_over FN(pair_over)

typedef struct {
  V hi, lo;
} Pair;

static INLINE Pair pair(V hi, V lo) { return (Pair){hi, lo}; }

/* a + b exactly, for |a| >= |b| or a == 0. */
static INLINE Pair fast_sum(V a, V b) {
  V hi = a + b;
  return (Pair){hi, b - (hi - a)};
}

/* a + b exactly, in any order of magnitude. */
static INLINE Pair exact_sum(V a, V b) {
  V hi = a + b, bb = hi - a;
  return (Pair){hi, (a - (hi - bb)) + (b - bb)};
}

/* a * b exactly (no intermediate may overflow or underflow). */
static INLINE Pair exact_product(V a, V b) {
  V hi = a * b;
  return (Pair){hi, -vresidual(a, b, hi)};
}

/* For |a.hi| >= |b.hi|. */
static INLINE Pair pair_sum(Pair a, Pair b) {
  Pair s = fast_sum(a.hi, b.hi);
  return pair(s.hi, s.lo + (a.lo + b.lo));
}

static INLINE Pair pair_product(Pair a, Pair b) {
  Pair p = exact_product(a.hi, b.hi);
  return pair(p.hi, vfma(a.hi, b.lo, vfma(a.lo, b.hi, p.lo)));
}

/* Exact where `factor` is a power of two and nothing underflows. */
static INLINE Pair pair_scaled(Pair a, V factor) { return (Pair){a.hi * factor, a.lo * factor}; }

static INLINE Pair pair_select(M m, Pair a, Pair b) { return (Pair){vsel(m, a.hi, b.hi), vsel(m, a.lo, b.lo)}; }

/* a * x, rounded to T once. */
static INLINE V pair_times(Pair a, V x) { return vfma_once(a.hi, x, a.lo * x); }

static INLINE V pair_round(Pair a) { return a.hi + a.lo; }

/* 1 / b = r (1 + e): r may be a rough reciprocal, since e is known to twice its precision. */
typedef struct {
  V r, e;
} Inverse;

static INLINE Inverse inverse_from(V r, Pair b) { return (Inverse){r, vresidual(r, b.lo, vresidual(r, b.hi, vset(1)))}; }

static INLINE Inverse inverse_of(Pair b) { return inverse_from(vreciprocal(b.hi), b); }

/* a / b */
static INLINE Pair pair_over(Pair a, Inverse b) {
  Pair q = exact_product(a.hi, b.r);
  return pair(q.hi, vfma(q.hi, b.e, vfma(a.lo, b.r, q.lo)));
}

static INLINE Pair pair_quotient(Pair a, Pair b) { return pair_over(a, inverse_of(b)); }
