"""The constants of the kernels are those that the tools fit, and whose error they print."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEX_FLOAT = r"-?0x[0-9a-f.]+p[-+]?\d+f?"


def minimax(*arguments):
    """What tools/minimax.py prints."""
    command = [sys.executable, ROOT / "tools/minimax.py", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("table", ["exp", "log", "log1p", "constants", "mills"])
def test_kernels_have_the_constants_of_the_fit(table):
    """Every coefficient that tools/minimax.py prints, and the leading part of every constant."""
    printed = minimax(table)
    in_kernels = set(re.findall(HEX_FLOAT, (ROOT / "csrc/vmath.h").read_text()))
    if table == "constants":
        wanted = {"LN2", "LOG2E", "INV_SQRT_2PI", "SELU_SCALE", "SELU_SCALE_ALPHA"}
        wanted |= {"2*SQRT_2_OVER_PI", "2*SQRT_2_OVER_PI*CUBIC"}
        lines = [line.split("=") for line in printed.splitlines()]
        leading = [
            re.findall(HEX_FLOAT, value)[0] for name, value in lines if name.strip() in wanted
        ]
        assert len(leading) == 2 * len(wanted)
        assert set(leading) <= in_kernels
    else:
        numbers = re.findall(HEX_FLOAT, printed)
        assert len(numbers) > 8
        assert set(numbers) <= in_kernels


def test_sums_of_exponentials_have_the_tables_of_the_fit():
    """csrc/exp_sum.h has the polynomial, and both parts of the powers of 2 in their order."""
    kernels = (ROOT / "csrc/exp_sum.h").read_text()
    (body,) = re.findall(r"exp_step_q\[2\] = {(.*?)};", kernels, re.S)
    assert re.findall(HEX_FLOAT, body) == re.findall(HEX_FLOAT, minimax("exp_step"))
    lines = [
        line for line in minimax("constants", "--dtype", "float32").splitlines() if "/16)" in line
    ]
    parts = [re.findall(HEX_FLOAT, line.split("=")[1]) for line in lines]
    for name, column in zip(("hi", "lo"), zip(*parts, strict=True), strict=True):
        (body,) = re.findall(rf"exp_steps_{name}\[16\] = {{(.*?)}};", kernels, re.S)
        values = [float.fromhex(v.rstrip("f")) for v in re.split(r",\s*", body)]
        assert values == [float.fromhex(v.rstrip("f")) for v in column]


@pytest.mark.parametrize("table", ["tanh", "erf", "mills"])
def test_kernels_have_the_tables_of_the_fit(table):
    """Row by row, csrc/pieces.h has what tools/pieces.py prints."""
    done = subprocess.run(
        [sys.executable, ROOT / "tools/pieces.py", table], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    kernels = (ROOT / "csrc/pieces.h").read_text()
    (body,) = re.findall(rf"{table}_pieces_f32\[\]\[16\] = {{(.*?)}};", kernels, re.S)
    assert re.findall(HEX_FLOAT, body) == re.findall(HEX_FLOAT, done.stdout)
    last, scale = re.findall(r"a up to ([\d.]+), scale ([\d.]+)", done.stdout)[0]
    limit = f"#define {table.upper()}_LIMIT "
    if table == "mills":
        assert f"{limit}PICK({last}f, " in (ROOT / "csrc/vmath.h").read_text()
    else:
        assert f"{limit}{last}f" in kernels
        assert f"#define {table.upper()}_SCALE {scale}f" in kernels
