"""Derive the tables of csrc/vmath.h, in_double.h and exp_sum.h, with the error after rounding.

A development tool, not part of the package: the tables are pasted in those headers, and this
script is how anybody can derive them again or check them. It needs mpmath (gmpy2 makes it fast).

    python tools/minimax.py WHAT [--dtype float32|float64]

exp        exp(r) = 1 + r + r**2*q(r) on |r| <= ln(2)/2*(1 + 2**-8), q(0) = 1/2
exp_step   the same on |r| <= ln(2)/32*(1 + 2**-8), of degree one, and 2**(j/16) as hi + lo
expm1      expm1(r) = r + r**2*q(r) there, for float32 in float64 lanes
log        log(1 + z) = z + z**2*q(z) on sqrt(1/2) <= 1 + z <= sqrt(2), q(0) = -1/2: float32
log1p      atanh(s)/s = 1 + w*p(w), w = s**2 in [0, 1/9];
           log1p(z) = 2*atanh(z/(2 + z)) for z in [0, 1]
mills      exp(a**2/2)*Phi(-a) = u*Q(t), u = 1/(a + k), t = (a - m)*u, a in [0, A]:
           the tail of the normal distribution without its exponential, for the exact GELU
erf        erf(x)/x = 2/sqrt(pi) + w*p(w), w = x**2 in [0, 1/4]
tanhshrink (x - tanh(x))/x**3 = 1/3 + w*p(w), w = x**2 in [0, 1]
constants  the numbers that are needed to more digits than the format has, as unevaluated sums

Every polynomial is fitted in the Chebyshev sense to the *relative* error of the whole expression.
Its coefficients are rounded to the format one at a time, from the constant term up, and the ones
not yet rounded are fitted again each time, so that they take up the rounding errors of the others.
"""

import argparse
from dataclasses import dataclass

from mpmath import mp, mpf

mp.prec = 480  # the normal equations of a degree-40 monomial basis lose about 200 bits
LAWSON_STEPS = 12  # more of them gain less than 0.1 bit
BITS = {"float32": 24, "float64": 53}


@dataclass
class Fit:
    """Values y at points t to be met by sum(c[i]*t**i); weight turns a residual into an error."""

    t: list
    y: list
    weight: list
    degree: int
    fixed: tuple = ()  # leading (low-order) coefficients that are given, not fitted

    def residuals(self, coefficients):
        """Weighted error of the polynomial at every point."""
        c = coefficients[::-1]
        return [
            (mp.polyval(c, t) - y) * w for t, y, w in zip(self.t, self.y, self.weight, strict=True)
        ]

    def solve(self, known):
        """Fit the coefficients after `known` by least squares, reweighted towards minimax.

        Lawson's iteration: the weight of a point grows with its error. Unlike Remez' exchange it
        needs no Haar condition, which fails once the constant term is fixed and t = 0 is inside.
        """
        first, free = len(known), self.degree + 1 - len(known)
        target = [-r for r in self.residuals(known)]
        share = [mpf(1)] * len(self.t)
        best, best_error = None, mp.inf
        for _ in range(LAWSON_STEPS):
            moments, right = [mpf(0)] * (2 * free - 1), [mpf(0)] * free
            for t, y, w, s in zip(self.t, target, self.weight, share, strict=True):
                basis = w * t**first
                power, product = s * basis * basis, s * basis * y
                for i in range(2 * free - 1):
                    moments[i] += power
                    power *= t
                for i in range(free):
                    right[i] += product
                    product *= t
            hankel = mp.matrix(free, free)
            for i in range(free):
                for j in range(free):
                    hankel[i, j] = moments[i + j]
            coefficients = known + list(mp.lu_solve(hankel, mp.matrix(right)))
            errors = [abs(r) for r in self.residuals(coefficients)]
            if max(errors) < best_error:
                best, best_error = coefficients, max(errors)
            mean = mp.fsum(s * e for s, e in zip(share, errors, strict=True)) / mp.fsum(share)
            share = [s * e / mean for s, e in zip(share, errors, strict=True)]
        return best

    def rounded(self, bits):
        """Coefficients in a format of `bits` bits, and the largest weighted error they give."""
        known = [mpf(c) for c in self.fixed]
        while len(known) <= self.degree:
            known.append(round_to(self.solve(known)[len(known)], bits))
        return known, max(abs(r) for r in self.residuals(known))


