/* float64 lanes over arrays of either type: W, a V_f64, is loaded from and stored to float32 or float64 memory. What adds
 * many terms works in W: float32 terms then need no more care, and float64 terms keep what each addition rounds away. */

#define ISA_IS_scalar 0
#define ISA_IS_sse2 1
#define ISA_IS_avx2 2
#define ISA_IS_avx512 3
#define ISA_IS_neon 4
#define ISA_NUMBER CAT(ISA_IS, ISA)

typedef V_f64 W;
typedef M_f64 WMask;
typedef Pair_f64 WPair;
enum { WIDTH = LANES_f64 };

#if ISA_NUMBER == ISA_IS_scalar
static INLINE W wload_f32(const float *p) { return *p; }
static INLINE void wstore_f32(float *p, W a) { *p = (float)a; }
static INLINE W wsqrt(W a) { return sqrt(a); }
#elif ISA_NUMBER == ISA_IS_sse2
static INLINE W wload_f32(const float *p) {
  return _mm_cvtps_pd(_mm_castpd_ps(_mm_load_sd((const double *)(const void *)p)));
}
static INLINE void wstore_f32(float *p, W a) { _mm_store_sd((double *)(void *)p, _mm_castps_pd(_mm_cvtpd_ps(a))); }
static INLINE W wsqrt(W a) { return _mm_sqrt_pd(a); }
#elif ISA_NUMBER == ISA_IS_avx2
static INLINE W wload_f32(const float *p) { return _mm256_cvtps_pd(_mm_loadu_ps(p)); }
static INLINE void wstore_f32(float *p, W a) { _mm_storeu_ps(p, _mm256_cvtpd_ps(a)); }
static INLINE W wsqrt(W a) { return _mm256_sqrt_pd(a); }
#elif ISA_NUMBER == ISA_IS_avx512
static INLINE W wload_f32(const float *p) { return _mm512_cvtps_pd(_mm256_loadu_ps(p)); }
static INLINE void wstore_f32(float *p, W a) { _mm256_storeu_ps(p, _mm512_cvtpd_ps(a)); }
static INLINE W wsqrt(W a) { return _mm512_sqrt_pd(a); }
#elif ISA_NUMBER == ISA_IS_neon
static INLINE W wload_f32(const float *p) { return vcvt_f64_f32(vld1_f32(p)); }
static INLINE void wstore_f32(float *p, W a) { vst1_f32(p, vcvt_f32_f64(a)); }
static INLINE W wsqrt(W a) { return vsqrtq_f64(a); }
#endif
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

/* s / n: hi is divided and what remains of it, exactly; a quotient that is a float64 has no low part. */
static INLINE WPair wmean(WPair s, double n) {
  WPair a = exact_sum_f64(s.hi, s.lo);
  W count = vset_f64(n), q = a.hi / count;
  return (WPair){q, (vresidual_f64(q, count, a.hi) + a.lo) / count};
}
