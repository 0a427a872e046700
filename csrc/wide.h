/* float64 lanes over arrays of either type: W, a V_f64, is loaded from and stored to float32 or float64 memory. What adds
 * many terms works in W: float32 terms then need no more care, and float64 terms keep what each addition rounds away. */

typedef V_f64 W;
typedef M_f64 WMask;
typedef Pair_f64 WPair;
enum { WIDTH = LANES_f64 };

static INLINE W wload_f64(const double *p) { return vload_f64(p); }
static INLINE void wstore_f64(double *p, W a) { vstore_f64(p, a); }

#define wload FN(wload)
#define wstore FN(wstore)
#define wload_upto FN(wload_upto)
#define wstore_upto FN(wstore_upto)
#define wplus FN(wplus)
#define wplus_product FN(wplus_product)
#define wplus_pair FN(wplus_pair)

/* a, with zeros in all lanes but the first `left`. */
static INLINE W wkeep(W a, size_t left) {
  double lanes[WIDTH];
  if (left >= WIDTH) return a;
  vstore_f64(lanes, a);
  for (size_t k = left; k < WIDTH; k++) lanes[k] = 0;
  return vload_f64(lanes);
}

/* The sum of the lanes, in every lane. */
static INLINE WPair wtotal(WPair s) {
  double hi[WIDTH], lo[WIDTH];
  vstore_f64(hi, s.hi);
  vstore_f64(lo, s.lo);
  double sum = hi[0], rest = lo[0];
  for (int k = 1; k < WIDTH; k++) {
    double next = sum + hi[k], b = next - sum; /* Knuth's two-sum */
    rest += lo[k] + ((sum - (next - b)) + (hi[k] - b));
    sum = next;
  }
  return (WPair){vset_f64(sum), vset_f64(rest)};
}

/* a + b; hi is the rounded sum even where the high parts cancel. */
static INLINE WPair wsum(WPair a, WPair b) {
  WPair t = exact_sum_f64(a.hi, b.hi);
  return exact_sum_f64(t.hi, t.lo + (a.lo + b.lo));
}

/* s / n: hi is divided and what remains of it, exactly; a quotient that is a float64 has no low part. */
static INLINE WPair wmean(WPair s, double n) {
  WPair a = exact_sum_f64(s.hi, s.lo);
  W count = vset_f64(n), q = a.hi / count;
  return (WPair){q, (vresidual_f64(q, count, a.hi) + a.lo) / count};
}
