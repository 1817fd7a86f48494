"""The training table of the rate model: rows of features with a known rate, in a CSV file."""

import csv
import io
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qcluster.core.arrays import Floats
from qcluster.errors import StorageError
from qcluster.files import MOST_BYTES, damaged_file_errors, long_cells, read_bounded
from qcluster.learn.features import NAMES
from qcluster.learn.label import effective_rate as effective_rate  # the label belongs to the table

logger = logging.getLogger(__name__)

Texts = NDArray[np.str_]

FACTS = (
    "circuit",
    "family",
    "machine",
    "generation",
    "snapshot",
    "scale",
    "drift",
    "layout",
    "seed",
    "ideal_entropy",
    "saturated",
    "drawn",
)
"""Columns besides `FEATURES` and the rate: where a row comes from."""


_NOT_NEGATIVE = (
    *("n_qubits", "rz", "sx", "x", "two_qubit", "shots", "idle_loss", "two_qubit_depth"),
    *("loss_1q", "loss_2q", "loss_readout", "faults"),
)
_SHARES = (
    *("entropy", "esp", "readout_mean", "readout_worst", "local_flip", "top_weight", "near_weight", "mean_distance"),
    *("collision", "answer_entropy", "answer_top", "fault_flip", "fault_entropy", "fault_top"),
    *("kernel_entropy", "kernel_entropy_2", "few_strings", "few_strings_2", "few_uniform_2"),
)
_RANGES: dict[str, tuple[float, float]] = {
    "n_measured": (1, np.inf),
    **dict.fromkeys(_NOT_NEGATIVE, (0, np.inf)),
    **dict.fromkeys(_SHARES, (0, 1)),
}
"""Smallest and largest value of the features that have limits; a value outside has the wrong unit, as an entropy
in bits."""


@dataclass(frozen=True, eq=False)
class RateTable:
    """Training rows of the rate model.

    Raises:
        ValueError: arrays whose shapes do not match, or a fact that is not in `FACTS`.
    """

    features: Floats
    """``(n_rows, n_features)`` in the order of `FEATURES`, NaN where unknown."""
    rates: Floats
    """``(n_rows,)`` effective flip rates; shot noise can make some slightly negative."""
    facts: Mapping[str, Texts]
    """``(n_rows,)`` texts for each of `FACTS`, empty where unknown. Missing facts are filled with empty texts."""

    def __post_init__(self) -> None:
        n = np.shape(self.rates)
        if len(n) != 1 or np.shape(self.features) != (*n, len(NAMES)):
            raise ValueError(
                f"features must be (n_rows, {len(NAMES)}), the columns of FEATURES, and rates (n_rows,); "
                f"got {np.shape(self.features)} and {n}"
            )
        facts = {name: np.zeros(n, dtype="U1") for name in FACTS} | dict(self.facts)
        for name, texts in facts.items():
            if name not in FACTS or np.shape(texts) != n:
                raise ValueError(f"facts must be of {', '.join(FACTS)}, {n} each; got {name!r}, {np.shape(texts)}")
        object.__setattr__(self, "facts", facts)

    def __len__(self) -> int:
        return len(self.rates)

    def __getitem__(self, rows: Any) -> "RateTable":
        return RateTable(self.features[rows], self.rates[rows], {k: v[rows] for k, v in self.facts.items()})

    def __add__(self, other: "RateTable") -> "RateTable":
        facts = {name: np.concatenate([self.facts[name], other.facts[name]]) for name in FACTS}
        return RateTable(np.vstack([self.features, other.features]), np.r_[self.rates, other.rates], facts)

    @property
    def groups(self) -> Texts:
        """``(n_rows,)`` labels of rows that cross-validation must keep together: the family of circuits, or the circuit
        where the family is unknown."""
        return np.where(self.facts["family"] == "", self.facts["circuit"], self.facts["family"])


