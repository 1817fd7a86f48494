"""Files that users hand over: counts and rates in, results out.

Counts come as JSON: a dict of counts, an object with a ``counts`` dict, or a result saved with the IBM runtime's
``RuntimeEncoder``. Results are written whole or not at all.
"""

import base64
import contextlib
import json
import os
import secrets
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np

from qcluster.core.bits import format_bitstrings
from qcluster.core.distribution import Distribution
from qcluster.core.interval import Interval
from qcluster.core.mitigate import Mitigation
from qcluster.core.noise.measured import MeasuredNoise
from qcluster.errors import StorageError

_RESULT_TYPES = {
    "PrimitiveResult", "PubResult", "SamplerPubResult", "DataBin", "BitArray", "ndarray", "datetime", "set",
    "ExecutionSpans", "ExecutionSpanCollection", "ExecutionSpan", "SliceSpan", "DoubleSliceSpan",
    "TwirledSliceSpan", "TwirledSliceSpanV2",
}  # fmt: skip
"""What a saved Sampler result consists of. Others are refused unread: a decoder that builds any object on request
is no place for files of unknown origin."""


MOST_BYTES = 1 << 29
"""Most that is read of one file, and of one array or text packed in it: half a gigabyte, many times any real result."""


def read_whole(path: Path, most: int = MOST_BYTES) -> bytes:
    """Read a file, but no more of it than memory is meant to hold.

    Raises:
        OSError: it cannot be read.
        ValueError: it is larger than `most` bytes, or never ends.
    """
    with path.open("rb") as stream:
        return _bounded(stream.read, most)


def _bounded(read: Callable[[int], bytes], most: int) -> bytes:
    data = read(most + 1)
    if len(data) > most:
        raise ValueError(f"it is larger than the {most:,} bytes that are read of one file")
    return data


def parse_json(text: str | bytes, hook: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """Parse JSON; ValueError for whatever is wrong with it, brackets nested without end included."""
    try:
        return json.loads(text, object_pairs_hook=hook)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def unpack(packed: bytes, most: int = MOST_BYTES) -> bytes:
    """Undo gzip or zlib, but write out no more than memory is meant to hold; ValueError where that fails."""
    stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        data = stream.decompress(packed, most)
    except zlib.error as error:
        raise ValueError(f"it is damaged: {error}") from error
    if stream.unconsumed_tail:
        raise ValueError(f"it unpacks to more than {most:,} bytes")
    if not stream.eof:
        raise ValueError("it is cut short")
    return data


def read_counts(path: str, pub: int | None = None) -> Distribution:
    """Read counts from a JSON file.

    Args:
        path: a file, or ``-`` for standard input.
        pub: which of several: a PUB of a saved result, or an entry of a list of counts, from 0.

    Raises:
        StorageError: the file cannot be read or is not JSON.
        ValueError, TypeError: it holds no counts, or wrong ones, or several where none was chosen.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        ...     _ = file.write('[{"00": 6, "11": 4}, {"counts": {"01": 3}}]'), file.flush()
        ...     read_counts(file.name, pub=1).to_counts()
        {'01': 3}
    """
    content = read_saved(path)
    several = hasattr(content, "metadata") and hasattr(content, "__len__")  # PUBs, and not the data of one
    if isinstance(content, list) and any(not isinstance(shot, str) for shot in content):
        several = True
    sets = list(content) if several else [content]
    if (pub is None and len(sets) > 1) or not 0 <= (pub or 0) < len(sets):
        choice = f"one by --pub, 0 to {len(sets) - 1}" if sets else "another file"
        raise ValueError(f"{path} holds the counts of {len(sets)} PUBs: choose {choice}; got {pub}")
    chosen = sets[pub or 0]
    if isinstance(chosen, dict) and isinstance(chosen.get("counts"), dict):
        chosen = chosen["counts"]
    return Distribution.of(chosen)


def read_reference(path: str, expected: str | None = None, pub: int | None = None) -> MeasuredNoise:
    """Read what a reference circuit measured from a JSON file.

    Args:
        path: counts of any kind that `read_counts` takes; or what `qcluster jobs collect --json` wrote of circuits that
            ran with a reference, or `MeasuredReference.to_json`, which hold the expected string as well.
        expected: what the reference reads without noise.
        pub: which of several, as in `read_counts`.

    Raises:
        StorageError, ValueError, TypeError: as `read_counts` and `MeasuredNoise` do; or nothing is expected.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        ...     _ = file.write('{"reference": {"counts": {"01": 9, "11": 1}, "expected": "01"}}'), file.flush()
        ...     read_reference(file.name).survival
        0.9
    """
    content = read_saved(path)
    if isinstance(content, list) and content and isinstance(content[0], dict) and "reference" in content[0]:
        if not 0 <= (pub if pub is not None else -1) < len(content):
            raise ValueError(f"{path} holds {len(content)} references: choose one by --pub; got {pub}")
        content = content[pub or 0]
    if isinstance(content, dict) and isinstance(content.get("reference"), dict):
        content = content["reference"]
    if isinstance(content, dict) and isinstance(content.get("counts"), dict) and "expected" in content:
        expected = content["expected"] if expected is None else expected
        counts = Distribution.of(content["counts"])
    else:
        counts = read_counts(path)
    if expected is None:
        raise ValueError(f"{path} does not say what the reference reads without noise: give it by --expected")
    return MeasuredNoise(counts, expected)


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
    write_whole(path, json.dumps(content, indent=1))


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file so that a reader sees all of it or none, also after a crash; make its folder where there is none.

    The content goes to a file of its own beside `path`, down to the disk, and then takes the place of `path` in one
    step: of two processes that write the same path the last one stays, and nothing mixes. A link stays a link; what
    is no file, such as a pipe, is written to as it is.

    Args:
        path: the file.
        content: bytes, or text, which is written as UTF-8.

    Raises:
        StorageError: it cannot be written; what stood there before is as it was, and nothing half-written is left.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
        else:
            _replace(Path(os.path.realpath(path)), data)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}; what was saved before is intact") from error


