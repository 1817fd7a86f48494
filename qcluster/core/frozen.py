"""What frozen dataclasses that hold arrays have in common: copies of them are as frozen as they are."""

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


def freeze_arrays(record: Any) -> None:
    """Replace the arrays of a frozen dataclass, while it is made, by read-only copies of its own."""
    for field in fields(record):
        value = getattr(record, field.name)
        if isinstance(value, np.ndarray):
            object.__setattr__(record, field.name, read_only(value.copy()))


def _make(kind: type, given: dict[str, Any]) -> Any:
    return kind(**given)
