/* A census of an array: how large its entries are, how their exponents are spread, and which are no numbers. Memory is read
 * once: a block is looked at several times, but then it is in the nearest cache.
 *
 * To raise a counter for every entry would take several times as long as to read the memory. So the exponents of a block are
 * packed, and whole vectors of them compared with one exponent after the other, from the largest down to where none is left:
 * some fifteen in a block of gradients. What lies further down than forty is counted one by one. As this still takes as long
 * as the reading, the histogram of a long array is one of every fourth block. Everything else is of all entries. */

/* An exponent as it stands in a number. */
#if REAL == 32
typedef uint8_t FN(Exponent);
#else
typedef uint16_t FN(Exponent);
#endif
#define Exponent FN(Exponent)

enum {
  FN(CENSUS_STEP) = 256 / sizeof(T),            /* entries: four of the longest vectors, to which a block is filled up */
  FN(CENSUS_BLOCK) = 16 * (int)FN(CENSUS_STEP), /* a lane of bytes counts to 255 at most */
  FN(CENSUS_GOES) = 10                          /* after so many times four exponents, the rest is counted one by one */
};

/* Where the largest |x| is beyond these, a block is scaled before it is squared, so that nothing leaves the range of T. */
#define CENSUS_SMALL PICK(0x1p-50f, 0x1p-500)
#define CENSUS_LARGE PICK(0x1p50f, 0x1p500)
#define CENSUS_SCALE PICK(0x1p100f, 0x1p600)

static INLINE U FN(magnitude_bits)(T x) {
  U u;
  memcpy(&u, &x, sizeof u);
  return u & ((U)-1 >> 1);
}

static INLINE size_t FN(exponent_of)(T x) { return (size_t)(FN(magnitude_bits)(x) >> MANTISSA_BITS); }

/* Where the histogram has the numbers of an exponent; those of subnormal numbers are before. */
static INLINE size_t FN(census_place)(size_t exponent) { return exponent + MANTISSA_BITS - 1; }

/* The largest and the smallest |x| of a block, NaN left out, and the sum of squares of scale x. */
typedef struct {
  T largest, smallest;
  double squares;
} FN(Tallies);

/* Four squares at a time are added in T, and these sums in float64. With `finite`, what is not finite counts as 0. */
static INLINE FN(Tallies) FN(moments)(const T *x, size_t n, T scale, int finite) {
  enum { SIDE = 4, PARTS = LANES / WIDTH };
  V largest[SIDE], smallest[SIDE];
  W sum[PARTS];
  T lanes[LANES] ALIGNED;
  double parts[WIDTH];
  FN(Tallies) found = {0, (T)INFINITY, 0};
  for (int q = 0; q < SIDE; q++) {
    largest[q] = vset(0);
    smallest[q] = vset(INFINITY);
  }
  for (int p = 0; p < PARTS; p++) sum[p] = vset_f64(0);
  for (size_t k = 0; k < n; k += SIDE * LANES) {
    V squares[2] = {vset(0), vset(0)};
    for (int q = 0; q < SIDE; q++) {
      V a = vabs(vload(x + k + q * LANES));
      if (finite) a = vsel(vlt(a, vset(INFINITY)), a, vset(0));
      largest[q] = vmax(a, largest[q]);
      smallest[q] = vmin(a, smallest[q]);
      if (scale != 1) a = a * vset(scale);
      squares[q % 2] = vfma(a, a, squares[q % 2]);
    }
    vstore(lanes, squares[0] + squares[1]);
    for (int p = 0; p < PARTS; p++) sum[p] = sum[p] + wload(lanes + p * WIDTH);
  }
  for (int q = 1; q < SIDE; q++) {
    largest[0] = vmax(largest[0], largest[q]);
    smallest[0] = vmin(smallest[0], smallest[q]);
  }
  for (int p = 1; p < PARTS; p++) sum[0] = sum[0] + sum[p];
  vstore(lanes, largest[0]);
  for (int l = 0; l < LANES; l++) found.largest = lanes[l] > found.largest ? lanes[l] : found.largest;
  vstore(lanes, smallest[0]);
  for (int l = 0; l < LANES; l++) found.smallest = lanes[l] < found.smallest ? lanes[l] : found.smallest;
  vstore_f64(parts, sum[0]);
  for (int l = 0; l < WIDTH; l++) found.squares += parts[l];
  return found;
}

