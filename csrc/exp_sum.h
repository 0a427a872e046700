/* The largest element of a line, and the sum of exp(x - it): what softmax, its logarithm and cross-entropy are made of.
 *
 * exp(x - peak) = 2^(n - k) exp(r), x = n ln2 + r, peak = k ln2 + ..., without a rounding of x - peak: n and k are whole
 * numbers, so it is exp(x) but for its exponent. A peak so large that n would be inexact is subtracted first, which then is
 * exact for every x that counts (within a factor of two of it). */

/* exp is scaled by 2^SPARE so that results that are subnormal are not yet; below 2^-(SPARE + bias - 1) it is 0 without being
 * computed, since underflow is slow and -inf, as in a mask, is common. */
#undef SPARE
#undef FLOOR
#undef FAR
#undef STEPS
#define SPARE PICK(25, 54)
#define FLOOR (SPARE + EXPONENT_BIAS) /* 2^-FLOOR beside 1 is far below the smallest subnormal */
#define FAR PICK(106.0f, 747.0)       /* FLOOR ln2 and a bit */
#define STEPS PICK(16, 1)             /* n counts so many steps to a power of two */

#if REAL == 32
/* 2^(j/16) = hi + lo, and (e^r - 1 - r) / r^2 for |r| <= ln2/32: relative error of e^r 2^-29.2. By tools/minimax.py. */
static const float exp_steps_hi[16] = {0x1p+0f,        0x1.0b5586p+0f, 0x1.172b84p+0f, 0x1.2387a6p+0f,
                                       0x1.306fep+0f,  0x1.3dea64p+0f, 0x1.4bfdaep+0f, 0x1.5ab07ep+0f,
                                       0x1.6a09e6p+0f, 0x1.7a1148p+0f, 0x1.8ace54p+0f, 0x1.9c4918p+0f,
                                       0x1.ae89fap+0f, 0x1.c199bep+0f, 0x1.d5818ep+0f, 0x1.ea4afap+0f};
static const float exp_steps_lo[16] = {0,
                                       0x1.9f3122p-25f,
                                       -0x1.c15742p-27f,
                                       0x1.ceac48p-25f,
                                       0x1.4636e2p-25f,
                                       0x1.824684p-25f,
                                       -0x1.593abcp-25f,
                                       -0x1.5bd5ecp-27f,
                                       0x1.9fcef4p-26f,
                                       -0x1.829fdp-25f,
                                       0x1.15506ep-27f,
                                       0x1.51f848p-27f,
                                       -0x1.a94b14p-26f,
                                       -0x1.3d56b2p-27f,
                                       -0x1.822dbcp-27f,
                                       0x1.52486cp-27f};
static const float exp_step_q[2] = {0x1.000224p-1f, 0x1.55562ep-3f};
#endif

typedef struct {
  V offset, floor, magic; /* of exp(max(x - offset, floor)) */
} FN(Reference);

/* For the largest element of a line, which may be infinite. */
static INLINE FN(Reference) FN(reference)(V peak) {
  V zero = vset(0), magic = vset(PICK(0x1.8p23f, 0x1.8p52));
  M near = vlt(vabs(peak - vset(FAR / 2)), vset(FAR * C(1.5)));
  V offset = vsel(near, zero, vsel(vlt(vset(-INFINITY), peak), peak, zero));
  V k = vfma(vsel(near, peak, zero), vset(LOG2E), magic) - magic;
  return (FN(Reference)){offset, (k - vset(FLOOR)) * vset(C(0.693147180559945309)), magic + (vset(FLOOR) - k) * vset(STEPS)};
}

/* 2^SPARE exp(x - peak) 2^t = (base + rest) power, |t| <= 1/2 being the same for the whole line; NaN where x - peak is. hi
 * is base + rest, within 0.51 ULP (float32) or 1 ULP. */
typedef struct {
  V hi, base, rest, power;
} FN(Scaled);

