"""Users' files: reading counts, flip rates and references, and writing results.

Counts are read from JSON: a dict of counts, an object with a ``counts`` dict, the output of IBM's REST interface or of
``Result.to_dict()``, or a result saved with the IBM runtime's ``RuntimeEncoder``. Results are written completely or not
at all.
"""

import base64
import csv
import errno
import gzip
import json
import os
import re
import secrets
import shlex
import stat
import struct
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile, is_zipfile

import numpy as np

from qcluster.core.counts.distribution import Distribution, read_with_width
from qcluster.core.counts.nested import describe_format, is_wrapped, stated_width
from qcluster.core.mitigation import Mitigation
from qcluster.core.noise.measured import MeasuredNoise, shift_expected
from qcluster.core.uncertainty.interval import Interval
from qcluster.core.words import plural
from qcluster.errors import StorageError

S = TypeVar("S")
T = TypeVar("T")

_RESULT_TYPES = {
    "PrimitiveResult", "PubResult", "SamplerPubResult", "DataBin", "BitArray", "ndarray", "datetime", "set",
    "ExecutionSpans", "ExecutionSpanCollection", "ExecutionSpan", "SliceSpan", "DoubleSliceSpan",
    "TwirledSliceSpan", "TwirledSliceSpanV2", "to_json",
}  # fmt: skip
"""Types that a saved Sampler result consists of. Files with other types are refused before they are decoded, since the
decoder would build any object that a file of unknown origin asks for."""


MOST_BYTES = 1 << 29
"""Largest file to read, and largest array or text to unpack from one: half a gigabyte, many times any real result."""


_MOST_LINKS = 40
"""Most links in a row to follow, the same as in Linux."""


def read_whole(path: Path) -> bytes:
    """Read a file of limited size.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file is larger than `MOST_BYTES`, or endless.
    """
    with path.open("rb") as stream:
        return read_bounded(stream.read, MOST_BYTES)


@contextmanager
def damaged_file_errors(*paths: str | Path) -> Iterator[None]:
    """Turn the errors that damaged files cause in readers into StorageError, with the names of the files.

    Readers of arrays, images and tables have no errors of their own for a file that is damaged or of another kind, but
    raise whatever goes wrong first. An EOFError would even end the command line as if the user had interrupted it. An
    OSError that names a file stays as it is: that file cannot be opened.
    """
    try:
        yield
    except (
        LookupError, AttributeError, TypeError, EOFError, RecursionError, SyntaxError, UnicodeDecodeError,
        BadZipFile, zlib.error, struct.error, csv.Error, OSError,
    ) as error:  # fmt: skip
        if isinstance(error, OSError) and error.filename is not None:
            raise
        names = ", ".join(map(str, paths))
        raise StorageError(f"{names}: damaged, or of another kind: {type(error).__name__}: {error}") from error


@contextmanager
def open_arrays(path: Path) -> Iterator[Mapping[str, np.ndarray[Any, Any]]]:
    """Open an ``.npz`` file; its arrays are read when they are accessed.

    Raises:
        OSError: the file cannot be opened.
        ValueError, RuntimeError: an array is larger than `MOST_BYTES` when unpacked, or holds Python objects; or the
            file is encrypted, or packed in an unsupported way.
        StorageError: the file is damaged or of another kind, even if that is noticed only when an array is read.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "one.npz")
        ...     write_whole(file, pack_arrays({"places": [1, 2]}))
        ...     with open_arrays(file) as arrays:
        ...         arrays["places"]
        array([1, 2])
    """
    with damaged_file_errors(path), path.open("rb") as stream:
        if not is_zipfile(stream):  # numpy would take the file for a pickle, and its message says how to load one
            raise StorageError(f"{path} must be an .npz file of arrays; it is damaged, or of another kind")
        stream.seek(0)
        with np.load(stream, allow_pickle=False) as arrays:
            for member in arrays.zip.infolist():
                if member.file_size > MOST_BYTES:
                    raise ValueError(
                        f"its arrays must have {MOST_BYTES:,} bytes or fewer; {member.filename} unpacks to more"
                    )
            yield arrays


