"""Files that users hand over: counts and rates in, results out.

Counts come as JSON: a dict of counts, an object with a ``counts`` dict, what IBM's REST interface or
``Result.to_dict()`` give, or a result saved with the IBM runtime's ``RuntimeEncoder``. Results are written whole or
not at all.
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
from zipfile import BadZipFile

import numpy as np

from qcluster.core.counts.distribution import Distribution, of_width
from qcluster.core.counts.nested import is_wrapped, of_format, width_told
from qcluster.core.mitigation import Mitigation
from qcluster.core.noise.measured import MeasuredNoise, as_expecting
from qcluster.core.uncertainty.interval import Interval
from qcluster.core.words import many
from qcluster.errors import StorageError

S = TypeVar("S")
T = TypeVar("T")

_RESULT_TYPES = {
    "PrimitiveResult", "PubResult", "SamplerPubResult", "DataBin", "BitArray", "ndarray", "datetime", "set",
    "ExecutionSpans", "ExecutionSpanCollection", "ExecutionSpan", "SliceSpan", "DoubleSliceSpan",
    "TwirledSliceSpan", "TwirledSliceSpanV2", "to_json",
}  # fmt: skip
"""What a saved Sampler result consists of. Others are refused unread: a decoder that builds any object on request
is no place for files of unknown origin."""


MOST_BYTES = 1 << 29
"""Most that is read of one file, and of one array or text packed in it: half a gigabyte, many times any real result."""


_MOST_LINKS = 40
"""Links in a row that are followed, as many as Linux follows."""


def read_whole(path: Path) -> bytes:
    """Read a file, but no more of it than memory is meant to hold.

    Raises:
        OSError: it cannot be read.
        ValueError: it is larger than `MOST_BYTES`, or never ends.
    """
    with path.open("rb") as stream:
        return bounded(stream.read, MOST_BYTES)


@contextmanager
def reading(*paths: str | Path) -> Iterator[None]:
    """Name the files on which a reader fails that promises no errors of its own.

    Readers of arrays, pictures and tables raise whatever goes wrong first in a file that is damaged or of another
    kind. An EOFError would even end the command line as if the user had interrupted it.

    Raises:
        StorageError: in place of such an error.
    """
    try:
        yield
    except (
        LookupError, AttributeError, TypeError, EOFError, RecursionError, SyntaxError, UnicodeDecodeError,
        BadZipFile, zlib.error, struct.error, csv.Error,
    ) as error:  # fmt: skip
        names = ", ".join(map(str, paths))
        raise StorageError(f"{names}: damaged, or of another kind: {type(error).__name__}: {error}") from error


@contextmanager
def open_arrays(path: Path) -> Iterator[Mapping[str, np.ndarray[Any, Any]]]:
    """Open an ``.npz`` file, whose arrays are read as they are asked for.

    Raises:
        OSError: it cannot be opened.
        ValueError, RuntimeError: one of its arrays is larger than `MOST_BYTES` when unpacked, or has objects of
            Python's; or it is encrypted, or packed oddly.
        StorageError: it is damaged, or of another kind, also where that shows as an array is read.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "one.npz")
        ...     write_whole(file, pack_arrays({"places": [1, 2]}))
        ...     with open_arrays(file) as held:
        ...         held["places"]
        array([1, 2])
    """
    with reading(path), path.open("rb") as stream, np.load(stream, allow_pickle=False) as held:
        for one in held.zip.infolist():
            if one.file_size > MOST_BYTES:
                raise ValueError(f"its arrays must have {MOST_BYTES:,} bytes or fewer; {one.filename} unpacks to more")
        yield held


def typed(path: str | Path) -> str:
    """Write a path as it is typed into a shell, for commands that are proposed: whole, and nothing in it is run.

    Example:
        >>> typed("runs/today"), typed("my runs; ls")
        ('runs/today', "'my runs; ls'")
    """
    return subprocess.list2cmdline([str(path)]) if os.name == "nt" else shlex.quote(str(path))


@contextmanager
def long_cells() -> Iterator[None]:
    """Read tables with cells of any length: Python writes those beyond 131,072 characters, but refuses to read them."""
    before = csv.field_size_limit(MOST_BYTES)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def bounded(read: Callable[[int], bytes], most: int) -> bytes:
    """Call a function that reads, but for no more than `most` bytes; ValueError where there are more."""
    data = read(most + 1)
    if len(data) > most:
        raise ValueError(f"it is larger than the {most:,} bytes that are read of one file")
    return data


def parse_json(
    text: str | bytes, hook: Callable[[list[tuple[str, Any]]], Any] | None = None, *, strict: bool = False
) -> Any:
    """Parse JSON; ValueError for whatever is wrong with it, brackets nested without end included.

    Args:
        text: the document.
        hook: makes an object of its pairs.
        strict: whether to refuse keys that come twice, and NaN and infinities, which Python reads and JSON has not.
    """
    try:
        if strict:
            return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number)
        return json.loads(text, object_pairs_hook=hook)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_lines(path: Path, make: Callable[[int, Any], T]) -> Iterator[T]:
    """Read a file of JSON lines, gzipped where its name ends in ``.gz``; lines without text are passed over.

    Args:
        path: of the file.
        make: the number of a line, from 1, and what it holds, to what is yielded.

    Raises:
        StorageError: the file cannot be read, or `make` finds a line wrong; the message names file and line.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        ...     _ = file.write('{"00": 6}\\n\\n{"11": 4}'), file.flush()
        ...     list(read_lines(Path(file.name), lambda number, held: (number, list(held))))
        [(1, ['00']), (3, ['11'])]
    """
    for number, held in _numbered_lines(path):
        try:
            made = make(number, held)
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
            what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
            raise StorageError(f"{path}, line {number}: {what}") from error
        yield made


def read_ideals(path: Path, ideals: Path | None = None) -> dict[str, Any]:
    """Read the ideals that records name by their ``ideal_id``: from the file given, or ``NAME_ideals`` beside them.

    Returns:
        What stands under ``ideal``, by ``ideal_id``; empty where there is no such file.

    Raises:
        StorageError: the file cannot be read, or a line is no ideal.
    """
    source = ideals or ideals_beside(path)
    found: dict[str, Any] = {}
    for identity, ideal in read_lines(source, _ideal) if source is not None else ():
        if found.setdefault(identity, ideal) != ideal:
            raise StorageError(f"{source} must hold one ideal of each ideal_id; {identity!r} has two")
    return found


def ideals_beside(path: Path) -> Path | None:
    """Name the file ``NAME_ideals`` beside records, with their ending; None where there is none."""
    beside = path.with_name(re.sub(r"(\.jsonl(\.gz)?)$", r"_ideals\1", path.name))
    return beside if beside != path and beside.exists() else None


def read_pair(record: Any, known: Mapping[str, Any]) -> tuple[Distribution, Distribution | None]:
    """Read the counts of a record and its ideal: ``ideal``, else what its ``ideal_id`` names, of the width that
    ``n_bits`` (or ``num_bits``) tells, if any, or the counts; null is as if the key were not there.

    Args:
        record: one line of a file of records.
        known: ideals by ``ideal_id``, see `read_ideals`.

    Returns:
        The counts and the ideal, of one width; None in its place where the record has none.

    Raises:
        KeyError: there are no counts.
        ValueError, TypeError: counts or ideal are none, or of several widths, or no such ideal is known.

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
    counts = Distribution.of(record["counts"], num_bits=width_told(record))
    meant, identity = record.get("ideal"), record.get("ideal_id")
    if meant is None and identity is None:
        return counts, None
    if meant is None and str(identity) not in known:
        raise ValueError(f"lacks {str(identity)!r}: no ideal of this ideal_id stands in the file of ideals")
    try:
        ideal = of_width(known[str(identity)] if meant is None else meant, counts.n_bits)
    except (ValueError, TypeError) as error:
        raise ValueError(f"the ideal is none: {error}") from error
    if ideal.n_bits != counts.n_bits:
        raise ValueError(f"the ideal must have strings of {counts.n_bits} bits, as the counts; got {ideal.n_bits}")
    return counts, ideal