def write_once(path: Path, content: bytes | str) -> None:
    """`write_whole`, but a file that is there already stays as it is."""
    if not path.exists():
        write_whole(path, content)


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with open(beside, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def lock(file: IO[Any], refusal: str) -> None:
    """Lock an open file until this process ends or closes it, however it ends; nothing on systems that cannot.

    Raises:
        StorageError: another process holds it; `refusal` says so.
    """
    with contextlib.suppress(ImportError):  # not POSIX: two processes in one place must then be avoided by hand
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StorageError(refusal) from error


def sync_folder(folder: Path) -> None:
    """Flush a directory, so that a rename in it survives a power cut; nothing on systems that cannot."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read_text(path: str) -> str:
    try:
        data = _bounded(sys.stdin.buffer.read, MOST_BYTES) if path == "-" else read_whole(Path(path))
        return data.decode("utf-8")
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise StorageError(f"{path} must be JSON text; it is not UTF-8") from error
    except ValueError as error:
        raise StorageError(f"cannot read {path[:200]!r}: {error}") from error


def _decode(text: str, path: str) -> Any:
    try:
        content = parse_json(text, _unique)
        types = _types(content)
    except _Twice:
        raise
    except (ValueError, RecursionError) as error:
        raise StorageError(f"{path} must be JSON; {error}") from error
    if not types:
        return content
    strange = sorted(types - _RESULT_TYPES)
    if strange:
        raise StorageError(f"{path} must hold a saved Sampler result; it holds {strange[0]!r}, which is not read")
    from qiskit_ibm_runtime import RuntimeDecoder

    try:
        _check_arrays(content)
        return json.loads(text, cls=RuntimeDecoder)
    except Exception as error:  # the decoder lets errors of any kind through
        raise StorageError(f"{path} must hold a saved Sampler result; it cannot be decoded: {error}") from error


class _Twice(ValueError):
    """A key came twice: the caller's mistake, and valid JSON."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = max(Counter(keys).items(), key=lambda item: item[1])[0]
        raise _Twice(f"keys must be distinct; {twice!r} came twice")
    return content


def _check_arrays(content: Any) -> None:
    """Refuse arrays that would unpack to more than memory is meant to hold; the decoder does not look."""
    inner = list(content.values()) if isinstance(content, dict) else content if isinstance(content, list) else []
    for value in inner:
        _check_arrays(value)
    if isinstance(content, dict) and content.get("__type__") == "ndarray" and isinstance(content["__value__"], str):
        unpack(base64.b64decode(content["__value__"]))


def _types(content: Any) -> set[str]:
    """Collect the type names that RuntimeEncoder left in a document."""
    if isinstance(content, list):
        return set().union(*map(_types, content))
    if not isinstance(content, dict):
        return set()
    own = {str(content["__type__"])} if "__type__" in content else set()
    return own.union(*map(_types, content.values()))
