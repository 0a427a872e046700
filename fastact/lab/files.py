"""Files that are complete or not there, and JSON that every reader takes."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of `path` only when it is complete."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            yield file
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write(path: Path, content: bytes) -> None:
    """The whole file, or the one that was there before."""
    with replacing(path) as file:
        file.write(content)


def as_json(content: Any) -> bytes:
    """JSON; what is not a finite number is null."""
    return json.dumps(_numbers_or_null(content), indent=1, allow_nan=False).encode()


def _numbers_or_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _numbers_or_null(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [_numbers_or_null(child) for child in value]
    return None if isinstance(value, float) and not isfinite(value) else value
