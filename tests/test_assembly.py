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
    "avx512": (r"%zmm", r"%ymm"),
    "avx2": (r"%ymm", r"%zmm"),
    "sse2": (r"\bmovup[sd] %xmm\d+,.*\(", r"%[yz]mm"),  # whole vectors stored
    "scalar": (r"%xmm", r"%[yz]mm"),
}


@pytest.fixture(scope="module")
def kernels():
    """Disassembly of every kernel: {symbol: [instruction, ...]}."""
    text = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", _ufuncs.__file__],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = {}
    for block in text.split("\n\n"):
        head = re.match(r"[0-9a-f]+ <(\w+_FASTACT_\w+)>:\n", block)
        if head:
            found[head[1]] = [line.split("\t", 1)[-1] for line in block.splitlines()[1:]]
    return found


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