def quote_for_shell(path: str | Path) -> str:
    """Quote a path for a shell, so that a suggested command can be pasted safely.

    Example:
        >>> quote_for_shell("runs/today"), quote_for_shell("my runs; ls"), quote_for_shell("-d")
        ('runs/today', "'my runs; ls'", './-d')
    """
    text = f"./{path}" if str(path).startswith("-") else str(path)  # else it would be read as an option
    return subprocess.list2cmdline([text]) if os.name == "nt" else shlex.quote(text)


@contextmanager
def long_cells() -> Iterator[None]:
    """Let the csv module read cells of any length; by default it refuses those above 131,072 characters."""
    limit = csv.field_size_limit(MOST_BYTES)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def read_bounded(read: Callable[[int], bytes], most: int) -> bytes:
    """Read all bytes by a function such as ``stream.read``; ValueError if there are more than `most`."""
    data = read(most + 1)
    if len(data) > most:
        raise ValueError(f"it is larger than the {most:,} bytes that are read of one file")
    return data


def parse_json(
    text: str | bytes, hook: Callable[[list[tuple[str, Any]]], Any] | None = None, *, strict: bool = False
) -> Any:
    """Parse JSON; ValueError if it is invalid or nested too deeply.

    Args:
        text: the document.
        hook: function that makes an object of its (key, value) pairs.
        strict: whether to refuse repeated keys, and NaN and infinities, which Python accepts but JSON does not have.
    """
    try:
        if strict:
            return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
        return json.loads(text, object_pairs_hook=hook)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_lines(path: Path, make: Callable[[int, Any], T]) -> Iterator[T]:
    """Read a file of JSON lines, gzipped if its name ends in ``.gz``; blank lines are skipped.

    Args:
        path: path of the file.
        make: function of the number of a line, from 1, and its parsed content; its results are yielded.

    Raises:
        StorageError: the file cannot be read, or `make` raises an error for a line; the message names file and line.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        ...     _ = file.write('{"00": 6}\\n\\n{"11": 4}'), file.flush()
        ...     list(read_lines(Path(file.name), lambda number, content: (number, list(content))))
        [(1, ['00']), (3, ['11'])]
    """
    for number, content in _numbered_lines(path):
        try:
            result = make(number, content)
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
            why = f"lacks {error}" if isinstance(error, KeyError) else str(error)
            raise StorageError(f"{path}, line {number}: {why}") from error
        yield result


def read_ideals(path: Path, ideals: Path | None = None) -> dict[str, Any]:
    """Read the ideal distributions that records refer to by their ``ideal_id``.

    Args:
        path: file of the records.
        ideals: file of the ideals; by default the file ``NAME_ideals`` beside the records, if it exists.

    Returns:
        The value of ``ideal`` for each ``ideal_id``; empty if there is no file of ideals.

    Raises:
        StorageError: the file cannot be read, or a line is not an ideal.
    """
    source = ideals or ideals_beside(path)
    by_id: dict[str, Any] = {}
    for identity, ideal in read_lines(source, _parse_ideal) if source is not None else ():
        if by_id.setdefault(identity, ideal) != ideal:
            raise StorageError(f"{source} must hold one ideal of each ideal_id; {identity!r} has two")
    return by_id


def ideals_beside(path: Path) -> Path | None:
    """Path of the file ``NAME_ideals`` beside a file of records, with the same ending; None if there is none."""
    beside = path.parent / re.sub(r"(\.jsonl(\.gz)?)$", r"_ideals\1", path.name)  # of "." too, which has no name
    return beside if beside != path and beside.exists() else None


