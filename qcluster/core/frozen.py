"""Base classes of dataclasses that hold arrays: how they are copied, and when two are equal.

The ``__eq__`` that `dataclass` generates fails on arrays, whose truth value is ambiguous. So a class whose objects are
equal if their values are, such as an answer, inherits from `Valued`. The others are declared with ``eq=False``: a
`Run`, a reference or a calibration is equal only to itself, and hashable (`Calibration.identity` compares the values).
"""

from dataclasses import fields
from types import MappingProxyType
from typing import Any

import numpy as np

from qcluster.core.arrays import read_only


class Frozen:
    """Base of frozen dataclasses that are copied or sent to other processes.

    Copies are made by calling the constructor. So the arrays of a copy are read-only too, unlike those that pickle and
    `copy.deepcopy` make by default, and cached values are not transferred.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        state = {field.name: getattr(self, field.name) for field in fields(self) if field.init}  # type: ignore[arg-type]
        # Read-only views of dicts cannot be pickled; the constructor makes them again.
        return _make, (type(self), {k: dict(v) if isinstance(v, MappingProxyType) else v for k, v in state.items()})


class Valued:
    """Base of dataclasses that are equal if all their fields are, arrays element by element; they are not hashable.

    Declare them with ``eq=False``, so that this ``__eq__`` is used. Fields with ``compare=False`` are ignored.
    """

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
            return NotImplemented
        names = [field.name for field in fields(self) if field.compare]  # type: ignore[arg-type]
        return all(_same(getattr(self, name), getattr(other, name)) for name in names)

    __hash__ = None  # type: ignore[assignment]


def _same(left: Any, right: Any) -> bool:
    arrays = isinstance(left, np.ndarray) or isinstance(right, np.ndarray)
    return np.array_equal(left, right) if arrays else bool(left == right)


def freeze_arrays(record: Any) -> None:
    """Replace the arrays of a frozen dataclass by read-only copies; call it from ``__post_init__``."""
    for field in fields(record):
        value = getattr(record, field.name)
        if isinstance(value, np.ndarray):
            object.__setattr__(record, field.name, read_only(value.copy()))


def _make(kind: type, state: dict[str, Any]) -> Any:
    return kind(**state)
