"""``python -m bench.instructions``: how many instructions a kernel spends on an element.

They are counted in the disassembly of the built extension: those of the loop that takes two vectors
at a time, over the elements that it takes. No timing, so the machine may be busy; and the same for
ISAs that this machine does not have. Needs objdump (binutils).
"""

import argparse
import re
import subprocess

from rich import box
from rich.table import Table

import fastact
from bench.report import console
from fastact import _ufuncs
from fastact._forms import Form

WIDTH = {"sse2": 16, "avx2": 32, "avx512": 64, "neon": 16, "scalar": 0}  # bytes of a vector
VECTORS = 2  # a turn of the loop
FORMS = (Form.forward, Form.derivative, Form.backward)


def disassembly() -> dict[str, list[tuple[int, str]]]:
    """Address and text of every instruction of every kernel, by symbol."""
    command = ["objdump", "-d", "--no-show-raw-insn", _ufuncs.__file__]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = {}
    for block in text.split("\n\n"):
        head, _, body = block.partition("\n")
        if name := re.match(r"[0-9a-f]+ <(\w+_FASTACT_\w+)>:", head):
            lines = [line.strip().split(":\t", 1) for line in body.splitlines()]
            found[name[1]] = [(int(at, 16), code) for at, code in (x for x in lines if len(x) == 2)]
    return found


def longest_loop(code: list[tuple[int, str]]) -> int:
    """Instructions of the longest loop that has no other inside: the one by two vectors."""
    place = {at: k for k, (at, _) in enumerate(code)}
    loops = []
    for k, (at, text) in enumerate(code):
        jump = re.match(r"j\w+\s+([0-9a-f]+)", text)
        if jump and int(jump[1], 16) in place and int(jump[1], 16) < at:
            loops.append((place[int(jump[1], 16)], k))
    inner = [
        (first, last)
        for first, last in loops
        if not any(first <= a and b <= last and (a, b) != (first, last) for a, b in loops)
    ]
    return max(last + 1 - first for first, last in inner)


def per_element(kernels: dict, op: str, form: Form, bits: int, isa: str) -> float:
    """Instructions an element of one kernel."""
    code = kernels[f"{op}_FASTACT_{form.name.upper()}_f{bits}_{isa}"]
    lanes = max(1, WIDTH[isa] // (bits // 8))
    return longest_loop(code) / (VECTORS * lanes)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.instructions", description=__doc__)
    parser.add_argument("--isa", default=fastact.get_isa(), choices=_ufuncs.built_isas())
    parser.add_argument("--only", default="", help="regular expression on the op")
    options = parser.parse_args(arguments)
    kernels = disassembly()
    table = Table(title=f"Instructions an element, {options.isa}", box=box.SIMPLE_HEAD)
    table.add_column("op", no_wrap=True)
    for dtype in ("float32", "float64"):
        for form in FORMS:
            table.add_column(f"{dtype}\n{form.name}", justify="right")
    for op in fastact.ops():
        if re.search(options.only, op.name):
            counts = [
                per_element(kernels, op.name, form, bits, options.isa)
                for bits in (32, 64)
                for form in FORMS
            ]
            table.add_row(op.name, *(f"{count:.3g}" for count in counts))
    console().print(table)


if __name__ == "__main__":
    main()