def read_pair(record: Any, known: Mapping[str, Any]) -> tuple[Distribution, Distribution | None]:
    """Read the counts and the ideal distribution of a record.

    The ideal is the value of ``ideal``, or else the one that ``ideal_id`` refers to. The number of bits is that of
    ``n_bits`` or ``num_bits`` if given, else that of the counts. A key with the value null counts as missing.

    Args:
        record: one parsed line of a file of records.
        known: ideals by ``ideal_id``, see `read_ideals`.

    Returns:
        The counts, and the ideal with the same number of bits, or None if the record has no ideal.

    Raises:
        KeyError: there are no counts.
        ValueError, TypeError: the counts or the ideal are invalid, their numbers of bits differ, or the ``ideal_id`` is
            unknown.

    Example:
        >>> counts, ideal = read_pair({"counts": {"00": 9, "01": 1}, "ideal_id": 7}, {"7": {"00": 1}})
        >>> counts.to_counts(), ideal.to_probs()
        ({'00': 9, '01': 1}, {'00': 1.0})
        >>> read_pair({"counts": {"0x3": 9}, "n_bits": 3}, {})[0].to_counts()
        {'011': 9}
    """
    if not isinstance(record, dict):
        raise TypeError(f"a record must be an object of 'counts' and more; got {record!r:.60}")
    if record.get("counts") is None:
        raise KeyError("counts")
    counts = Distribution.of(record["counts"], num_bits=stated_width(record))
    content, identity = record.get("ideal"), record.get("ideal_id")
    if content is None and identity is None:
        return counts, None
    if content is None and str(identity) not in known:
        raise ValueError(f"lacks {str(identity)!r}: the file of ideals has no ideal with this ideal_id")
    try:
        ideal = read_with_width(known[str(identity)] if content is None else content, counts.n_bits)
    except (ValueError, TypeError) as error:
        raise ValueError(f"the ideal is not a distribution: {error}") from error
    if ideal.n_bits != counts.n_bits:
        raise ValueError(f"the ideal must have strings of {counts.n_bits} bits, as the counts; got {ideal.n_bits}")
    return counts, ideal


def _parse_ideal(_: int, line: Any) -> tuple[str, Any]:
    if not isinstance(line, dict) or not {"ideal_id", "ideal"} <= line.keys():
        raise ValueError("an ideal must be an object of 'ideal_id' and 'ideal'")
    return str(line["ideal_id"]), line["ideal"]


def _numbered_lines(path: Path) -> Iterator[tuple[int, Any]]:
    try:
        encoding = "utf-8-sig"  # some editors begin files with a byte order mark
        is_gzip = path.suffix == ".gz"
        with gzip.open(path, "rt", encoding=encoding) if is_gzip else path.open(encoding=encoding) as lines:
            for number, line in enumerate(iter(lambda: lines.readline(MOST_BYTES + 1), ""), 1):
                if len(line) > MOST_BYTES:
                    raise ValueError(f"line {number} is longer than the {MOST_BYTES:,} characters that are read of one")
                if line.strip():
                    yield number, _parse_line(number, line)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise StorageError(f"cannot read records from {path}: {reason}") from error


def _parse_line(number: int, line: str) -> Any:
    try:
        return parse_json(line.strip(), _unique)
    except ValueError as error:  # its own message would give the number of a line within this line
        raise ValueError(f"line {number}: {getattr(error, 'msg', error)}") from error


def unpack(packed: bytes, most: int = MOST_BYTES) -> bytes:
    """Decompress gzip or zlib data; ValueError if they are damaged, or unpack to more than `most` bytes."""
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


def read_counts(path: str | Path, pub: int | None = None) -> Distribution:
    """Read counts from a JSON file; the parameter sets of a sweep are pooled.

    Args:
        path: a file, or ``-`` for standard input.
        pub: index of the PUB of a saved result, or of the entry of a list of counts, from 0; required for several.

    Raises:
        StorageError: the file cannot be read or is not JSON.
        ValueError, TypeError: the file holds no valid counts, or several sets and `pub` is not given; or it is a part
            of a saved run, which `qcluster.device.jobs.read` reads.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        ...     _ = file.write('[{"00": 6, "11": 4}, {"counts": {"01": 3}}]'), file.flush()
        ...     read_counts(file.name, pub=1).to_counts()
        {'01': 3}
    """
    place = str(path)
    return Distribution.of(choose_set(read_saved(place), place, pub))


def choose_set(content: Any, path: str, pub: int | None = None, *, any_pub: bool = False, dashes: str = "") -> Any:
    """Return one set of counts of a file, chosen and refused as by `read_counts`, in the form that the file has.

    Args:
        content: the content of the file, from `read_saved`.
        path: the file, for error messages.
        pub: as in `read_counts`.
        any_pub: whether `pub` has chosen in another file, so that a single set in this one is taken for any `pub`.
        dashes: as in `choose_one`.
    """
    sets = _sets_of(content, path)
    return choose_one(sets, None if any_pub and len(sets) == 1 else pub, _count_sets(path, sets), dashes)


