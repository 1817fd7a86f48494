"""Gates in files that were handed over: what is none, or does not fit, is refused in words."""

from pathlib import Path

from qcluster.core.decision import candidates, circuit_candidates
from qcluster.core.decision.gate import Gate
from qcluster.errors import StorageError
from qcluster.files import open_arrays

_LEARNED = candidates.NAMES.index("learned rates") - len(candidates.NAMES)
"""Place among the features, whose last ones tell which candidates there are, of one that only counts of up to 12 bits
have."""


def read_gate(path: Path, names: tuple[str, ...] = candidates.NAMES, *, wide: bool = False) -> Gate:
    """Read a gate that `qcluster decision train` wrote.

    Args:
        path: of the file.
        names: the candidates that it must weigh: of counts, or of counts of known circuits.
        wide: of counts, those of more than 12 bits, as `qcluster.core.decision.gate.shipped` has it.

    Raises:
        StorageError: the file cannot be read, is damaged or no gate, or the gate weighs other candidates, or learned
            from counts of other widths.

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
        with open_arrays(path) as held:
            gate = Gate.of(held, names)
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: an archive that is encrypted, or packed oddly
        raise StorageError(f"{path} must hold a gate for {_kind(names)}: {error}") from error
    if names == candidates.NAMES and wide != (gate.mean[_LEARNED] == 0):
        most, got = candidates.WIDEST, "others, or of others as well" if wide else "more bits alone"
        raise StorageError(
            f"{path} must hold a gate for counts of {'more than' if wide else 'up to'} {most} bits; got one of {got}"
        )
    return gate


def _kind(names: tuple[str, ...]) -> str:
    return "counts of known circuits" if names == circuit_candidates.NAMES else "counts"