def _ideal(_: int, line: Any) -> tuple[str, Any]:
    if not isinstance(line, dict) or not {"ideal_id", "ideal"} <= line.keys():
        raise ValueError("an ideal must be an object of 'ideal_id' and 'ideal'")
    return str(line["ideal_id"]), line["ideal"]


def _numbered_lines(path: Path) -> Iterator[tuple[int, Any]]:
    try:
        code = "utf-8-sig"  # some editors begin files with a mark
        with gzip.open(path, "rt", encoding=code) if path.suffix == ".gz" else path.open(encoding=code) as lines:
            for number, line in enumerate(iter(lambda: lines.readline(MOST_BYTES + 1), ""), 1):
                if len(line) > MOST_BYTES:
                    raise ValueError(f"line {number} is longer than the {MOST_BYTES:,} characters that are read of one")
                if line.strip():
                    yield number, _parse_line(number, line)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise StorageError(f"cannot read records from {path}: {error}") from error


def _parse_line(number: int, line: str) -> Any:
    try:
        return parse_json(line.strip(), _unique)
    except ValueError as error:  # counts the lines of this one
        raise ValueError(f"line {number}: {getattr(error, 'msg', error)}") from error


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
        ValueError, TypeError: it holds no counts, or wrong ones, or several where none was chosen; or it is a part of a
            saved run, which `qcluster.device.jobs.read` reads.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        ...     _ = file.write('[{"00": 6, "11": 4}, {"counts": {"01": 3}}]'), file.flush()
        ...     read_counts(file.name, pub=1).to_counts()
        {'01': 3}
    """
    return Distribution.of(read_set(path, pub))


def read_set(path: str, pub: int | None = None) -> Any:
    """Read what `read_counts` makes counts of, as the file has it."""
    sets = _sets_of(read_saved(path), path)
    return choose_one(sets, pub, _holder(path, sets))


def _sets_of(content: Any, path: str) -> list[Any]:
    """Give the sets of counts in what was read of a file: the PUBs of a result, the entries of a list, or it alone."""
    _refuse_part(content, path)
    if isinstance(content, dict) and not is_wrapped(content) and str(content.get("format", "")).startswith("qcluster-"):
        raise ValueError(f"{path} must hold counts; got a file {of_format(content)}")
    if isinstance(content, dict) and isinstance(content.get("results"), list):
        content = [_told(one, width_told(content)) for one in content["results"]]
    several = hasattr(content, "metadata") and hasattr(content, "__len__")  # PUBs, and not the data of one
    if isinstance(content, list) and any(not isinstance(shot, str) for shot in content):
        several = True
    return list(content) if several else [content]


def _told(counts: Any, width: Any) -> Any:
    """Put the width that is told of all sets of counts beside one of them."""
    if width is None or not isinstance(counts, dict):
        return counts
    return {"num_bits": width, **(counts if is_wrapped(counts) else {"counts": counts})}


def _holder(path: str, sets: Sequence[Any]) -> str:
    return f"{path} holds the counts of {many(len(sets), 'PUB')}"


def choose_one(sets: Sequence[S], number: int | None, holder: str) -> S:
    """Give one of several sets of counts, or the only one; ValueError where that is not said, after `holder`."""
    if (number is None and len(sets) > 1) or not 0 <= (number or 0) < len(sets):
        choice = f"one by --pub, 0 to {len(sets) - 1}" if len(sets) > 1 else "it by --pub 0" if sets else "another file"
        raise ValueError(f"{holder}: choose {choice}; got {number}")
    return sets[number or 0]


def _refuse_part(content: Any, path: str) -> None:
    """Refuse a part of a saved run: how its bits were flipped is known to the run alone."""
    place = Path(path).absolute()
    folder = next((near for near in place.parents[:2] if (near / "request.json").is_file()), None)
    inside = folder is not None and place.relative_to(folder).parts[0] in {"results", "request.json"}
    if inside or "qcluster" in getattr(content, "metadata", ()):
        run = typed(folder) if folder is not None and inside else "RUN, the directory of the run"
        raise ValueError(
            f"{path} is a part of a saved run, with the flips of its twirls not undone: use qcluster mitigate {run}, "
            f"qcluster rates {run}, or qcluster.device.jobs.read"
        )


def read_reference(path: str, expected: str | None = None, pub: int | None = None) -> MeasuredNoise:
    """Read what a reference circuit measured from a JSON file.

    Args:
        path: counts of any kind that `read_counts` takes; or what `qcluster jobs collect --json` wrote of circuits that
            ran with a reference, or `MeasuredReference.to_json`, which hold the expected string as well.
        expected: what the reference reads without noise.
        pub: which of several, as in `read_counts`; a file of one reference has it for all PUBs.

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
    sets = [content] if _tells_reference(content) else _sets_of(content, path)
    chosen = choose_one(sets, pub if len(sets) > 1 else None, _holder(path, sets))  # one serves all PUBs
    if holds_reference(chosen):
        chosen = chosen["reference"]
    if _tells_reference(chosen):
        expected = chosen["expected"] if expected is None else expected
        chosen = _all_counts(chosen)
    if expected is None:
        raise ValueError(f"{path} does not say what the reference reads without noise: give it by --expected")
    return MeasuredNoise(chosen, expected)