def _sets_of(content: Any, path: str) -> list[Any]:
    """List the sets of counts in the content of a file: the PUBs of a result, the entries of a list, or one set."""
    _refuse_part(content, path)
    if content is None:
        raise ValueError(f"{path} must hold counts; it holds null")
    if isinstance(content, dict) and not is_wrapped(content) and str(content.get("format", "")).startswith("qcluster-"):
        raise ValueError(f"{path} must hold counts; got a file {describe_format(content)}")
    if isinstance(content, dict) and isinstance(content.get("results"), list):
        content = [_with_width(counts, stated_width(content)) for counts in content["results"]]
    is_result = hasattr(content, "metadata") and hasattr(content, "__len__")  # a result of PUBs, not the data of one
    is_list = isinstance(content, list) and any(not isinstance(shot, (str, int, float)) for shot in content)
    return list(content) if is_result or is_list else [content]


def _with_width(counts: Any, width: Any) -> Any:
    """Add the number of bits that a file gives for all its sets of counts to one of them."""
    if width is None or not isinstance(counts, dict):
        return counts
    return {"num_bits": width, **(counts if is_wrapped(counts) else {"counts": counts})}


def _count_sets(path: str, sets: Sequence[Any]) -> str:
    return f"{path} holds the counts of {plural(len(sets), 'PUB')}"


def choose_one(sets: Sequence[S | None], number: int | None, holder: str, dashes: str = "") -> S:
    """Return one of several sets of counts, or the only one.

    Args:
        sets: the sets.
        number: index of the set; may be None if there is only one.
        holder: beginning of the error message, such as "FILE holds the counts of 2 PUBs".
        dashes: what the message writes before ``pub``, so that it names what its reader can change: nothing for the
            argument in Python, "--" for the option of a command.

    Raises:
        ValueError: there is no such set, or it is None, since its result has not arrived; or `number` is None and there
            are several.
    """
    if (number is None and len(sets) > 1) or not 0 <= (number or 0) < len(sets):
        several, name = len(sets) > 1, f"{dashes}pub"
        choice = f"one by {name}, 0 to {len(sets) - 1}" if several else f"it by {name} 0" if sets else "another file"
        raise ValueError(f"{holder}: choose {choice}; got {number}")
    chosen = sets[number or 0]
    if chosen is None:
        raise ValueError(f"{holder}, and nothing of number {number or 0} has arrived: choose another by {dashes}pub")
    return chosen


def _refuse_part(content: Any, path: str) -> None:
    """Refuse a file of a saved run, since only the run as a whole records which bits were flipped; ValueError."""
    place = Path(path).absolute()
    folder = next((near for near in place.parents[:2] if (near / "request.json").is_file()), None)
    inside = folder is not None and place.relative_to(folder).parts[0] in {"results", "request.json"}
    if inside or "qcluster" in getattr(content, "metadata", ()):
        run = quote_for_shell(folder) if folder is not None and inside else "RUN, the directory of the run"
        raise ValueError(
            f"{path} is a part of a saved run, with the flips of its twirls not undone: use qcluster mitigate {run}, "
            f"qcluster rates {run}, or qcluster.device.jobs.read"
        )


def read_reference(path: str | Path, expected: str | None = None, pub: int | None = None) -> MeasuredNoise:
    """Read the measurement of a reference circuit from a JSON file.

    Args:
        path: a file with counts of any kind that `read_counts` takes. Files written by ``qcluster jobs collect --json``
            for circuits that ran with a reference, or by `MeasuredReference.to_json`, hold the expected bitstring too.
        expected: the noiseless output of the reference, if the file does not hold it.
        pub: index of the set of counts, as in `read_counts`; ignored if the file holds one reference for all PUBs.

    Raises:
        StorageError, ValueError, TypeError: as `read_counts` and `MeasuredNoise` do; or the expected bitstring is
            missing.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        ...     _ = file.write('{"reference": {"counts": {"01": 9, "11": 1}, "expected": "01"}}'), file.flush()
        ...     read_reference(file.name).survival
        0.9
    """
    place = str(path)
    return choose_reference(references_of(read_saved(place), place), place, expected, pub)


