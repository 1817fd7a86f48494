"""Read gates from files; a file that is not a suitable gate is refused with a clear message."""

import math
from pathlib import Path

from qcluster.core.decision import candidates, circuit_candidates
from qcluster.core.decision.gate import Gate
from qcluster.errors import StorageError
from qcluster.files import open_arrays

_LEARNED_RATES = candidates.NAMES.index("learned rates") - len(candidates.NAMES)
"""Index, from the end, of a feature that only counts of up to 12 bits have: whether the candidate "learned rates" is
present. The last features say which candidates are present."""
_MODELS = -math.comb(len(circuit_candidates.NAMES), 2) - 1
"""The same for known circuits: the largest probability of a log-linear model. After it come the overlaps of pairs."""


def read_gate(path: Path, names: tuple[str, ...] = candidates.NAMES, *, wide: bool = False) -> Gate:
    """Read a gate that `qcluster decision train` wrote.

    Args:
        path: the file.
        names: the candidates that the gate must weigh: those of counts, or those of counts with a known circuit.
        wide: whether the gate must be the one for more than 12 bits, see `qcluster.core.decision.gate.shipped`.

    Raises:
        StorageError: the file cannot be read, is damaged, or is not a gate; or the gate weighs other candidates or was
            trained on counts of other widths.

    Example:
        >>> import tempfile
        >>> from qcluster.core.decision.gate import shipped
        >>> from qcluster.learn.decision.train import write_gate
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_gate(shipped(), Path(folder) / "gate.npz")
        ...     read_gate(Path(folder) / "gate.npz").names == shipped().names
        True
    """
    try:
        with open_arrays(path) as arrays:
            gate = Gate.of(arrays, names)
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: an archive that is encrypted, or packed oddly
        raise StorageError(f"{path} must hold a gate for {_kind(names)}: {error}") from error
    if wide != (gate.mean[_LEARNED_RATES if names == candidates.NAMES else _MODELS] == 0):
        widest, got = candidates.WIDEST, "others, or of others as well" if wide else "more bits alone"
        raise StorageError(
            f"{path} must hold a gate for counts of {'more than' if wide else 'up to'} {widest} bits; got one of {got}"
        )
    return gate


def _kind(names: tuple[str, ...]) -> str:
    return "counts of known circuits" if names == circuit_candidates.NAMES else "counts"
