"""docs/clipping.md does what it says: its blocks run, one after the other, and its calls exist."""

import inspect
import re
from pathlib import Path

import fastact
from fastact import clipping, conditioning

TEXT = (Path(__file__).parents[1] / "docs" / "clipping.md").read_text(encoding="utf-8")


def test_blocks_run():
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert len(blocks) == 5
    variables = {}
    for block in blocks:
        exec(compile(block, "docs/clipping.md", "exec"), variables)


def test_rows_name_what_there_is():
    """The second cell of a row is a call of ours, with arguments that it takes."""
    rows = [line.split("|") for line in TEXT.splitlines() if line.startswith("| `")]
    named = set()
    for _, theirs, ours, *_ in rows:
        for name, arguments in re.findall(r"(\w+)\((.*?)\)`", ours):
            signature = inspect.signature(getattr(fastact, name))
            for keyword in re.findall(r"(\w+)=", arguments):
                assert keyword in signature.parameters, theirs
            named.add(name)
    assert named == {*clipping.__all__, *conditioning.__all__}