def references_of(content: Any, path: str) -> list[Any]:
    """List the references in the content of a file: those of several PUBs, or one."""
    return [content] if _has_expected(content) else _sets_of(content, path)


def choose_reference(
    sets: Sequence[Any], path: str, expected: str | None, pub: int | None, dashes: str = ""
) -> MeasuredNoise:
    """Return the measurement of one of the references in a file; see `read_reference`, and `choose_one` for dashes."""
    chosen = choose_one(sets, pub if len(sets) > 1 else None, _count_sets(path, sets), dashes)  # one serves all PUBs
    if holds_reference(chosen):
        chosen = chosen["reference"]
    if _has_expected(chosen):
        expected = chosen["expected"] if expected is None else expected
        chosen = _pool_references(chosen)
    if expected is None:
        raise ValueError(f"{path} does not say what the reference reads without noise: give it by {dashes}expected")
    return MeasuredNoise(chosen, expected)


def holds_reference(chosen: Any) -> bool:
    """True if a set of counts, in the form that a file has, comes with the measurement of a reference."""
    return isinstance(chosen, dict) and isinstance(chosen.get("reference"), dict)


def _has_expected(content: Any) -> bool:
    """True if the content of a file is a reference with its expected bitstring, or contains one as saved runs do."""
    alone = isinstance(content, dict) and "expected" in content and ("counts" in content or not is_wrapped(content))
    return alone or holds_reference(content)


def _pool_references(reference: Mapping[str, Any]) -> Distribution:
    """Add up the counts of a reference and of its further ones, each translated to the expected string of the first."""
    more = reference.get("more", [])
    if not isinstance(more, list):
        raise ValueError(f"more must be a list of references; got {more!r:.60}")
    for part in (reference, *more):
        if not isinstance(part, dict) or "counts" not in part or not isinstance(part.get("expected"), str):
            raise ValueError(f"a reference must have counts, and expected, a bitstring; got {part!r:.60}")
    counts = MeasuredNoise(reference["counts"], reference["expected"]).reference_counts  # has the expected width
    for part in more:
        further = Distribution.of(part["counts"], num_bits=counts.n_bits)
        counts += shift_expected(further, part["expected"], reference["expected"])
    return counts


EXAMPLE = '{"00": 480, "11": 520}'
"""An example of a file of counts, for error messages."""


def read_saved(path: str) -> Any:
    """Read a JSON file: plain JSON, or a result saved by the IBM runtime's ``RuntimeEncoder``, which is decoded.

    Raises:
        StorageError: the file cannot be read, is not JSON, or holds types that are not part of a Sampler result.
    """
    return decode_saved(read_text(path), path, example=EXAMPLE)


def is_number(text: str) -> bool:
    """True if a cell of a table is a number that Python can read.

    Example:
        >>> is_number("-1e3"), is_number("two")
        (True, False)
    """
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_rates(text: str) -> Any:
    """Read flip rates from a number, or from a JSON file that holds a number, a list or a list of pairs.

    Args:
        text: the number, or the path of the file.

    Raises:
        StorageError: it is neither a number nor a readable JSON file.
        ValueError: the file holds null.
    """
    try:
        return float(text)
    except ValueError:
        pass
    try:
        content = read_text(text)
    except StorageError as error:
        raise StorageError(f"noise must be a number, or a JSON file with one, a list or pairs: {error}") from error
    rates = decode_saved(content, text)
    if rates is None:
        raise ValueError(f"{text} must hold flip rates; it holds null")
    return rates


def format_mitigation(fixed: Mitigation, intervals: Mapping[str, Interval] | None = None) -> str:
    """Write a result as JSON text (version 1): verdict, raw and mitigated probabilities, strings, rates, intervals.

    Args:
        fixed: the result.
        intervals: intervals of bitstrings and observables, from `Mitigation.intervals`, by name.
    """
    content = json.loads(fixed.to_json())
    content["intervals"] = {name: asdict(interval) for name, interval in (intervals or {}).items()}
    return json.dumps(content, indent=1)


