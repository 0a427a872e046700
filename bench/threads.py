"""One thread against several, and reads and writes of memory, a function and size a line.

``python -m bench.threads``                      what sharing gains where it was chosen
``python -m bench.threads --always``             where every large call is shared: what it costs
``python -m bench.threads --sizes 16000000``     gigabytes a second, beside those of copies
"""

import argparse
from statistics import median

import numpy as np

import fastact
from bench.ceilings import copies
from fastact import _ufuncs
from fastact.lab.timing import interleaved

OPS = ("relu", "leaky_relu", "sigmoid", "tanh", "silu", "gelu", "mish")
SIZES = (20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 4_000_000, 16_000_000)


def cell(names: list[str], n: int, dtype: type, counts: tuple[int, ...]) -> dict:
    """Seconds a call into the same array, by function and number of threads, taking turns."""
    x = np.random.default_rng(0).standard_normal(n).astype(dtype)
    y = np.ones_like(x)

    def call(name, count):
        _ufuncs.set_chosen_threads(count)
        getattr(fastact, name)(x, out=y)

    calls = {(name, t): lambda n=name, t=t: call(n, t) for name in names for t in counts}
    calls |= {(how, 1): copy for how, copy in copies(x, y, 1).items()}
    return interleaved(calls, rounds=15, min_time=2e-3)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("ops", nargs="*", default=OPS)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--threads", type=int, default=fastact.get_num_threads())
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    parser.add_argument("--always", action="store_true", help="share every large call")
    options = parser.parse_args()
    if options.always:
        _ufuncs.set_grain(0)
    fastact.show_config()
    dtype = getattr(np, options.dtype)
    for n in options.sizes:
        times = cell(options.ops, n, dtype, (1, options.threads))
        size = 2 * n * np.dtype(dtype).itemsize
        rates = {
            who: size / min(samples) / 1e9 for (who, count), samples in times.items() if count == 1
        }
        copied = {who: rate for who, rate in rates.items() if who not in options.ops}
        print(f"n = {n}: " + ", ".join(f"{who} {rate:.1f} GB/s" for who, rate in copied.items()))
        for name in options.ops:
            one, more = times[name, 1], times[name, options.threads]
            gain = median(a / b for a, b in zip(one, more, strict=True))
            print(
                f"  {name:12} {min(one) * 1e6:10.1f} us, {rates[name]:5.1f} GB/s,"
                f" {rates[name] / max(copied.values()):4.0%} of a copy;"
                f" on {options.threads} threads {min(more) * 1e6:10.1f} us,"
                f" {min(one) / min(more):.2f}x by minima, {gain:.2f}x by medians"
            )


if __name__ == "__main__":
    main()