def holds_reference(chosen: Any) -> bool:
    """Tell whether a set of counts, as a file has it, has what a reference measured beside it."""
    return isinstance(chosen, dict) and isinstance(chosen.get("reference"), dict)


def _tells_reference(content: Any) -> bool:
    """Tell whether what was read is a reference with what it expects, or holds one as a saved run does."""
    alone = isinstance(content, dict) and "expected" in content and ("counts" in content or not is_wrapped(content))
    return alone or holds_reference(content)


def _all_counts(reference: Mapping[str, Any]) -> Distribution:
    """Add up the counts of a reference and of those that ran beside it, their flips on top of its expected string."""
    beside = reference.get("more", [])
    if not isinstance(beside, list):
        raise ValueError(f"more must be a list of references; got {beside!r:.60}")
    for part in (reference, *beside):
        if not isinstance(part, dict) or "counts" not in part or not isinstance(part.get("expected"), str):
            raise ValueError(f"a reference must have counts, and expected, a bitstring; got {part!r:.60}")
    counts = MeasuredNoise(reference["counts"], reference["expected"]).reference_counts  # of the width expected
    for part in beside:
        read = Distribution.of(part["counts"], num_bits=counts.n_bits)
        counts += as_expecting(read, part["expected"], reference["expected"])
    return counts