def write_mitigation(path: Path, fixed: Mitigation, intervals: Mapping[str, Interval] | None = None) -> None:
    """Write a result to a file as JSON, see `format_mitigation`.

    Raises:
        StorageError: the file cannot be written; its previous content is unchanged.
    """
    write_whole(path, format_mitigation(fixed, intervals))


_NO_NAME = "a file to write must have a name; got '-': standard output is /dev/stdout"


def check_place(path: Path) -> None:
    """Check, as far as possible, that `write_whole` will be able to write a file, before the work for it is done.

    Nothing is written, and no folder is created.

    Raises:
        ValueError, StorageError: as `write_whole` does.
    """
    if path == Path("-"):
        raise ValueError(_NO_NAME)
    try:
        end = _end_of_links(path)
        if end.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        folder = next(parent for parent in end.absolute().parents if parent.exists())
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        needs_folder = end.is_file() or not end.exists()  # a temporary file is created there, except for a pipe
        if needs_folder and not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file completely or not at all, even after a crash; its folder is created if needed.

    The content is written to a temporary file beside `path` and flushed to disk, and then replaces `path` in one step.
    If two processes write the same path, the last one wins, and their contents never mix. A link that belongs to the
    user or the system stays a link. Anything but a regular file, such as a pipe, is written to directly.

    Args:
        path: the file.
        content: bytes, or text, which is written as UTF-8.

    Raises:
        ValueError: the path is ``-``, which elsewhere means standard output.
        StorageError: the file cannot be written, or is a link that another user has put there. Its previous content is
            unchanged, and no partial file is left.
    """
    if path == Path("-"):
        raise ValueError(_NO_NAME)
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        end = _end_of_links(path)
        if end.exists() and not end.is_file():
            path.write_bytes(data)
        else:
            replace_whole(end, data)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}; what was saved before is intact") from error


def pack_arrays(arrays: Mapping[str, Any]) -> bytes:
    """Write arrays as the content of an ``.npz`` file, for `write_whole`.

    `numpy.savez_compressed` itself appends ".npz" to the name, and leaves a partial file on a full disk.
    """
    content = BytesIO()
    np.savez_compressed(content, **arrays)
    return content.getvalue()


def _end_of_links(path: Path) -> Path:
    """Follow links as the system would, but refuse a link that another user has put there."""
    trusted = {0, os.geteuid()} if hasattr(os, "geteuid") else None
    for _ in range(_MOST_LINKS):
        if not path.is_symlink():
            return path
        if trusted is not None and path.lstat().st_uid not in trusted:
            raise PermissionError(errno.EPERM, "it is a link that another user has put there", str(path))
        if path.exists() and not path.is_file():
            return path  # such as a pipe: the target of its link, such as "pipe:[1]", is not a path
        path = path.parent / os.readlink(path)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


def replace_whole(path: Path, data: bytes) -> None:
    """Replace `path` by a new file, completely or not at all, flushed to disk; a link there is not followed.

    The permissions of a file that is replaced are kept.

    Raises:
        OSError: the file cannot be written; its previous content is unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with open(temporary, "xb") as file:
            _keep_mode(path, file.fileno())
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _keep_mode(path: Path, handle: int) -> None:
    """Give an open file the permissions of the file that it replaces, unless that is a link."""
    if path.is_file() and not path.is_symlink() and hasattr(os, "fchmod"):
        with suppress(OSError):  # some file systems have no permissions
            os.fchmod(handle, stat.S_IMODE(path.stat().st_mode))


def sync_folder(folder: Path) -> None:
    """Flush a directory to disk, so that a rename in it survives a power cut.

    No effect outside POSIX systems, and on file systems that cannot flush directories, such as VirtualBox's shared
    folders, which answer EINVAL.
    """
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(handle)


