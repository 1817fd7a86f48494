"""What dataclasses that hold arrays have in common: how copies are made, and when two are equal.

The comparison that `dataclass` writes fails on arrays, which have no one truth. So each class that holds some says
which it is. An answer, which is its numbers, is a `Valued`. All others are made with ``eq=False``: a `Run`, a reference
or a calibration is a thing, equal to itself alone, and can be a key (`Calibration.identity` compares figures).
"""

from dataclasses import fields
from types import MappingProxyType
from typing import Any

import numpy as np

from qcluster.core.arrays import read_only


class Frozen:
    """Base of frozen dataclasses that are copied and sent to other processes.

    A copy is made by the constructor, as the first one was. So its arrays are read-only too, which those that pickle
    and `copy.deepcopy` make by themselves are not, and what was only derived and kept need not travel.

    Example:
        >>> import copy
        >>> from qcluster.core.mitigate import mitigate
        >>> fixed = mitigate({"00": 60, "11": 40})
        >>> copy.deepcopy(fixed) == fixed
        True
    """

    def __reduce__(self) -> tuple[Any, ...]:
        given = {field.name: getattr(self, field.name) for field in fields(self) if field.init}  # type: ignore[arg-type]
        # Views that only forbid changes cannot be pickled; the constructor makes them anew.
        return _make, (type(self), {k: dict(v) if isinstance(v, MappingProxyType) else v for k, v in given.items()})


class Valued:
    """Base of dataclasses that are equal where all that they hold is, arrays by their elements; they have no hash.

    They are made with ``eq=False``, so that this counts. A field with ``compare=False`` does not.

    Example:
        >>> from qcluster.core.mitigate import mitigate
        >>> mitigate({"00": 60, "11": 40}) == mitigate({"11": 40, "00": 60})
        True
    """

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, type(self)):
            return NotImplemented
        names = [field.name for field in fields(self) if field.compare]  # type: ignore[arg-type]
        return all(_same(getattr(self, name), getattr(other, name)) for name in names)

    __hash__ = None  # type: ignore[assignment]


def _same(one: Any, other: Any) -> bool:
    arrays = isinstance(one, np.ndarray) or isinstance(other, np.ndarray)
    return np.array_equal(one, other) if arrays else bool(one == other)


def freeze_arrays(record: Any) -> None:
    """Replace the arrays of a frozen dataclass, while it is made, by read-only copies of its own."""
    for field in fields(record):
        value = getattr(record, field.name)
        if isinstance(value, np.ndarray):
            object.__setattr__(record, field.name, read_only(value.copy()))


def _make(kind: type, given: dict[str, Any]) -> Any:
    return kind(**given)
