"""Build of the extension modules; everything declarative is in pyproject.toml."""

import os
import tempfile
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

KERNELS = [
    "csrc/table.c",
    "csrc/dispatch.c",
    "csrc/threads.c",
    *(
        f"csrc/{part}_{isa}.c"
        for isa in ("scalar", "sse2", "avx2", "avx512", "neon")
        for part in ("isa", "axis")
    ),
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


OPENMP = ["-fopenmp"]
USES_OPENMP = "#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n"
# Formulas are long chains of operations: their order before registers are given out matters.
SCHEDULED = ["-fschedule-insns", "-fsched-pressure"]
USES_NOTHING = "int main(void) { return 0; }\n"


class Build(build_ext):
    """Builds the kernels with what compiler and linker have; without OpenMP, on one thread."""

    def build_extensions(self):
        (kernels,) = (e for e in self.extensions if e.name == "fastact._ufuncs")
        if self.accepts(SCHEDULED, USES_NOTHING):
            kernels.extra_compile_args = [*kernels.extra_compile_args, *SCHEDULED]
        if self.accepts(OPENMP, USES_OPENMP):
            kernels.extra_compile_args = [*kernels.extra_compile_args, *OPENMP]
            kernels.extra_link_args = [*kernels.extra_link_args, *OPENMP]
        else:
            print("fastact: no OpenMP here, calls will stay on one thread")
        super().build_extensions()

    def accepts(self, options, program):
        """Whether a small program compiles and links with these options, and without a warning."""
        if self.compiler.compiler_type != "unix":
            return False
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.c")
            source.write_text(program)
            try:
                objects = self.compiler.compile(
                    [str(source)], output_dir=folder, extra_postargs=[*options, "-Werror"]
                )
                self.compiler.link_executable(
                    objects, "probe", output_dir=folder, extra_postargs=options
                )
            except Exception:  # setuptools and distutils each have their own CompileError
                return False
        return True


setup(
    cmdclass={"build_ext": Build},
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
                for name in ("_axis", "_call", "_cells", "_diagnostics", "_direct", "_gradients")
            ),
        ],
        compiler_directives={"language_level": 3, "boundscheck": False, "wraparound": False},
    ),
)