def round_to(x, bits):
    """Nearest number with `bits` bits of significand."""
    with mp.workprec(bits):
        return +x


def chebyshev_points(low, high, count):
    """Points of [low, high], both ends included, dense towards the ends."""
    middle, half = (low + high) / 2, (high - low) / 2
    return [middle - half * mp.cos(mp.pi * i / (count - 1)) for i in range(count)]


def fit_exp(dtype):
    return fit_exp_within(1, {"float32": 5, "float64": 10}[dtype], fixed=(0.5,))


def fit_exp_step(dtype):
    return fit_exp_within(16, {"float32": 1}[dtype])


def fit_exp_within(steps, degree, fixed=()):
    """The q of exp where arguments are reduced by so many steps to a power of two."""
    bound = mp.ln(2) / 2 / steps * (1 + mpf(2) ** -8)
    t = chebyshev_points(-bound, bound, 12 * degree + 60)  # an even count: r = 0 is left out
    y = [(mp.expm1(r) - r) / r**2 for r in t]
    return Fit(t, y, [r**2 / mp.exp(r) for r in t], degree, fixed)


def fit_expm1(dtype):
    degree = {"float64": 4}[dtype]
    bound = mp.ln(2) / 2 * (1 + mpf(2) ** -8)
    t = chebyshev_points(-bound, bound, 12 * degree + 60)
    y = [(mp.expm1(r) - r) / r**2 for r in t]
    return Fit(t, y, [r**2 / mp.expm1(r) for r in t], degree)


def fit_log(dtype):
    degree = {"float32": 9}[dtype]  # float64's is log1p's
    low, high = ((mp.sqrt(v) - 1) * (1 + mpf(2) ** -8) for v in (mpf(1) / 2, 2))
    t = chebyshev_points(low, high, 12 * degree + 60)
    y = [(mp.log1p(z) - z) / z**2 for z in t]
    return Fit(t, y, [z**2 / mp.log1p(z) for z in t], degree, fixed=(-0.5,))


def fit_log1p(dtype):
    degree = {"float32": 4, "float64": 9}[dtype]
    w = chebyshev_points(mpf(0), mpf(1) / 9, 12 * degree + 60)[1:]
    whole = [mp.atanh(mp.sqrt(v)) / mp.sqrt(v) for v in w]
    return Fit(
        w,
        [(f - 1) / v for f, v in zip(whole, w, strict=True)],
        [v / f for f, v in zip(whole, w, strict=True)],
        degree,
    )


def mills_ratio(a):
    """exp(a**2/2)*Phi(-a); decreases from 1/2 as 1/(a*sqrt(2*pi))."""
    return mp.exp(a * a / 2) * mp.erfc(a / mp.sqrt(2)) / 2


# Q is nearly flat for a small k, so that the rounding of its constant term, at t = 0, is most of
# its rounding error; a large k needs a lower degree. m puts that constant within 2**-6 ULP of a
# number of the format. Beyond `bound` both x*Phi(x) and x*phi(x) underflow to zero for x = -a.
MILLS = {  # float32's is one of tools/pieces.py
    "float64": {"k": 1.5, "m": 2.6875, "bound": 39.0, "degree": 33},
}


def fit_mills(dtype):
    k, m, bound = (mpf(MILLS[dtype][name]) for name in ("k", "m", "bound"))
    degree = MILLS[dtype]["degree"]
    t = chebyshev_points(-m / k, (bound - m) / (bound + k), 12 * degree + 60)
    a = [(m + k * v) / (1 - v) for v in t]
    whole = [mills_ratio(v) * (v + k) for v in a]
    return Fit(t, whole, [1 / q for q in whole], degree)


def fit_in_square(function, at_zero, last, degree):
    """function(x) = at_zero + w*p(w) for w = x**2 in (0, last]."""
    w = chebyshev_points(mpf(0), mpf(last), 12 * degree + 60)[1:]
    whole = [function(mp.sqrt(v)) for v in w]
    y = [(f - at_zero) / v for f, v in zip(whole, w, strict=True)]
    return Fit(w, y, [v / f for f, v in zip(whole, w, strict=True)], degree)