def read_saved(path: str) -> Any:
    """Read a JSON file: plain content as it is, what the IBM runtime's ``RuntimeEncoder`` saved as a result.

    Raises:
        StorageError: the file cannot be read, is not JSON, or holds types that no Sampler result consists of.
    """
    return decode_saved(_read_text(path), path, such='{"00": 480, "11": 520}')


def is_number(text: str) -> bool:
    """Tell whether a cell of a table is a number as Python reads it.

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
    """Read flip rates: a number, or the name of a JSON file that holds one, a list, or a list of pairs.

    Raises:
        StorageError: neither a number nor a file that can be read and is JSON.
        ValueError: the file holds null.
    """
    try:
        return float(text)
    except ValueError:
        pass
    try:
        content = _read_text(text)
    except StorageError as error:
        raise StorageError(f"noise must be a number, or a JSON file with one, a list or pairs: {error}") from error
    found = decode_saved(content, text)
    if found is None:
        raise ValueError(f"{text} must hold flip rates; it holds null")
    return found


def format_mitigation(fixed: Mitigation, intervals: Mapping[str, Interval] | None = None) -> str:
    """Write a result as JSON text (version 1): verdict, probabilities raw and mitigated, strings, rates, intervals.

    Args:
        fixed: the result.
        intervals: of bitstrings and observables, as `Mitigation.intervals` gives them.
    """
    content = json.loads(fixed.to_json())
    content["intervals"] = {name: asdict(one) for name, one in (intervals or {}).items()}
    return json.dumps(content, indent=1)


def write_mitigation(path: Path, fixed: Mitigation, intervals: Mapping[str, Interval] | None = None) -> None:
    """Write a result to a file as JSON, see `format_mitigation`.

    Raises:
        StorageError: it cannot be written; what stood there before is left as it was.
    """
    write_whole(path, format_mitigation(fixed, intervals))


_NO_NAME = "a file to write must have a name; got '-': standard output is /dev/stdout"


def check_place(path: Path) -> None:
    """Refuse a file that `write_whole` could not write, so far as that can be known before the work that it is for.

    Nothing is written, and no folder made.

    Raises:
        ValueError, StorageError: as `write_whole` does.
    """
    if path == Path("-"):
        raise ValueError(_NO_NAME)
    try:
        end = _end_of_links(path)
        if end.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        near = next(one for one in end.absolute().parents if one.exists())
        if not near.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        beside = end.is_file() or not end.exists()  # what is written goes to a file beside it first; not so of a pipe
        if beside and not os.access(near, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error


def write_whole(path: Path, content: bytes | str) -> None:
    """Write a file so that a reader sees all of it or none, also after a crash; make its folder where there is none.

    The content goes to a file of its own beside `path`, down to the disk, and then takes the place of `path` in one
    step: of two processes that write the same path the last one stays, and nothing mixes. A link of the user's or the
    system's own stays a link; what is no file, such as a pipe, is written to as it is.

    Args:
        path: the file.
        content: bytes, or text, which is written as UTF-8.

    Raises:
        ValueError: the path is ``-``, which elsewhere means standard output.
        StorageError: it cannot be written, or is a link that another user has put there; what stood there before is
            as it was, and nothing half-written is left.
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
    """Write arrays as the content of an ``.npz`` file: `numpy.savez_compressed` puts an ending to a name, and leaves
    half a file on a full disk."""
    content = BytesIO()
    np.savez_compressed(content, **arrays)
    return content.getvalue()


