"""The figures that a backend publishes, as arrays: the parts of `read_calibration`.

Gate errors come from the target, because the properties of newer machines list gates that the machine does not offer.
The two readout errors come from the properties, since the target has only their mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from qcluster.core.arrays import Floats


def number(value: Any) -> float:
    """Convert a figure to float; NaN for None."""
    return float("nan") if value is None else float(value)


def coherence(target: Any, properties: Any, n: int) -> tuple[Floats, Floats]:
    """T1 and T2 in seconds, (n,) each; T2 is limited to 2 T1."""
    times = np.full((2, n), np.nan)
    for q in range(n):
        of_target = target.qubit_properties[q] if target.qubit_properties is not None else None
        of_properties = properties.qubit_property(q) if properties is not None else {}
        for row, (attribute, key) in enumerate((("t1", "T1"), ("t2", "T2"))):
            value = getattr(of_target, attribute, None)
            times[row, q] = number(value if value is not None else of_properties.get(key, (None,))[0])
    return times[0], np.where(times[1] > 2 * times[0], 2 * times[0], times[1])


def readout(target: Any, properties: Any, n: int) -> tuple[Floats, npt.NDArray[np.bool_], Floats]:
    """Readout errors (n, 2), whether one figure is used for both (n,), and durations in seconds (n,)."""
    both, mean, duration = np.full((n, 2), np.nan), np.full(n, np.nan), np.full(n, np.nan)
    measure = target["measure"] if "measure" in target.operation_names else {}
    for q in range(n):
        of_target = measure.get((q,))
        of_properties = properties.qubit_property(q) if properties is not None else {}
        mean[q], duration[q] = number(getattr(of_target, "error", None)), number(getattr(of_target, "duration", None))
        both[q] = [number(of_properties.get(key, (None,))[0]) for key in ("prob_meas1_prep0", "prob_meas0_prep1")]
    return *both_errors(both, mean), duration


def both_errors(published: Floats, mean: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Complete readout errors (n, 2), and tell where (n,) one figure is used for both.

    Where one of the two is unknown (NaN), the mean (n,) replaces both, or the other one if the mean is unknown too.
    """
    symmetric: npt.NDArray[np.bool_] = np.asarray(np.isnan(published).any(axis=1))
    single = np.where(np.isnan(mean), np.fmax(*published.T), mean)
    return np.where(symmetric[:, None], single[:, None], published), symmetric


def gate_names(target: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the one-qubit and the two-qubit gates that the target lists for particular qubits."""
    names: dict[int, list[str]] = {1: [], 2: []}
    for name in sorted(target.operation_names):
        if name.startswith("measure") or name in {"reset", "delay"} or None in (target[name] or {None: None}):
            continue
        width = len(next(iter(target[name])))
        if width in names:
            names[width].append(name)
    return tuple(names[1]), tuple(names[2])


def gate_tables(target: Any, gates: tuple[str, ...], places: Sequence[tuple[int, ...]]) -> tuple[Floats, Floats]:
    """Errors, and durations in seconds, (n_gates, n_places) each; NaN where unknown."""
    tables = np.full((2, len(gates), len(places)), np.nan)
    for row, gate in enumerate(gates):
        for column, place in enumerate(places):
            instruction = target[gate].get(place)
            tables[0, row, column] = number(getattr(instruction, "error", None))
            tables[1, row, column] = number(getattr(instruction, "duration", None))
    return tables[0], tables[1]


def dead(errors: Floats) -> npt.NDArray[np.bool_]:
    """True where an error is 1 or more; an unknown error (NaN) does not count as dead."""
    return np.nan_to_num(errors, nan=0.0) >= 1


def dead_masks(
    errors_1q: Floats, readout: Floats, errors_2q: Floats
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Masks of the qubits (n,) and couplings (n_couplings,) that are dead by their published errors."""
    dead_2q = dead(errors_2q)
    qubits: npt.NDArray[np.bool_] = np.logical_or(dead(errors_1q).any(axis=0), (readout >= 1).any(axis=1))
    couplings: npt.NDArray[np.bool_] = np.logical_and(dead_2q.any(axis=0), (dead_2q | np.isnan(errors_2q)).all(axis=0))
    return qubits, couplings
