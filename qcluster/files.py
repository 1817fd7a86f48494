"""Files that users hand over: counts and rates in, results out.

Counts come as JSON: a dict of counts, an object with a ``counts`` dict, or a result saved with the IBM runtime's
``RuntimeEncoder``. Results are written whole or not at all.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from qcluster.core.bits import format_bitstrings
from qcluster.core.distribution import Distribution
from qcluster.core.interval import Interval
from qcluster.core.mitigate import Mitigation
from qcluster.errors import StorageError

_RESULT_TYPES = {
    "PrimitiveResult", "PubResult", "SamplerPubResult", "DataBin", "BitArray", "ndarray", "datetime", "set",
    "ExecutionSpans", "ExecutionSpanCollection", "ExecutionSpan", "SliceSpan", "DoubleSliceSpan",
    "TwirledSliceSpan", "TwirledSliceSpanV2",
}  # fmt: skip
"""What a saved Sampler result consists of. Others are refused unread: a decoder that builds any object on request
is no place for files of unknown origin."""


def read_counts(path: str, pub: int | None = None) -> Distribution:
    """Read counts from a JSON file.

    Args:
        path: a file, or ``-`` for standard input.
        pub: which PUB of a saved result of several.

    Raises:
        StorageError: the file cannot be read or is not JSON.
        ValueError, TypeError: it holds no counts, or wrong ones.
    """
    content = read_saved(path)
    if isinstance(content, dict) and isinstance(content.get("counts"), dict):
        content = content["counts"]
    if pub is not None:
        if not hasattr(content, "metadata") or not 0 <= pub < len(content):
            raise ValueError(f"--pub {pub} needs a saved result of at least {pub + 1} PUBs; {path} is not one")
        content = content[pub]
    return Distribution.of(content)


def read_saved(path: str) -> Any:
    """Read a JSON file: plain content as it is, what the IBM runtime's ``RuntimeEncoder`` saved as a result.

    Raises:
        StorageError: the file cannot be read, is not JSON, or holds types that no Sampler result consists of.
    """
    return _decode(_read_text(path), path)


def read_rates(text: str) -> Any:
    """Read flip rates: a number, or the name of a JSON file that holds one, a list, or a list of pairs."""
    try:
        return float(text)
    except ValueError:
        return _decode(_read_text(text), text)


def write_mitigation(path: Path, fixed: Mitigation, intervals: Mapping[str, Interval] | None = None) -> None:
    """Write a result as JSON (version 1): verdict, probabilities raw and mitigated, clusters, rates, intervals.

    Args:
        path: the file.
        fixed: the result.
        intervals: of bitstrings and observables, as `Mitigation.intervals` gives them.

    Raises:
        StorageError: it cannot be written; what stood there before is left as it was.
    """
    content = {
        "format": "qcluster-mitigation",
        "version": 1,
        "method": fixed.method,
        "applied": fixed.applied,
        "share": fixed.share,
        "confidence": fixed.confidence,
        "reason": fixed.reason,
        "n_bits": fixed.raw.n_bits,
        "shots": fixed.raw.shots,
        "raw": fixed.raw.to_probs(),
        "mitigated": fixed.distribution.to_probs(),
        "centroids": dict(zip(format_bitstrings(fixed.centroids), fixed.weights.tolist(), strict=True)),
        "rates": np.asarray(fixed.rates).tolist(),
        "intervals": {name: asdict(one) for name, one in (intervals or {}).items()},
    }
    write_whole(path, lambda part: part.write_text(json.dumps(content, indent=1), encoding="utf-8"))


def write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a temporary file beside `path`, which then takes its place in one step.

    Raises:
        StorageError: the file cannot be written; what stood there before is left as it was.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix)
        os.close(handle)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
    part = Path(name)
    try:
        write(part)
        part.chmod(0o666 & ~_umask())
        part.replace(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _read_text(path: str) -> str:
    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
        return data.decode("utf-8")
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise StorageError(f"{path} must be JSON text; it is not UTF-8") from error


def _decode(text: str, path: str) -> Any:
    try:
        content = json.loads(text, object_pairs_hook=_unique)
        types = _types(content)
    except (json.JSONDecodeError, RecursionError) as error:
        raise StorageError(f"{path} must be JSON; {error}") from error
    if not types:
        return content
    strange = sorted(types - _RESULT_TYPES)
    if strange:
        raise StorageError(f"{path} must hold a saved Sampler result; it holds {strange[0]!r}, which is not read")
    from qiskit_ibm_runtime import RuntimeDecoder

    try:
        return json.loads(text, cls=RuntimeDecoder)
    except Exception as error:  # the decoder lets errors of any kind through
        raise StorageError(f"{path} must hold a saved Sampler result; it cannot be decoded: {error}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"keys must be distinct; {next(key for key in keys if keys.count(key) > 1)!r} came twice")
    return content


def _types(content: Any) -> set[str]:
    """Collect the type names that RuntimeEncoder left in a document."""
    if isinstance(content, list):
        return set().union(*map(_types, content))
    if not isinstance(content, dict):
        return set()
    own = {str(content["__type__"])} if "__type__" in content else set()
    return own.union(*map(_types, content.values()))
