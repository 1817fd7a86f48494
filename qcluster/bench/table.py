"""An append-only CSV file that stays intact if the process is killed."""

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
from qcluster.folders import lock_file, open_managed, read_managed

logger = logging.getLogger(__name__)

_OTHER_COLUMNS = "{} has other columns than this version writes; start a new file or directory"


@contextlib.contextmanager
def exclusive_access(path: Path) -> Iterator[None]:
    """Keep other processes from writing to a table until this one finishes or dies.

    Raises:
        StorageError: another process is writing to the table, or its folder cannot be written to.
    """
    with lock_file(path.with_name(f".{path.name}.lock"), f"another process is writing to {path}"):
        yield


class Table:
    """Append rows to a CSV file, each flushed before `append` returns.

    A last line without its newline was left by a killed process or a full disk. It is dropped, with a warning in the
    log, when the file is opened again, so that every row is complete. A file that does not begin with the header is not
    a table of this package, and is not changed.

    Args:
        path: the file; created with its header at the first row.
        columns: names of the columns in their order.

    Raises:
        StorageError: the file cannot be read, or ends in an unfinished line and has other columns.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self.path = path
        self.columns = tuple(columns)
        try:
            self._drop_unfinished_line()
        except OSError as error:
            raise StorageError(f"cannot open {path}: {error.strerror}") from error

    def _drop_unfinished_line(self) -> None:
        if not self.path.exists() or not self.path.is_file():
            return
        with open_managed(self.path, "rb+") as stream:
            content = stream.read()
            end = content.rfind(b"\n") + 1
            if end < len(content):
                self._refuse_foreign(content)
                logger.warning("%s: dropped an unfinished last line of %d bytes", self.path, len(content) - end)
                stream.truncate(end)

    def _refuse_foreign(self, content: bytes) -> None:
        """Refuse a file that begins with neither the header nor a part of it, before anything is cut off."""
        first, end, _ = content.decode("utf-8-sig", "replace").partition("\n")
        names = next(csv.reader([first]), [])
        if not (tuple(names) == self.columns if end else ",".join(self.columns).startswith(first)):
            raise StorageError(_OTHER_COLUMNS.format(self.path))

    def rows(self) -> list[dict[str, str]]:
        """Read all rows, oldest first; values are text, as written.

        Raises:
            StorageError: the file cannot be read, or has other columns.
        """
        return read_rows(self.path, self.columns)

    def append(self, rows: Sequence[Mapping[str, object]]) -> None:
        """Write rows at the end in one piece and flush them; if the process is killed, at most one line is unfinished.

        Raises:
            StorageError: the disk is full, or the file cannot be written; earlier rows are unchanged.
        """
        try:
            header = not self.path.exists() or os.path.getsize(self.path) == 0
            with open_managed(self.path, "ab") as stream:
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
        return text.getvalue().encode("utf-8", "backslashreplace")  # an error may quote half a character

    def keep(
        self, wanted: Callable[[Mapping[str, str]], bool], *, old: Path | None = None, key: Sequence[str] = ()
    ) -> None:
        """Keep only the wanted rows, replacing the table in one step.

        Args:
            wanted: returns whether a row is kept.
            old: file that gets the present table, if any. If it has rows whose key the table lacks, an earlier call
                dropped them, and they were not all computed again. It then keeps all its rows, also where the table has
                a newer row with the same key, and gets only the others.
            key: columns that identify a row; all by default.

        Raises:
            StorageError: the disk is full, or a file cannot be read or written; the table is unchanged.
        """
        rows = self.rows()
        if all(wanted(row) for row in rows):
            return

        def key_of(row: Mapping[str, str]) -> tuple[str, ...]:
            return tuple(row[column] for column in key or self.columns)

        by_key = {key_of(row): row for row in rows}
        # a link at this place is replaced, not followed
        earlier = read_rows(old, self.columns) if old is not None and old.is_file() and not old.is_symlink() else []
        if any(key_of(row) not in by_key for row in earlier):
            by_key |= {key_of(row): row for row in earlier}
        if old is not None:
            self._replace(old, [*by_key.values()])
        self._replace(self.path, [row for row in rows if wanted(row)])

    def update(self, changed: Callable[[Mapping[str, str]], Mapping[str, str]]) -> None:
        """Write the present values of rows, replacing the table in one step if any has changed.

        Args:
            changed: returns the columns of a row that may have changed, with their present values.

        Raises:
            StorageError: as for `keep`.
        """
        rows = self.rows()
        updated = [{**row, **changed(row)} for row in rows]
        if updated != rows:
            self._replace(self.path, updated)

    def _replace(self, path: Path, rows: Sequence[Mapping[str, str]]) -> None:
        try:
            replace_whole(path, self._lines(rows, header=True))
        except OSError as error:
            raise StorageError(f"cannot write to {self.path}: {error.strerror}; it is unchanged") from error


def _write_whole(stream: IO[bytes], content: bytes) -> None:
    """Write everything, or remove what was written."""
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
_LOST = re.compile("[\u240a\u240d\ud800-\udfff]")
_FORMULA = re.compile(r"'*[=+\-@\t#]")
_FORMULA_BACK = re.compile(r"'+[=+\-@\t#]")


def cell(value: object) -> str:
    """Format a value so that it survives in a table, whatever program opens it; `read_rows` reverses this.

    Floats get as many digits as are needed to read back the same number; NaN and None become empty. Text stays on one
    line (so that an unfinished line is one row): line ends are replaced by their symbols. Text that a spreadsheet would
    read as a formula, or another reader as a comment, is prefixed by an apostrophe.

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


def check_text(name: str, text: str) -> None:
    """Raise ValueError for text that a table would not return unchanged.

    That is half a character, as in undecodable paths, or a symbol that `cell` writes for the end of a line.

    Example:
        >>> check_text("id", "caf\\udce9")
        Traceback (most recent call last):
        ValueError: id must be text that UTF-8 can encode, without ␊ and ␍, also in names of files; got 'caf\\udce9'
    """
    if _LOST.search(text):
        raise ValueError(
            f"{name} must be text that UTF-8 can encode, without ␊ and ␍, also in names of files; got {text!r}"
        )


def _value(text: str) -> str:
    """Reverse `cell`."""
    return (text[1:] if _FORMULA_BACK.match(text) else text).translate(_LINE_ENDS_BACK)


def read_rows(path: Path, columns: Sequence[str] | None = None) -> list[dict[str, str]]:
    """Read a table without changing it; an unfinished last line is left out, with a warning in the log.

    Raises:
        StorageError: the file cannot be read, or has other columns than the expected ones.
    """
    if not path.exists():
        return []
    try:
        content = read_managed(path).decode("utf-8-sig")  # some spreadsheets begin files with a byte order mark
    except (OSError, ValueError) as error:
        raise StorageError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    complete = content[: content.rfind("\n") + 1]
    if len(complete) < len(content):
        logger.warning("%s: the last line has no line end and is left out", path)
    reader = csv.DictReader(io.StringIO(complete))
    try:
        with long_cells():
            rows = list(reader)
    except csv.Error as error:
        raise StorageError(f"cannot read {path}: {error}") from error
    if columns is not None and complete and tuple(reader.fieldnames or ()) != tuple(columns):
        raise StorageError(_OTHER_COLUMNS.format(path))
    for number, row in enumerate(rows, 1):
        if None in row or None in row.values():
            raise StorageError(f"row {number} of {path} must have {len(reader.fieldnames or ())} values: it is damaged")
    return [{key: _value(text) for key, text in row.items()} for row in rows]