def read_table(path: str | Path | None = None) -> RateTable:
    """Read training rows from a CSV file with the columns of `FACTS`, `FEATURES` and ``rate``, in any order.

    Args:
        path: the file; None for the shipped table. Missing columns count as unknown. Unknown columns and an unfinished
            last line are left out, with a warning in the log. Empty lines, empty columns, and lines that start with
            "#" are skipped.

    Raises:
        StorageError: the file cannot be read, has no column ``rate`` or a repeated column, or holds a value that is not
            a finite number, a rate outside [-1, 1], or another impossible figure, such as a probability above 1.

    Example:
        >>> table = read_table()
        >>> len(table), table.features.shape
        (8238, (8238, 48))
    """
    source = files("qcluster.learn").joinpath("rates.csv") if path is None else Path(path)
    try:
        with source.open("rb") as stream:
            content = read_bounded(stream.read, MOST_BYTES).decode("utf-8-sig")  # some editors begin files with a mark
        text = io.StringIO(content, newline=None).read()
    except (OSError, ValueError) as error:
        raise StorageError(f"cannot read {source}: {getattr(error, 'strerror', None) or error}") from error
    whole = text[: text.rfind("\n") + 1]
    if len(whole) < len(text):
        logger.warning("%s: the last line has no line end and is left out", source)
    with long_cells(), damaged_file_errors(str(source)):
        lines = csv.reader(line for line in io.StringIO(whole) if not line.startswith("#"))
        rows = [row for row in lines if any(row)]  # spreadsheets write empty lines, and commas for empty columns
    if not rows or "rate" not in rows[0]:
        raise StorageError(f"{source} is no table of rates: it needs a column named rate")
    named = [name for name in rows[0] if name]
    if len(set(named)) != len(named):
        raise StorageError(f"{source} is no table of rates: it has the column {_first_repeated(named)} twice")
    if any(len(row) != len(rows[0]) for row in rows):
        raise StorageError(f"{source} is no table of rates: its rows differ in length")
    strange = [name for name in named if name not in TABLE_COLUMNS]
    if strange:
        logger.warning("%s: columns that a table of rates has not are passed over: %s", source, ", ".join(strange))
    columns = dict(zip(rows[0], zip(*rows[1:], strict=True) if len(rows) > 1 else [()] * len(rows[0]), strict=True))
    n = len(rows) - 1
    try:
        numbers = [_numbers(name, columns.get(name, [""] * n)) for name in (*NAMES, "rate")]
    except ValueError as error:
        raise StorageError(f"{source} is no table of rates: {error}") from error
    beyond = numbers[-1][np.abs(numbers[-1]) > 1]  # a string is read at most 2^n times as often as in the ideal
    if len(beyond):
        few = "at most 1" if beyond[0] > 1 else "at least -1"
        raise StorageError(f"{source} is no table of rates: a rate must be {few}; got {beyond[0]:g}")
    facts = {name: np.array(columns.get(name, [""] * n), dtype=np.str_) for name in FACTS}
    return RateTable(np.column_stack(numbers[:-1]), numbers[-1], facts)


def _numbers(name: str, texts: Iterable[str]) -> Floats:
    values = np.array([text or "nan" for text in texts], dtype=np.float64)
    if np.isinf(values).any():
        raise ValueError("numbers must be finite; got inf")
    least, most = _RANGES.get(name, (-np.inf, np.inf))
    beyond = values[(values < least) | (values > most)]
    if len(beyond):
        ends = f"at least {least:g}" if beyond[0] < least else f"at most {most:g}"
        raise ValueError(f"{name} must be {ends}; got {beyond[0]:g}")
    return values


def _first_repeated(names: list[str]) -> str:
    return next(name for place, name in enumerate(names) if name in names[:place])


def format_row(row: Floats, rate: float, facts: Mapping[str, object]) -> dict[str, object]:
    """Return one line of the table: facts as text, numbers with seven digits, empty text where unknown."""
    numbers = {name: format_number(value) for name, value in zip(NAMES, row.tolist(), strict=True)}
    return {name: facts.get(name, "") for name in FACTS} | numbers | {"rate": format_number(rate)}


def format_number(value: float) -> str:
    """Format a number with seven significant digits; empty text for NaN."""
    return "" if np.isnan(value) else f"{value:.7g}"


TABLE_COLUMNS = (*FACTS, *NAMES, "rate")
"""Columns of the file in their order."""