def read_text(path: str) -> str:
    """Read JSON text: UTF-8, or UTF-16 as PowerShell writes, with or without a byte order mark.

    A file whose name ends in ``.gz`` is unpacked.

    Raises:
        StorageError: the file cannot be read, or is not text.
    """
    if not path:
        raise StorageError("a file to read must have a name; got an empty one")
    try:
        if path == "-":
            data = read_bounded(sys.stdin.buffer.read, MOST_BYTES)
        elif path.endswith(".gz"):
            with gzip.open(path) as stream:
                data = read_bounded(stream.read, MOST_BYTES)
        else:
            data = read_whole(Path(path))
        return data.decode(json.detect_encoding(data))
    except UnicodeDecodeError as error:
        raise StorageError(f"{path} must be JSON text; it is not UTF-8") from error
    except (OSError, EOFError, zlib.error) as error:
        raise StorageError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    except ValueError as error:
        raise StorageError(f"cannot read {path[:200]!r}: {error}") from error


def decode_saved(text: str, path: str, *, example: str = "") -> Any:
    """Parse JSON text, and decode it if it is a result saved by ``RuntimeEncoder``.

    Args:
        text: the content of a file.
        path: name of the file, for error messages.
        example: an example of valid content, for error messages.

    Raises:
        StorageError: the text is not JSON, or holds types that are not part of a Sampler result.
        FaultyContent: a key is repeated.
    """
    try:
        content = parse_json(text, _unique)
        types = _types(content)
    except FaultyContent:
        raise
    except (ValueError, RecursionError) as error:
        hint = f", such as {example}" if example else ""
        raise StorageError(f"{'standard input' if path == '-' else path} must be JSON{hint}; {error}") from error
    if not types:
        return content
    unknown = sorted(types - _RESULT_TYPES)
    if unknown:
        raise StorageError(
            f"{path} must hold a saved Sampler result; it holds {unknown[0]!r}, which is not part of one"
        )
    from qiskit_ibm_runtime import RuntimeDecoder

    decoder = RuntimeDecoder()
    try:
        _check_arrays(content)
        return json.loads(text, object_hook=lambda item: decoder.object_hook(_order_registers(item)))
    except Exception as error:  # the decoder may raise errors of any type
        raise StorageError(f"{path} must hold a saved Sampler result; it cannot be decoded: {error}") from error


def _refuse_constant(name: str) -> Any:
    raise FaultyContent(f"numbers must be finite; got {name}")


class FaultyContent(ValueError):
    """A repeated key, or a number that is not finite, in a document that Python's JSON parser accepts."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = max(Counter(keys).items(), key=lambda item: item[1])[0]
        raise FaultyContent(f"keys must be distinct; {twice!r} came twice")
    return content


def _check_arrays(content: Any) -> None:
    """Refuse arrays that would unpack to more than `MOST_BYTES`, which the decoder does not check; ValueError."""
    values = list(content.values()) if isinstance(content, dict) else content if isinstance(content, list) else []
    for value in values:
        _check_arrays(value)
    if isinstance(content, dict) and content.get("__type__") == "ndarray" and isinstance(content["__value__"], str):
        unpack(base64.b64decode(content["__value__"]))


def _order_registers(item: dict[str, Any]) -> dict[str, Any]:
    """Put the registers of a ``DataBin`` in the order of its ``field_names``, the first the least significant.

    In a file whose keys were sorted they are in another order. The shape, which files of 2024 may lack, is added.
    """
    data = item.get("__value__")
    if item.get("__type__") != "DataBin" or not isinstance(data, dict):
        return item
    names, fields = data.get("field_names"), data["fields"]
    if names is None and len(fields) > 1:
        raise ValueError("a DataBin of several registers must have field_names, which give their order")
    if names is not None and sorted(names) != sorted(fields):
        raise ValueError(f"field_names must name the registers {sorted(fields)}; got {names}")
    ordered = {name: fields[name] for name in names or fields}
    return {**item, "__value__": {**data, "shape": data.get("shape") or [], "fields": ordered}}


def _types(content: Any) -> set[str]:
    """Collect the type names that RuntimeEncoder has written into a document."""
    if isinstance(content, list):
        return set().union(*map(_types, content))
    if not isinstance(content, dict):
        return set()
    name = {str(content["__type__"])} if "__type__" in content else set()
    return name.union(*map(_types, content.values()))
