"""Those fastact is measured against: a module each, with one function.

``calls(cell, arguments, out)`` gives the ways that a library has to compute a cell, by what is
special about each: "" makes its result anew, " out=" writes to `out`, an array or two, and
" from y" takes the saved f(x) where that is the library's own way back. It is empty where there is
none. Everything that is not the computation is done before: arrays are converted, code is compiled.
Each library is there in its best form.

What a library has no function for it computes from the table's formula (`formulas`), if it can.
"""

from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

MODULES = {
    "numpy": "numpy_idioms",
    "scipy": "scipy_idioms",
    "python": "python_loops",
    "numexpr": "numexpr_strings",
    "numba": "numba_loops",
    "onnxruntime": "onnxruntime_nodes",
    "torch": "torch_eager",
    "torch.compile": "torch_compiled",
    "jax": "jax_jit",
    "thinc": "thinc_ops",
}
NEEDS = {"python": (), "onnxruntime": ("onnxruntime", "onnx"), "torch.compile": ("torch",)}


def missing(name: str) -> list[str]:
    """The packages that a peer needs and that are not installed."""
    return [package for package in NEEDS.get(name, (name,)) if not find_spec(package)]


@cache
def peer(name: str):
    """The module of a peer whose packages are installed."""
    return import_module(f"{__name__}.{MODULES[name]}")


def versions() -> dict[str, str]:
    """Which releases are installed of the packages that the peers need."""
    found = {}
    for package in dict.fromkeys(p for name in MODULES for p in NEEDS.get(name, (name,))):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
