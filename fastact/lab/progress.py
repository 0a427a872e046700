"""What the terminal shows while the lab works."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeElapsedColumn
from threadpoolctl import threadpool_limits


@contextmanager
def working(console: Console) -> Iterator[Progress]:
    """A bar for each task, while BLAS has one thread: for matrices as small as the lab's a second
    one gains little, and its waiting is noise.
    """
    columns = "{task.description:38}", BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console) as progress, threadpool_limits(1, "blas"):
        yield progress
