"""What the figures depend on: the processor, the versions, and the ISAs that run.

NumPy chooses its kernels by the processor, too. To compare on an equal footing below the best one,
set both: ``FASTACT_ISA=avx2 NPY_DISABLE_CPU_FEATURES="X86_V4 AVX512_ICL AVX512_SPR"``, in the names
that ``numpy.show_runtime()`` lists.
"""

import platform
from pathlib import Path

from numpy.lib.introspect import opt_func_info

import fastact

try:
    from scipy import __version__ as scipy_version
except ImportError:
    scipy_version = None


def describe() -> dict:
    """The machine and the software, ready for JSON."""
    return {
        "cpu": _cpu(),
        "system": platform.platform(),
        "scipy": scipy_version,
        "numpy": opt_func_info(func_name="^(exp|tanh|multiply)$", signature="float32|float64"),
        "fastact": {**fastact.get_config(), "isa_that_ran": fastact.last_isa()},
    }


def _cpu() -> dict:
    """Model and flags as Linux tells them; elsewhere what the standard library knows."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    facts = {}
    for key, colon, value in (line.partition(":") for line in lines):
        if colon:
            facts.setdefault(key.strip(), value.strip())
    flags = facts.get("flags") or facts.get("Features", "")
    return {
        "model": facts.get("model name", platform.processor() or platform.machine()),
        "flags": flags.split(),
    }
