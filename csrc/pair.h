/* Unevaluated sums hi + lo of two T, |lo| <= ulp(hi)/2: about twice the precision of T, so that the one rounding that
 * a result needs is its last. The error-free transformations are Dekker's (1971) and Knuth's. */

#define fast_sum FN(fast_sum)
#define exact_sum FN(exact_sum)
#define exact_product FN(exact_product)
#define pair_sum FN(pair_sum)
#define pair_product FN(pair_product)
#define pair_scaled FN(pair_scaled)
#define pair_quotient FN(pair_quotient)
#define pair_reciprocal FN(pair_reciprocal)
#define pair_select FN(pair_select)
#define pair_times FN(pair_times)
#define pair_round FN(pair_round)
#define pair FN(pair)

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

/* (a.hi + a.lo) + (b.hi + b.lo) for |a.hi| >= |b.hi|. */
static INLINE Pair pair_sum(Pair a, Pair b) {
  Pair s = fast_sum(a.hi, b.hi);
  return fast_sum(s.hi, s.lo + (a.lo + b.lo));
}

static INLINE Pair pair_product(Pair a, Pair b) {
  Pair p = exact_product(a.hi, b.hi);
  return fast_sum(p.hi, vfma(a.hi, b.lo, vfma(a.lo, b.hi, p.lo)));
}

/* Exact where `factor` is a power of two and nothing underflows. */
static INLINE Pair pair_scaled(Pair a, V factor) { return (Pair){a.hi * factor, a.lo * factor}; }

static INLINE Pair pair_quotient(Pair a, Pair b) {
  V r = vset(1) / b.hi, q = a.hi * r;
  V remainder = vresidual(q, b.hi, a.hi) + (a.lo - q * b.lo);
  return fast_sum(q, remainder * r);
}

/* 1 / b */
static INLINE Pair pair_reciprocal(Pair b) {
  V r = vset(1) / b.hi;
  return pair(r, r * (vresidual(r, b.hi, vset(1)) - r * b.lo));
}

static INLINE Pair pair_select(M m, Pair a, Pair b) { return (Pair){vsel(m, a.hi, b.hi), vsel(m, a.lo, b.lo)}; }

/* a * x, rounded to T once. */
static INLINE V pair_times(Pair a, V x) {
  Pair p = exact_product(a.hi, x);
  return p.hi + vfma(a.lo, x, p.lo);
}

static INLINE V pair_round(Pair a) { return a.hi + a.lo; }