#if defined(__GNUC__) || defined(__clang__)
#define PACK_BYTES (sizeof(V) < 16 ? 16 : sizeof(V))
#define COUNT_BYTES (PACK_BYTES > 32 ? 32 : PACK_BYTES) /* AVX-512 compares into masks, which takes longer */
enum { FN(TOGETHER) = 4 };
typedef U FN(Bits) __attribute__((vector_size(PACK_BYTES)));
typedef Exponent FN(Exponents) __attribute__((vector_size(COUNT_BYTES)));
typedef uint64_t FN(Words) __attribute__((vector_size(COUNT_BYTES)));

/* The exponents of four vectors as one, in an order of its own. */
static NOINLINE void FN(pack_exponents)(const T *x, size_t n, Exponent *packed) {
  enum { SIDE = PACK_BYTES / sizeof(T), BITS = 8 * sizeof(Exponent) };
  U mask = 2 * EXPONENT_BIAS + 1;
  for (size_t k = 0; k < n; k += 4 * SIDE) {
    FN(Bits) a, b, c, d;
    memcpy(&a, x + k, sizeof a);
    memcpy(&b, x + k + SIDE, sizeof b);
    memcpy(&c, x + k + 2 * SIDE, sizeof c);
    memcpy(&d, x + k + 3 * SIDE, sizeof d);
    a = a >> MANTISSA_BITS & mask;
    b = b >> (MANTISSA_BITS - BITS) & mask << BITS;
    c = c >> (MANTISSA_BITS - 2 * BITS) & mask << 2 * BITS;
    d = PICK(d << 1, d >> 4) & mask << 3 * BITS; /* by the mantissa's bits, less three times BITS */
    a |= b | (c | d);
    memcpy(packed + k, &a, sizeof a);
  }
}

/* How often each of four exponents is among the packed ones. Meanwhile the next quarter of the next block is fetched. */
static NOINLINE void FN(count_exponents)(const Exponent *packed, size_t n, const Exponent *exponent, size_t *count,
                                         const char *next) {
  enum { SIDE = FN(TOGETHER), WIDE = COUNT_BYTES / sizeof(Exponent), WORDS = COUNT_BYTES / 8 };
  FN(Exponents) wanted[SIDE], seen[SIDE], exponents;
  for (int q = 0; q < SIDE; q++) {
    wanted[q] = exponent[q] - (FN(Exponents)){0};
    seen[q] = (FN(Exponents)){0};
  }
  for (size_t k = 0; k < n; k += WIDE) {
    memcpy(&exponents, packed + k, sizeof exponents);
    __builtin_prefetch(next + k * sizeof(Exponent));
    for (int q = 0; q < SIDE; q++) seen[q] -= (FN(Exponents))(exponents == wanted[q]);
  }
  for (int q = 0; q < SIDE; q++) {
    uint64_t word[WORDS], sum = 0, even = 0x00ff00ff00ff00ff;
    FN(Words) sixteens = (FN(Words))seen[q];
    if (sizeof(Exponent) == 1) sixteens = (sixteens & even) + (sixteens >> 8 & even);
    memcpy(word, &sixteens, sizeof word);
    for (int w = 0; w < WORDS; w++) sum += word[w];
    count[q] = (sum * 0x0001000100010001) >> 48;
  }
}
#endif

/* Puts the normal numbers of a block into the histogram: `left` of them, the largest of exponent `top`. */
static void FN(count_normal)(const T *x, size_t n, size_t top, size_t left, int64_t *histogram) {
#if defined(__GNUC__) || defined(__clang__)
  enum { SIDE = FN(TOGETHER) };
  Exponent packed[FN(CENSUS_BLOCK)] ALIGNED;
  if (left) FN(pack_exponents)(x, n, packed);
  for (size_t go = 0; left && go < FN(CENSUS_GOES); go++) {
    Exponent exponent[SIDE];
    size_t count[SIDE];
    for (int q = 0; q < SIDE; q++) exponent[q] = (Exponent)(top ? top-- : 0);
    FN(count_exponents)(packed, n, exponent, count, (const char *)(x + n) + go * n * sizeof(Exponent));
    for (int q = 0; q < SIDE; q++) {
      if (!exponent[q]) break;
      histogram[FN(census_place)(exponent[q])] += (int64_t)count[q];
      left -= count[q];
    }
  }
#endif
  for (size_t i = 0; left && i < n; i++) {
    size_t exponent = FN(exponent_of)(x[i]);
    if (!exponent || exponent > top) continue;
    histogram[FN(census_place)(exponent)]++;
    left--;
  }
}

/* Puts the subnormal numbers of a block, so many, into the histogram. */
static void FN(count_subnormal)(const T *x, size_t left, int64_t *histogram) {
  for (; left; x++) {
    U u = FN(magnitude_bits)(*x);
    size_t place = 0;
    if (!u || u >> MANTISSA_BITS) continue;
    while (u >>= 1) place++;
    histogram[place]++;
    left--;
  }
}

