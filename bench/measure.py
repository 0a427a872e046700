"""``python -m bench.measure``: one process that measures some cells, all on as many threads.

What to do comes as JSON on stdin, a line of JSON a cell goes to stdout. The number of threads and
the cores are those that the process was given: `bench.__main__` starts one a thread setting.
"""

import json
import os
import sys
import warnings
from dataclasses import asdict

import numpy as np

import fastact
from bench.ceilings import copies
from bench.cells import Cell, cells
from bench.contenders import agreeing, contenders
from bench.results import CEILING, Result
from fastact.lab.timing import interleaved

PATIENCE = 40  # after ten rounds, whoever is not within four times the fastest is left out
MIN_TIME = 1e-3
SPINNING = 1e-2  # seconds for which a library's threads may wait for more work, wide awake


def measure(
    cell: Cell, names: list[str], rounds: int, threads: int
) -> tuple[list[Result], dict[str, str]]:
    """The results of everybody who computes a cell, and why the others are not there."""
    calls, absent = contenders(cell, names)
    absent |= agreeing(calls)
    return _timed(calls, (cell.op, cell.form, cell.dtype, cell.size), rounds, threads), absent


def ceiling(cell: Cell, rounds: int, threads: int) -> list[Result]:
    """How long it takes to copy the argument of a cell."""
    (x,) = cell.arguments(cell.dtype, cell.size)
    calls = copies(x, cell.out((x,)), threads)
    return _timed(calls, (CEILING, cell.form, cell.dtype, cell.size), rounds, threads)


def _timed(calls, facts, rounds, threads):
    pause = SPINNING if threads > 1 else 0
    samples = interleaved(calls, rounds=rounds, min_time=MIN_TIME, patience=PATIENCE, pause=pause)
    return [
        Result(*facts, contender, min(times), float(np.median(times)), threads)
        for contender, times in samples.items()
    ]


def main() -> None:
    job = json.load(sys.stdin)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a library prints is not an answer
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    by_id = {cell.id: cell for cell in cells(job["dtypes"], job["sizes"])}
    for name in job["cells"]:
        if name.startswith(CEILING):
            cell = by_id[name.replace(CEILING, "identity", 1)]
            results, absent = ceiling(cell, job["rounds"], job["threads"]), {}
        else:
            results, absent = measure(by_id[name], job["peers"], job["rounds"], job["threads"])
        answer = {
            "cell": name,
            "results": [asdict(result) for result in results],
            "absent": absent,
            "isa": fastact.last_isa(),
        }
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main()
