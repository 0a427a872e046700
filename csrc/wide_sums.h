/* wide.h for one element type: partial vectors, and sums that float32 leaves to float64 and float64 keeps as pairs. */

/* The first `left` elements, or all of a vector of them; zeros in the other lanes. */
static INLINE W wload_upto(const T *p, size_t left) {
  T lanes[WIDTH];
  if (left >= WIDTH) return wload(p);
  memset(lanes, 0, sizeof lanes);
  memcpy(lanes, p, left * sizeof(T));
  return wload(lanes);
}

static INLINE void wstore_upto(T *p, W a, size_t left) {
  T lanes[WIDTH];
  if (left >= WIDTH) {
    wstore(p, a);
  } else {
    wstore(lanes, a);
    memcpy(p, lanes, left * sizeof(T));
  }
}

/* s + x */
static INLINE WPair wplus(WPair s, W x) {
#if REAL == 32
  return (WPair){s.hi + x, s.lo};
#else
  WPair t = exact_sum_f64(s.hi, x);
  return (WPair){t.hi, s.lo + t.lo};
#endif
}

/* s + a b */
static INLINE WPair wplus_product(WPair s, WPair a, WPair b) {
#if REAL == 32
  return (WPair){vfma_f64(a.hi, b.hi, s.hi), s.lo};
#else
  WPair p = pair_product_f64(a, b), t = exact_sum_f64(s.hi, p.hi);
  return (WPair){t.hi, s.lo + (t.lo + p.lo)};
#endif
}

static INLINE WPair wplus_pair(WPair s, WPair t) {
  WPair u = wplus(s, t.hi);
  return (WPair){u.hi, u.lo + t.lo};
}