def _end_of_links(path: Path) -> Path:
    """Follow links as the system would, but none that another user has put there."""
    trusted = {0, os.geteuid()} if hasattr(os, "geteuid") else None
    for _ in range(_MOST_LINKS):
        if not path.is_symlink():
            return path
        if trusted is not None and path.lstat().st_uid not in trusted:
            raise PermissionError(errno.EPERM, "it is a link that another user has put there", str(path))
        if path.exists() and not path.is_file():
            return path  # the system's names of pipes are no paths
        path = path.parent / os.readlink(path)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


def replace_whole(path: Path, data: bytes) -> None:
    """Put a file in the place of `path`, all of it or none, down to the disk; a link there is replaced, not followed.

    Who may read and write a file that was there may as before, and no others.

    Raises:
        OSError: it cannot be written; what stood there before is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with open(beside, "xb") as file:
            _keep_mode(path, file.fileno())
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _keep_mode(path: Path, handle: int) -> None:
    """Give an open file the permissions of the one whose place it takes; those of a link are not its own."""
    if path.is_file() and not path.is_symlink() and hasattr(os, "fchmod"):
        with suppress(OSError):  # some file systems have none
            os.fchmod(handle, stat.S_IMODE(path.stat().st_mode))


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
        data = bounded(sys.stdin.buffer.read, MOST_BYTES) if path == "-" else read_whole(Path(path))
        return data.decode("utf-8-sig")  # some editors begin files with a mark
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise StorageError(f"{path} must be JSON text; it is not UTF-8") from error
    except ValueError as error:
        raise StorageError(f"cannot read {path[:200]!r}: {error}") from error


def decode_saved(text: str, path: str, *, such: str = "") -> Any:
    """Decode what `read_saved` has read.

    Args:
        text: what the file holds.
        path: what to call it where that fails, by StorageError.
        such: what it might hold, for that error.
    """
    try:
        content = parse_json(text, _unique)
        types = _types(content)
    except FaultyContent:
        raise
    except (ValueError, RecursionError) as error:
        example = f", such as {such}" if such else ""
        raise StorageError(f"{'standard input' if path == '-' else path} must be JSON{example}; {error}") from error
    if not types:
        return content
    strange = sorted(types - _RESULT_TYPES)
    if strange:
        raise StorageError(f"{path} must hold a saved Sampler result; it holds {strange[0]!r}, which is not read")
    from qiskit_ibm_runtime import RuntimeDecoder

    decoder = RuntimeDecoder()
    try:
        _check_arrays(content)
        return json.loads(text, object_hook=lambda item: decoder.object_hook(_ordered(item)))
    except Exception as error:  # the decoder lets errors of any kind through
        raise StorageError(f"{path} must hold a saved Sampler result; it cannot be decoded: {error}") from error


def _no_number(name: str) -> Any:
    raise FaultyContent(f"numbers must be finite; got {name}")


class FaultyContent(ValueError):
    """A key came twice, or a number is none: the caller's mistake, in what parsers take for valid JSON."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = max(Counter(keys).items(), key=lambda item: item[1])[0]
        raise FaultyContent(f"keys must be distinct; {twice!r} came twice")
    return content


def _check_arrays(content: Any) -> None:
    """Refuse arrays that would unpack to more than memory is meant to hold; the decoder does not look."""
    inner = list(content.values()) if isinstance(content, dict) else content if isinstance(content, list) else []
    for value in inner:
        _check_arrays(value)
    if isinstance(content, dict) and content.get("__type__") == "ndarray" and isinstance(content["__value__"], str):
        unpack(base64.b64decode(content["__value__"]))


def _ordered(item: dict[str, Any]) -> dict[str, Any]:
    """Put the registers of a ``DataBin`` in the order of its ``field_names``: the first is the least significant, and
    a file whose keys were sorted has them in another one. Files of 2024 may have no shape."""
    data = item.get("__value__")
    if item.get("__type__") != "DataBin" or not isinstance(data, dict):
        return item
    names, fields = data.get("field_names"), data["fields"]
    if names is None and len(fields) > 1:
        raise ValueError("a DataBin of several registers must have field_names, which tell their order")
    if names is not None and sorted(names) != sorted(fields):
        raise ValueError(f"field_names must name the registers {sorted(fields)}; got {names}")
    ordered = {name: fields[name] for name in names or fields}
    return {**item, "__value__": {**data, "shape": data.get("shape") or [], "fields": ordered}}


def _types(content: Any) -> set[str]:
    """Collect the type names that RuntimeEncoder left in a document."""
    if isinstance(content, list):
        return set().union(*map(_types, content))
    if not isinstance(content, dict):
        return set()
    own = {str(content["__type__"])} if "__type__" in content else set()
    return own.union(*map(_types, content.values()))
