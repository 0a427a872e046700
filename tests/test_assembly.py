"""The hot loops are vectorised as their ISA promises, read from the built extension itself."""

import re
import shutil
import subprocess

import pytest
from cases import ALL_FUNCTIONS

import fastact
from fastact import _ufuncs

X86 = "sse2" in fastact.get_config()["isas_built"]
pytestmark = [
    pytest.mark.skipif(not X86, reason="knows the registers of x86-64"),
    pytest.mark.skipif(shutil.which("objdump") is None, reason="needs objdump (binutils)"),
]

# What an instruction of the loop must use, and what no instruction may.
PACKED = {
    "avx512": (r"%zmm", r"^(?!vmov|.*%zmm).*%ymm"),  # halves are moved and converted
    "avx2": (r"%ymm", r"%zmm"),
    "sse2": (r"\bmovup[sd] %xmm\d+,.*\(", r"%[yz]mm"),  # whole vectors stored
    "scalar": (r"%xmm", r"%[yz]mm"),
}


STREAMED = {"avx512": r"vmovntps %zmm", "avx2": r"vmovntps %ymm", "sse2": r"\bmovntps %xmm"}


@pytest.fixture(scope="module")
def functions():
    """Disassembly of the extension: {symbol: [instruction, ...]}."""
    text = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", _ufuncs.__file__],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = {}
    for block in text.split("\n\n"):
        head = re.match(r"[0-9a-f]+ <([\w.]+)>:\n", block)
        if head:
            code = [line.split("\t", 1)[-1] for line in block.splitlines()[1:]]
            found.setdefault(head[1], []).extend(code)  # a name may be in several ISAs
    return found


@pytest.fixture(scope="module")
def kernels(functions):
    """That of every kernel."""
    return {symbol: code for symbol, code in functions.items() if "_FASTACT_" in symbol}


@pytest.mark.parametrize("name", sorted(PACKED))
@pytest.mark.parametrize("bits", [32, 64])
def test_every_kernel_is_one_inlined_vector_loop(kernels, name, bits):
    wanted, forbidden = PACKED[name]
    suffix = f"_f{bits}_{name}"
    mine = {symbol: code for symbol, code in kernels.items() if symbol.endswith(suffix)}
    assert len(mine) == len(ALL_FUNCTIONS)
    for symbol, code in mine.items():
        assert any(re.search(wanted, line) for line in code), f"{symbol} is not vectorised"
        assert not any(re.search(forbidden, line) for line in code), f"{symbol} mixes widths"
        calls = [line for line in code if re.match(r"call", line)]
        assert not calls, f"{symbol} calls out: {calls[0]}"
        assert not any("gather" in line for line in code), f"{symbol} gathers"


@pytest.mark.parametrize("name", sorted(STREAMED))
def test_streaming_goes_past_the_caches(functions, name):
    code = functions[f"stream_{name}"]
    assert any(re.search(STREAMED[name], line) for line in code)
    callers = [
        symbol
        for symbol, code in functions.items()
        if any(re.match(rf"call.*<stream_{name}>", line) for line in code)
        and any("sfence" in line for line in code)
    ]
    assert callers, "nothing streams"
