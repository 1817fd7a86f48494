"""Gates in files that were handed over: what is none, or does not fit, is refused in words."""

from io import BytesIO
from pathlib import Path

import numpy as np

from qcluster.core.decision import candidates, circuit_candidates
from qcluster.core.decision.gate import Gate
from qcluster.errors import StorageError
from qcluster.files import read_whole, reading


def read_gate(path: Path, names: tuple[str, ...] = candidates.NAMES) -> Gate:
    """Read a gate that `qcluster decision train` wrote.

    Args:
        path: of the file.
        names: the candidates that it must weigh: of counts, or of counts of known circuits.

    Raises:
        StorageError: the file cannot be read, is damaged or no gate, or the gate weighs other candidates.

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
        with reading(path), np.load(BytesIO(read_whole(path)), allow_pickle=False) as held:
            return Gate.of(held, names)
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: an archive that is encrypted, or packed oddly
        raise StorageError(f"{path} must hold a gate for {_kind(names)}: {error}") from error


def _kind(names: tuple[str, ...]) -> str:
    return "counts of known circuits" if names == circuit_candidates.NAMES else "counts"
