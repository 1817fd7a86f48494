"""What the noise model of a simulator says about its machine, in the terms of a calibration.

A channel behind a gate becomes one number, its average infidelity, as machines publish it. An error before a
measurement joins the readout errors. Errors of other operations (resets, gates on three qubits) have no place in a
calibration and are left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from qcluster.core.arrays import Floats


class _Error(NamedTuple):
    name: str
    places: tuple[tuple[int, ...], ...] | None
    """None: wherever no error is given for the place itself."""
    width: int
    content: dict[str, Any]


def read_model(noise: Any, n_qubits: int) -> dict[str, Any]:
    """Read a Qiskit Aer `NoiseModel`: readout and gates of a `Calibration`; gates without an error have 0.

    Couplings are every pair in rising order, and in falling order where it has an error of its own. The snapshot is a
    hash of all channels, since different ones may have the same infidelity.
    """
    errors = sorted(_errors(noise), key=lambda error: error.places is not None)  # those of a place overrule the others
    gates = [error for error in errors if error.content["type"] == "qerror" and error.name != "measure"]
    names = _names(noise.basis_gates, gates)
    own = {place for error in gates for place in error.places or () if n_qubits > place[0] > place[-1]}
    pairs: list[tuple[int, ...]] = sorted({*combinations(range(n_qubits), 2), *own}) if names[2] else []
    singles: list[tuple[int, ...]] = [(q,) for q in range(n_qubits)]
    one, two = _table(names[1], singles, gates), _table(names[2], pairs, gates)
    return {
        "snapshot": _digest(errors),
        "readout": _readout(errors, n_qubits),
        "gates_1q": names[1], "errors_1q": one, "durations_1q": np.full(one.shape, np.nan),
        "couplings": np.array(pairs, dtype=np.int64).reshape(-1, 2),
        "gates_2q": names[2], "errors_2q": two, "durations_2q": np.full(two.shape, np.nan),
        "dead_couplings": np.zeros(len(pairs), dtype=bool),
    }  # fmt: skip


def _errors(noise: Any) -> Iterator[_Error]:
    for content in noise.to_dict()["errors"]:
        places = content.get("gate_qubits")
        if content["type"] == "roerror":
            width = int(np.log2(len(content["probabilities"])))
        else:
            width = 1 + max(
                (q for terms in content["instructions"] for term in terms for q in term["qubits"]), default=0
            )
        for name in content["operations"]:
            yield _Error(name, None if places is None else tuple(map(tuple, places)), width, content)


def _digest(errors: list[_Error]) -> str:
    """Name what a noise model does, by 16 hexadecimal digits; Aer gives each channel a random name of its own, and
    lists them in an order that changes from process to process."""
    told = sorted(
        repr(
            (
                error.name,
                error.places,
                [_term(instructions).key for instructions in error.content.get("instructions", ())],
                _plain(error.content["probabilities"]),
            )
        )
        for error in errors
    )
    return hashlib.sha256("".join(told).encode()).hexdigest()[:16]


def _names(basis: Iterable[str], errors: list[_Error]) -> dict[int, tuple[str, ...]]:
    """Names of the gates on one and on two qubits: those of the basis, and those with an error."""
    from qiskit.circuit.library import get_standard_gate_name_mapping

    widths = {error.name: error.width for error in errors}
    for name, gate in get_standard_gate_name_mapping().items():
        if (name in basis or name in widths) and name not in {"measure", "delay", "reset"}:
            widths[name] = int(gate.num_qubits)
    return {
        width: tuple(sorted(name for name, w in widths.items() if w == width and name != "reset")) for width in (1, 2)
    }


def _table(names: tuple[str, ...], places: list[tuple[int, ...]], errors: list[_Error]) -> Floats:
    """(n_names, n_places) infidelities."""
    table = np.zeros((len(names), len(places)))
    column = {place: i for i, place in enumerate(places)}
    for error in errors:
        there = places if error.places is None else [place for place in error.places if place in column]
        if error.name in names and there:
            table[names.index(error.name), [column[place] for place in there]] = _infidelity(error)
    return table


def _infidelity(error: _Error) -> float:
    """Average infidelity, NaN where it cannot be read.

    The process fidelity of a mixture is the mean of its terms', which many channels share.
    """
    terms = zip(error.content["instructions"], error.content["probabilities"], strict=True)
    kept = sum(share * _process_fidelity(_term(term)) for term, share in terms)
    dim = 2**error.width
    return float(np.clip(1 - (dim * kept + 1) / (dim + 1), 0.0, 1.0))


@dataclass(frozen=True)
class _Term:
    """A list of instructions that can be looked up by its key."""

    key: tuple[Any, ...]
    instructions: list[dict[str, Any]] = field(compare=False)


def _term(instructions: list[dict[str, Any]]) -> _Term:
    names = ((one["name"], *one["qubits"], *map(_plain, one.get("params", ()))) for one in instructions)
    return _Term(tuple(names), instructions)


def _plain(parameter: Any) -> Any:
    return np.asarray(parameter).tobytes() if isinstance(parameter, (np.ndarray, list)) else parameter


@lru_cache(maxsize=4096)
def _process_fidelity(term: _Term) -> float:
    """Process fidelity with the identity; NaN where it cannot be read."""
    from qiskit.quantum_info import process_fidelity

    if not term.instructions:
        return 1.0
    alone = {"type": "qerror", "id": "", "operations": [], "instructions": [term.instructions], "probabilities": [1.0]}
    channel = _channel(alone)
    return float("nan") if channel is None else float(process_fidelity(channel))


def _channel(content: dict[str, Any]) -> Any:
    """Read a channel; None of instructions that Aer writes to a dictionary but does not read, or of none."""
    from qiskit_aer.noise import QuantumError
    from qiskit_aer.noise.noiseerror import NoiseError

    try:
        return QuantumError.from_dict(content).to_quantumchannel()
    except (NoiseError, ValueError):  # the latter of a term without instructions
        return None


def _readout(errors: list[_Error], n_qubits: int) -> Floats:
    """(n_qubits, 2) readout errors, behind those that strike before the measurement."""
    stages = np.tile(np.eye(2), (2, n_qubits, 1, 1))
    for error in errors:
        if error.name == "measure" and error.width == 1:
            read = error.content["type"] == "roerror"
            matrix = np.asarray(error.content["probabilities"], dtype=float) if read else _populations(error.content)
            places = range(n_qubits) if error.places is None else [q for (q,) in error.places if q < n_qubits]
            stages[int(read), list(places)] = matrix
    both = np.clip(stages[0] @ stages[1], 0.0, 1.0)
    return np.stack([both[:, 0, 1], both[:, 1, 0]], axis=1)


def _populations(content: dict[str, Any]) -> Floats:
    """(2, 2) probabilities of |0> and |1> (columns) after the error, from |0> and |1> (rows)."""
    from qiskit.quantum_info import DensityMatrix

    channel = _channel(content)
    if channel is None:
        return np.full((2, 2), np.nan)
    return np.array([DensityMatrix.from_label(label).evolve(channel).probabilities() for label in "01"])
