"""An append-only CSV file that survives a kill at any moment."""

import contextlib
import csv
import io
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from qcluster.errors import StorageError
from qcluster.files import is_number, long_cells, replace_whole
from qcluster.folders import lock_file, open_own, read_own

logger = logging.getLogger(__name__)

_OTHER = "{} has other columns than this version writes; start a new file or directory"


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep other processes from writing to a table until this one is done or dead.

    Raises:
        StorageError: another process is writing to it, or its folder cannot be written to.
    """
    with lock_file(path.with_name(f".{path.name}.lock"), f"another process is writing to {path}"):
        yield


class Table:
    """Append rows to a CSV file, each flushed before `append` returns.

    A row is there whole or not at all: a last line without its newline is what a killed process or a full disk
    leaves behind; it is dropped, with a warning in the log, when the file is opened again. A file that does not begin
    with the header is no table of this package, and stays as it is.

    Args:
        path: the file; made with its header at the first row.
        columns: names of the columns, in order.

    Raises:
        StorageError: the file cannot be read, or ends in an unfinished line and has other columns.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self.columns = tuple(columns)
        try:
            self._mend()
        except OSError as error:
            raise StorageError(f"cannot open {path}: {error.strerror}") from error

    def _mend(self) -> None:
        if not self.path.exists() or not self.path.is_file():
            return
        with open_own(self.path, "rb+") as stream:
            content = stream.read()
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                self._refuse_foreign(content)
                logger.warning("%s: dropped an unfinished last line of %d bytes", self.path, len(content) - whole)
                stream.truncate(whole)

    def _refuse_foreign(self, content: bytes) -> None:
        """Refuse what begins with neither the header nor a part of it, before anything is cut off."""
        first, end, _ = content.decode("utf-8-sig", "replace").partition("\n")
        names = next(csv.reader([first]), [])
        if not (tuple(names) == self.columns if end else ",".join(self.columns).startswith(first)):
            raise StorageError(_OTHER.format(self.path))

    def rows(self) -> list[dict[str, str]]:
        """Read all rows, oldest first; values are text, as written.

        Raises:
            StorageError: the file cannot be read, or has other columns.
        """
        return read_rows(self.path, self.columns)

    def append(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Write rows at the end and flush: all of them in one piece, so that a kill tears one line at most.

        Raises:
            StorageError: the disk is full, or the file cannot be written; what was there before is untouched.
        """
        try:
            header = not self.path.exists() or os.path.getsize(self.path) == 0
            with open_own(self.path, "ab") as stream:
                _write_whole(stream, self._lines(rows, header=header))
        except OSError as error:
            raise StorageError(
                f"cannot write to {self.path}: {error.strerror}; what was saved before is intact"
            ) from error

    def _lines(self, rows: Sequence[Mapping[str, object]], *, header: bool) -> bytes:
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, lineterminator="\n")
        if header:
            writer.writeheader()
        writer.writerows({key: cell(value) for key, value in row.items()} for row in rows)
        return text.getvalue().encode("utf-8", "backslashreplace")  # half a character, as an error may quote it

    def keep(
        self, wanted: Callable[[Mapping[str, str]], bool], *, old: Path | None = None, key: Sequence[str] = ()
    ) -> None:
        """Replace the table by the rows that are wanted, in one step.

        Args:
            wanted: tells for a row whether it stays.
            old: where the table as it was is kept, if anywhere. Where that has rows which the table lacks, who dropped
                them was stopped half-way: they stay, and so do the others there.
            key: columns that tell rows apart.

        Raises:
            StorageError: the disk is full, or a file cannot be read or written; the table is untouched.
        """
        rows = self.rows()
        if all(wanted(row) for row in rows):
            return

        def name(row: Mapping[str, str]) -> tuple[str, ...]:
            return tuple(row[column] for column in key or self.columns)

        was = {name(row): row for row in rows}
        # a link that is there is replaced
        earlier = read_rows(old, self.columns) if old is not None and old.is_file() and not old.is_symlink() else []
        if any(name(row) not in was for row in earlier):
            was |= {name(row): row for row in earlier}
        try:
            if old is not None:
                replace_whole(old, self._lines([*was.values()], header=True))
            replace_whole(self.path, self._lines([row for row in rows if wanted(row)], header=True))
        except OSError as error:
            raise StorageError(f"cannot write to {self.path}: {error.strerror}; it is as it was") from error


def _write_whole(stream: IO[bytes], content: bytes) -> None:
    """Write everything, or take back what did get written."""
    start, done = stream.seek(0, os.SEEK_END), 0
    try:
        while done < len(content):
            done += stream.write(content[done:]) or 0
    except OSError:
        if done:
            stream.truncate(start)
        raise


_LINE_ENDS = str.maketrans("\n\r", "\u240a\u240d")
_LINE_ENDS_BACK = str.maketrans("\u240a\u240d", "\n\r")
_FORMULA = re.compile(r"'*[=+\-@\t#]")
_FORMULA_BACK = re.compile(r"'+[=+\-@\t#]")


def cell(value: object) -> str:
    """Write a value so that it stays what it is in a table, whoever opens it; `read_rows` takes this back.

    Floats get the digits that read back to the same number, NaN and None become nothing. A name keeps to its line (a
    torn line is then one row) by the signs for line ends, and starts with an apostrophe where a spreadsheet would take
    it for a formula, or a reader for a comment.

    Example:
        >>> cell("=2+3"), cell("a\\nb"), cell(-0.5), cell("-0.5")
        ("'=2+3", 'a␊b', '-0.5', '-0.5')
    """
    if value is None or value != value:
        return ""
    if not isinstance(value, str):
        return repr(float(value)) if isinstance(value, float) else str(value)
    text = value.translate(_LINE_ENDS)
    return f"'{text}" if _FORMULA.match(text) and not is_number(text) else text


def _value(text: str) -> str:
    """Undo `cell`."""
    return (text[1:] if _FORMULA_BACK.match(text) else text).translate(_LINE_ENDS_BACK)


def read_rows(path: Path, columns: Sequence[str] | None = None) -> list[dict[str, str]]:
    """Read a table without touching it: an unfinished last line is left out, with a warning in the log.

    Raises:
        StorageError: the file cannot be read, or has other columns than those asked for.
    """
    if not path.exists():
        return []
    try:
        content = read_own(path).decode("utf-8-sig")  # some spreadsheets begin files with a mark
    except (OSError, ValueError) as error:
        raise StorageError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    whole = content[: content.rfind("\n") + 1]
    if len(whole) < len(content):
        logger.warning("%s: the last line has no line end and is left out", path)
    reader = csv.DictReader(io.StringIO(whole))
    try:
        with long_cells():
            rows = list(reader)
    except csv.Error as error:
        raise StorageError(f"cannot read {path}: {error}") from error
    if columns is not None and whole and tuple(reader.fieldnames or ()) != tuple(columns):
        raise StorageError(_OTHER.format(path))
    for number, row in enumerate(rows, 1):
        if None in row or None in row.values():
            raise StorageError(f"row {number} of {path} must have {len(reader.fieldnames or ())} values: it is damaged")
    return [{key: _value(text) for key, text in row.items()} for row in rows]
