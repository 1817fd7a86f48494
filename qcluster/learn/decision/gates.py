"""Read gates from files; a file that is not a suitable gate is refused with a clear message."""

import json
import math
from dataclasses import replace
from pathlib import Path

from qcluster.core.decision import candidates, circuit_candidates
from qcluster.core.decision.gate import Gate, gate_kind, shipped
from qcluster.errors import StorageError
from qcluster.files import open_arrays

_LEARNED_RATES = candidates.NAMES.index("learned rates") - len(candidates.NAMES)
"""Index, from the end, of a feature that only counts of up to 12 bits have: whether the candidate "learned rates" is
present. The last features say which candidates are present."""
_MODELS = -math.comb(len(circuit_candidates.NAMES), 2) - 1
"""The same for known circuits: the largest probability of a log-linear model. After it come the overlaps of pairs."""


def read_gate(path: str | Path, names: tuple[str, ...] | None = None, *, wide: bool | None = None) -> Gate:
    """Read a gate that ``qcluster decision train`` wrote, for `gates` of `qcluster.mitigate`.

    Args:
        path: the file.
        names: the candidates that the gate must weigh: those of counts, or those of counts with a known circuit. By
            default any of these two.
        wide: whether the gate must be one for more than 12 bits. By default it may be for more or for up to 12.

    Raises:
        StorageError: the file cannot be read, is damaged, or is not a gate of this version; or the gate weighs other
            candidates or was trained on counts of other widths than it must.

    Example:
        >>> import tempfile
        >>> from qcluster.core.decision.gate import shipped
        >>> from qcluster.learn.decision.train import write_gate
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = write_gate(shipped(wide=True), Path(folder) / "gate.npz")
        ...     read_gate(Path(folder) / "gate.npz").wide
        True
    """
    path = Path(path)
    try:
        with open_arrays(path) as arrays:
            of_circuits = tuple(map(str, arrays["names"].ravel())) == circuit_candidates.NAMES
            gate = Gate.of(arrays, names or (circuit_candidates.NAMES if of_circuits else candidates.NAMES))
        gate = replace(gate, wide=_is_wide(gate))
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RuntimeError) as error:  # RuntimeError: an archive that is encrypted, or packed oddly
        kinds = {candidates.NAMES: " for counts", circuit_candidates.NAMES: " for counts of known circuits"}
        raise StorageError(f"{path} must hold a gate{kinds.get(names or (), '')}: {error}") from error
    if wide not in (None, gate.wide):
        needed, got = gate_kind(gate.names, not gate.wide), gate_kind(gate.names, gate.wide)
        raise StorageError(f"{path} must hold a gate for {needed}; got one for {got}")
    return gate


def _is_wide(gate: Gate) -> bool:
    """Return what the card says of the widths or, for gates of earlier versions, what the features in training say.

    Raises:
        ValueError: the card says something else, or the gate has other features than this version computes.
    """
    features = len(shipped(gate.names).mean)
    if len(gate.mean) != features:
        raise ValueError(f"a gate must read the {features} features that this version computes; got {len(gate.mean)}")
    by_features = gate.mean[_LEARNED_RATES if gate.names == candidates.NAMES else _MODELS] == 0
    stated = json.loads(gate.card).get("wide", bool(by_features))
    if not isinstance(stated, bool):
        raise ValueError(f"the card of a gate must have true or false as wide; got {stated!r:.40}")
    return stated
