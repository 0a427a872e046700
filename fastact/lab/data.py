"""What the lab's networks learn from: scikit-learn's digits, or a file of the user's own."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np

PAIRS = ("x", "y"), ("X", "y"), ("data", "target"), ("images", "labels"), ("features", "labels")
MOST_CLASSES = 1000
FEWEST_ROWS = 20


class DataError(ValueError):
    """The data cannot be learnt from; the message says why, and what to do next."""


@dataclass(frozen=True)
class Data:
    """Rows of numbers with a class each, four fifths to train on and a fifth to test."""

    source: str  # what `load` was given
    classes: tuple[str, ...]
    train_x: np.ndarray
    train_labels: np.ndarray
    test_x: np.ndarray
    test_labels: np.ndarray

    @classmethod
    def split(
        cls, source: str, x: np.ndarray, labels: np.ndarray, classes, seed: int, *, by_column: bool
    ) -> "Data":
        """To mean 0 and variance 1, each column or all together; the seed chooses the test's fifth.

        Mean and variance are those of the training set.
        """
        order = np.random.default_rng(seed).permutation(len(x))
        train, test = np.split(order, [len(x) * 4 // 5])
        axis = 0 if by_column else None
        spread = x[train].std(axis=axis)
        x = (x - x[train].mean(axis=axis)) / np.where(spread > 0, spread, 1)
        return cls(source, classes, x[train], labels[train], x[test], labels[test])

    @property
    def name(self) -> str:
        return Path(self.source).name

    @property
    def majority(self) -> float:
        """What is right by always answering with the most frequent class."""
        return float(np.bincount(self.train_labels).max() / len(self.train_labels))

    def epochs(self, batch: int, epochs: int, seed: int) -> Iterator[list[np.ndarray]]:
        """The batches of each epoch, as indices; the same for every run."""
        rng = np.random.default_rng(seed)
        size = min(batch, len(self.train_x))
        for _ in range(epochs):
            order = rng.permutation(len(self.train_x))
            yield [order[stop - size : stop] for stop in range(size, len(order) + 1, size)]


def load(source: str, seed: int) -> Data:
    """``digits``, ``FILE.npz``, ``FILE.npz:X,Y`` with the names of the arrays, or ``FILE.csv``.

    Raises
    ------
    DataError
        If there is no such file, or nothing in it that could be classified.
    """
    if source == "digits":
        return digits(seed)
    path, _, names = source.partition(".npz:")
    file = Path(f"{path}.npz" if names else source)
    readers = {".npz": _read_npz, ".csv": _read_csv}
    if file.suffix not in readers:
        raise DataError(f"--data must be digits, FILE.npz or FILE.csv, not {source!r}")
    if not file.is_file():
        raise DataError(f"there is no file {file}{_resembling(file)}")
    x, y = _read_npz(file, names) if file.suffix == ".npz" else _read_csv(file)
    # Pixels are of one kind and keep their proportions; the columns of a table have units of their
    # own.
    by_column = x.ndim == 2 and x.dtype != np.uint8
    x = _numbers(file, x.reshape(len(x), -1))
    classes, labels = _classes(file, y)
    return Data.split(source, x, labels, classes, seed, by_column=by_column)


def digits(seed: int) -> Data:
    """Scikit-learn's 8 x 8 handwritten digits."""
    from sklearn.datasets import load_digits

    x, labels = load_digits(return_X_y=True)
    classes = tuple(map(str, range(10)))
    return Data.split("digits", x, labels, classes, seed, by_column=False)


def _resembling(file: Path) -> str:
    beside = file.parent.iterdir() if file.parent.is_dir() else []
    names = [path.name for path in beside if path.suffix in (".npz", ".csv")]
    close = get_close_matches(file.name, names, n=1)
    return f"; did you mean {file.parent / close[0]}?" if close else ""


def _read_npz(file: Path, names: str = "") -> tuple[np.ndarray, np.ndarray]:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            there = arrays.files
            chosen = tuple(names.split(",")) if names else _usual_names(file, there)
            if len(chosen) != 2 or not set(chosen) <= set(there):
                raise DataError(
                    f"{file} has the arrays {', '.join(there) or 'none'}, not {names}: name the "
                    f"rows and their labels, as in --data {file}:{there[0] if there else 'x'},y"
                )
            x, y = (arrays[name] for name in chosen)
    except DataError:
        raise
    except Exception as error:  # zipfile, zlib, pickle and NumPy have one of their own each
        raise DataError(
            f"{file} cannot be read as .npz ({error}): write it with numpy.savez"
        ) from None
    if x.ndim < 2 or y.shape != x.shape[:1]:
        raise DataError(
            f"{file}: {chosen[0]} must be (rows, columns) or images, and {chosen[1]} one label a "
            f"row; their shapes are {x.shape} and {y.shape}"
        )
    return x, y


def _usual_names(file: Path, there: list[str]) -> tuple[str, str]:
    for pair in PAIRS:
        if set(pair) <= set(there):
            return pair
    raise DataError(
        f"{file} has no arrays x and y, but {', '.join(there) or 'none'}: name the rows and their "
        f"labels, as in --data {file}:{','.join(there[:2] if len(there) > 1 else 'xy')}"
    )


def _read_csv(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """The label in the last column; a first line whose other cells are no numbers is a header."""
    try:
        with open(file, newline="", encoding="utf-8-sig") as lines:
            rows = [(number, row) for number, row in enumerate(csv.reader(lines), 1) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file} cannot be read as CSV in UTF-8 ({error})") from None
    if rows and len(rows[0][1]) > 1 and not any(map(_is_number, rows[0][1][:-1])):
        del rows[0]
    if not rows:
        raise DataError(f"{file} has no rows")
    width = len(rows[0][1])
    if width < 2:
        raise DataError(
            f"{file} has one column; numbers and, in the last column, a label are expected, "
            "separated by commas"
        )
    x = np.empty((len(rows), width - 1))
    for place, (number, row) in enumerate(rows):
        if len(row) != width:
            raise DataError(f"{file}, line {number}: {len(row)} columns where {width} are expected")
        for column, cell in enumerate(row[:-1]):
            if not _is_number(cell):
                raise DataError(
                    f"{file}, line {number}, column {column + 1}: {cell!r} is no number; only the "
                    "last column, the label, may be text"
                )
            x[place, column] = float(cell)
    return x, np.array([row[-1].strip() for _, row in rows])


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _numbers(file: Path, x: np.ndarray) -> np.ndarray:
    if x.dtype.kind not in "biuf" or not x.shape[1]:
        raise DataError(f"{file}: the rows must be of real numbers, not {x.dtype} of {x.shape}")
    x = x.astype(np.float64)
    if not np.isfinite(x).all():
        row, column = np.argwhere(~np.isfinite(x))[0]
        raise DataError(
            f"{file}: row {row + 1}, column {column + 1} is {x[row, column]}: fill it in or leave "
            "the row out"
        )
    if len(x) < FEWEST_ROWS:
        raise DataError(f"{file} has {len(x)} rows; at least {FEWEST_ROWS} are needed")
    return x


def _classes(file: Path, y: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    values, labels = np.unique(y, return_inverse=True)
    if len(values) < 2:
        raise DataError(f"{file}: all labels are {values[0]}; at least two classes are needed")
    if len(values) > min(MOST_CLASSES, len(y) // 2):
        raise DataError(
            f"{file}: {len(values)} different labels in {len(y)} rows; is the label, which must be "
            "a class, in the right place (the last column of a CSV file, y of an .npz)?"
        )
    return tuple(map(str, values)), labels