static INLINE FN(Scaled) FN(scaled_exp)(V x, FN(Reference) to) {
  V d = vmax(to.floor, x - to.offset);
#if REAL == 32
  V biased = vfma(d, vset(0x1.715476p+4f), to.magic), n = biased - to.magic;
  V r = vfma(n, vset(0x1.bd0106p-17f), vfma(n, vset(-0x1.63p-5f), d)), power = WHOLE_STEPS(biased);
  V step = vlookup(exp_steps_hi, biased), rest = vlookup(exp_steps_lo, biased);
  V s = vfma(vfma(r, vset(exp_step_q[1]), vset(exp_step_q[0])), r * r, r);
  rest = vfma(step, s, rest);
  return (FN(Scaled)){step + rest, step, rest, power};
#else
  V biased = vfma(d, vset(LOG2E), to.magic), n = biased - to.magic;
  V from = vfma(n, vset(-LN2_HI), d), r = vfma(n, vset(-LN2_LO), from), power = vshift_to_exponent(biased);
  V high = r * polynomial(r, FN(exp_q), COUNT(FN(exp_q))), s = vfma(high, r, r), hi = vset(1) + s;
  V rest = vfma(n, vset(-LN2_LO), from - r) + vfma(high, r, r - s);
  return (FN(Scaled)){hi, hi, vfma(hi, rest, s - (hi - vset(1))), power};
#endif
}

/* (base + rest) power */
static INLINE Pair FN(exp_pair)(FN(Scaled) e) { return pair_scaled(fast_sum(e.base, e.rest), e.power); }

static INLINE V FN(peak_step)(const V *in, const FN(KnownV) *known, FN(Tally) *sums) {
  (void)known;
  sums->peak = vmax(in[0], sums->peak);
  return in[0];
}

/* All of exp(x - peak). */
static INLINE V FN(exp_step)(const V *in, const FN(KnownV) *known, FN(Tally) *sums) {
  FN(Scaled) e = FN(scaled_exp)(in[0], FN(reference)(known->peak));
  FN(plus_bounded)(sums, e.base, e.rest, e.power);
  return e.hi * e.power;
}

/* The same but for the elements that are the largest, which are counted: so the logarithm of the sum keeps the digits of
 * what there is beside them. NaN is kept too. */
static INLINE V FN(others_step)(const V *in, const FN(KnownV) *known, FN(Tally) *sums) {
  FN(Scaled) e = FN(scaled_exp)(in[0], FN(reference)(known->peak));
  V zero = vset(0);
  M less = vlt(in[0], known->peak);
  sums->count = vsel(less, sums->count, sums->count + vset(1));
  FN(plus_bounded)(sums, vsel(less, e.base, zero), vsel(less, e.rest, vmin(zero, vabs(in[0]))), e.power);
  return e.hi * e.power;
}

#define PASS_PEAK ((FN(Pass)){FN(peak_step), {0, -1}, -1, FN(PEAK), -INFINITY})
#define PASS_OTHERS ((FN(Pass)){FN(others_step), {0, -1}, -1, FN(BOUNDED) | FN(PAIRED) | FN(COUNT), -INFINITY})

/* 1 / sum, so that softmax is exp_step's times it. A sum of zero is a line of -inf: NaN, or with `masked_zero` 0. */
static INLINE Pair FN(weight)(FN(KnownV) all, int masked_zero) {
  Inverse inverse = inverse_of(exact_sum(all.hi, all.lo));
  Pair r = pair(inverse.r, inverse.r * inverse.e);
  if (masked_zero) r = pair_select(vlt(all.hi, vset(C(0.5))), pair(vset(0), vset(0)), r);
  return r;
}

/* log(sum of exp(x - peak)) = log(1 + o), o what there is beside one of the largest. 0 or NaN where the peak is infinite. */
static INLINE Pair FN(log_of_sum)(FN(KnownV) others) {
  V one = vset(1), zero = vset(0);
  FN(Scaled) top = FN(scaled_exp)(others.peak, FN(reference)(others.peak));
  Pair part = pair_quotient(exact_sum(others.hi, others.lo), FN(exp_pair)(top));
  Pair o = exact_sum(others.count - one, part.hi);
  o.lo = o.lo + part.lo;
  Pair u = exact_sum(one, o.hi);
  u.lo = u.lo + o.lo;
  M tiny = vlt(o.hi, vset(PICK(0x1p-30f, 0x1p-60)));
  Binade b = binade(u.hi);
  Pair log = pair_select(tiny, o, log_sum(b.k, pair(u.hi * b.down - one, u.lo * b.down)));
  return pair_select(vlt(vabs(others.peak), vset(INFINITY)), log, pair(others.hi, zero));
}