def fit_erf(dtype):
    degree = {"float64": 9}[dtype]  # float32's is one of tools/pieces.py
    return fit_in_square(lambda x: mp.erf(x) / x, 2 / mp.sqrt(mp.pi), 0.25, degree)


def fit_tanhshrink(dtype):
    degree = {"float32": 7, "float64": 16}[dtype]
    return fit_in_square(lambda x: (x - mp.tanh(x)) / x**3, mpf(1) / 3, 1, degree)


FITS = {
    "exp": fit_exp,
    "exp_step": fit_exp_step,
    "expm1": fit_expm1,
    "log": fit_log,
    "log1p": fit_log1p,
    "mills": fit_mills,
    "erf": fit_erf,
    "tanhshrink": fit_tanhshrink,
}


def split(value, *bits):
    """Unevaluated sum of numbers with so many bits each; the last bit counts as the tail."""
    parts = []
    for b in bits:
        parts.append(round_to(value - mp.fsum(parts), b))
    return parts


def constants(dtype):
    """Name -> unevaluated sum. n*LN2[0] is exact for |n| <= 160 (float32) or 1100 (float64)."""
    b = BITS[dtype]
    scale = mpf("1.0507009873554804934193349852946")  # SELU: Klambauer et al., 2017
    alpha = mpf("1.6732632423543772848170429916717")
    root, cubic = mp.sqrt(2 / mp.pi), mpf("0.044715")
    table = {
        "LN2": split(mp.ln(2), b - {"float32": 8, "float64": 11}[dtype], b, b),
        "LOG2E": split(1 / mp.ln(2), b, b),
        "SQRT_2_OVER_PI": split(root, b, b),
        "GELU_TANH_CUBIC": split(cubic, b, b),
        "INV_SQRT_2PI": split(1 / mp.sqrt(2 * mp.pi), b, b),
        "SQRT_2": split(mp.sqrt(2), b, b),
        "TWO_OVER_SQRT_PI": split(2 / mp.sqrt(mp.pi), b, b),
        "QUICK": split(mpf("1.702"), b, b),
        "THIRD": split(mpf(1) / 3, b, b),
        "SIXTH": split(mpf(1) / 6, b, b),
        "SELU_SCALE": split(scale, b, b),
        "SELU_ALPHA": split(alpha, b, b),
        "SELU_SCALE_ALPHA": split(scale * alpha, b, b),
    }
    for factor in (1, 2, 3, 6):
        table[f"{factor}*SQRT_2_OVER_PI*CUBIC"] = split(factor * root * cubic, b, b)
    table["2*SQRT_2_OVER_PI"] = split(2 * root, b, b)
    for j in range(16):
        table[f"2**({j}/16)"] = split(mpf(2) ** (mpf(j) / 16), b, b)
    return table


def c_literal(x, dtype):
    """C99 hexadecimal literal of a number that the format holds exactly."""
    mantissa, exponent = float(x).hex().split("p")
    digits = mantissa.rstrip("0") if "." in mantissa else mantissa
    return f"{digits.rstrip('.')}p{exponent}" + ("f" if dtype == "float32" else "")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=[*FITS, "constants"])
    parser.add_argument("--dtype", choices=BITS, action="append")
    arguments = parser.parse_args()
    one = {name: "float32" for name in ("exp_step", "log")}
    one |= {name: "float64" for name in ("expm1", "mills", "erf")}
    fitted = [one[arguments.what]] if arguments.what in one else list(BITS)
    if not set(arguments.dtype or ()) <= set(fitted):
        parser.error(f"{arguments.what} is for {fitted[0]} alone; pieces are in tools/pieces.py")
    for dtype in arguments.dtype or fitted:
        if arguments.what == "constants":
            for name, parts in constants(dtype).items():
                print(f"{name:24} = " + " + ".join(c_literal(p, dtype) for p in parts))
            continue
        coefficients, error = FITS[arguments.what](dtype).rounded(BITS[dtype])
        detail = f", {MILLS[dtype]}" if arguments.what == "mills" else ""
        error_bits = float(mp.log(error, 2))
        print(f"/* {arguments.what}, {dtype}{detail}: relative error 2^{error_bits:.2f} */")
        print(",\n".join(c_literal(c, dtype) for c in coefficients))


if __name__ == "__main__":
    main()