static size_t FN(count_nonfinite)(const T *x, size_t n, size_t offset, fastact_census *c) {
  size_t count = 0;
  for (size_t i = 0; i < n; i++) {
    if (isfinite(x[i])) continue;
    if (c->first_nonfinite < 0) c->first_nonfinite = (int64_t)(offset + i);
    c->nan += isnan(x[i]) != 0;
    c->positive_infinity += isinf(x[i]) && x[i] > 0;
    c->negative_infinity += isinf(x[i]) && x[i] < 0;
    count++;
  }
  return count;
}

/* Of every four blocks, which one the histogram is of: not always the same, since rows may be as long as four blocks. */
static INLINE int FN(is_sampled)(size_t block) { return block % 4 == (uint32_t)(block / 4) * 2654435769u >> 30; }

/* One block, whole steps of it, of which the last `padding` entries do not belong to the array. `blocks` counts those that
 * are not all zeros; in the histogram they all are, or a sample. */
static void FN(census_block)(const T *x, size_t n, size_t padding, size_t offset, size_t *blocks, fastact_census *c,
                             int64_t *histogram) {
  FN(Tallies) m = FN(moments)(x, n, 1, 0);
  size_t nonfinite = 0;
  U zeros = 0, tiny = 0;
  int scale = 0;
  if (!(m.squares <= DBL_MAX)) {
    nonfinite = FN(count_nonfinite)(x, n, offset, c);
    m = FN(moments)(x, n, 1, 1);
  }
  if (m.largest > CENSUS_LARGE || (m.largest < CENSUS_SMALL && m.largest > 0)) {
    scale = m.largest > 1 ? -1 : 1;
    m = FN(moments)(x, n, scale < 0 ? 1 / CENSUS_SCALE : CENSUS_SCALE, 1);
  }
  c->squares[1 + scale] += m.squares;
  if (m.largest > c->largest) c->largest = m.largest;
  if (m.smallest < PICK(FLT_MIN, DBL_MIN)) {
    for (size_t i = 0; i < n; i++) {
      U u = FN(magnitude_bits)(x[i]);
      zeros += !u;
      tiny += !(u >> MANTISSA_BITS);
    }
    c->zeros += (int64_t)(zeros - padding);
    c->subnormal += (int64_t)(tiny - zeros);
  }
  if (m.largest > 0 && (!c->sampled || FN(is_sampled)((*blocks)++))) {
    FN(count_subnormal)(x, tiny - zeros, histogram);
    FN(count_normal)(x, n, FN(exponent_of)(m.largest), n - tiny - nonfinite, histogram);
  }
}

/* sqrt(sum / n) from the sums of scaled squares, of which lesser ones vanish beside greater; n 1 gives the norm. */
static double FN(census_root)(const double *squares, double n) {
  double up = CENSUS_SCALE, lesser = 1 / up / up; /* which may underflow */
  if (squares[0] > 0) return sqrt((squares[0] + lesser * squares[1]) / n) * up;
  if (squares[1] > 0) return sqrt((squares[1] + lesser * squares[2]) / n);
  return sqrt(squares[2] / n) / up;
}

static void FN(census)(const void *array, size_t n, fastact_census *c, int64_t *histogram) {
  T last[FN(CENSUS_BLOCK)] ALIGNED;
  const T *x = array;
  unsigned flags = fpflags_get();
  size_t blocks = 0;
  *c = (fastact_census){.first_nonfinite = -1, .sampled = n > FASTACT_CENSUS_WHOLE};
  fastact_ran(STRING(ISA));
  for (size_t i = 0, count; i < n; i += count) {
    count = n - i < FN(CENSUS_BLOCK) ? n - i : FN(CENSUS_BLOCK);
    size_t padding = (FN(CENSUS_STEP) - count % FN(CENSUS_STEP)) % FN(CENSUS_STEP);
    if (padding) {
      memcpy(last, x + i, count * sizeof(T));
      memset(last + count, 0, padding * sizeof(T));
    }
    FN(census_block)(padding ? last : x + i, count + padding, padding, i, &blocks, c, histogram);
  }
  double finite = (double)n - (double)(c->nan + c->positive_infinity + c->negative_infinity);
  c->norm = FN(census_root)(c->squares, 1);
  c->rms = finite > 0 ? FN(census_root)(c->squares, finite) : 0;
  fpflags_set(flags);
}
#undef Exponent
#undef CENSUS_SMALL
#undef CENSUS_LARGE
#undef CENSUS_SCALE
#undef PACK_BYTES
#undef COUNT_BYTES
