"""Build of the extension modules; everything declarative is in pyproject.toml."""

import os
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup

KERNELS = [
    "csrc/table.c",
    "csrc/dispatch.c",
    *(f"csrc/isa_{isa}.c" for isa in ("scalar", "sse2", "avx2", "avx512", "neon")),
]
HEADERS = sorted(str(path) for path in Path("csrc").glob("*.[hd]*"))

if os.name == "nt":
    flags = ["/O2", "/std:c11"]
else:
    # Explicit FMA only: contraction by the compiler would change bits between compilers.
    # No errno, so that a square root is an instruction and not a call.
    flags = ["-O3", "-g0", "-std=gnu11", "-fvisibility=hidden"]
    flags += ["-ffp-contract=off", "-fno-math-errno"]
    # More flags, such as CI's -Wall -Wextra -Werror.
    flags += os.environ.get("FASTACT_CFLAGS", "").split()

macros = [
    ("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"),
    ("NPY_TARGET_VERSION", "NPY_2_0_API_VERSION"),
]

setup(
    ext_modules=cythonize(
        [
            Extension(
                "fastact._ufuncs",
                ["fastact/_ufuncs.pyx", *KERNELS],
                include_dirs=["csrc", numpy.get_include()],
                define_macros=macros,
                extra_compile_args=flags,
                depends=HEADERS,
            ),
            *(  # link no kernels: _ufuncs has the one table of the process
                Extension(
                    f"fastact.{name}",
                    [f"fastact/{name}.pyx"],
                    include_dirs=["csrc", numpy.get_include()],
                    define_macros=macros,
                    extra_compile_args=flags,
                    depends=HEADERS,
                )
                for name in ("_axis", "_call")
            ),
        ],
        compiler_directives={"language_level": 3, "boundscheck": False, "wraparound": False},
    ),
)
