"""Files in a folder that this package manages, such as a saved run or a campaign.

Other users may be able to write to such a folder. Its files are therefore never opened through a link, which could lead
to any file of the user, and opening a file never empties it.
"""

import contextlib
import os
import re
import stat
from pathlib import Path
from typing import IO, Literal

from qcluster.errors import StorageError
from qcluster.files import MOST_BYTES, read_bounded, replace_whole

_LINK = "it is a link, and links are not followed here"
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{12}")
"""Names of the temporary files of `replace_whole`."""


def folder_path(name: str | Path) -> Path:
    """Return the path of a folder; ValueError for a name with a null character, which no system takes, and for an empty
    one, which `Path` takes for the current folder.

    Example:
        >>> folder_path("runs/today").name
        'today'
    """
    if not str(name):
        raise ValueError("a folder must have a name; got an empty one, perhaps of a variable that is not set")
    if "\0" in str(name):
        raise ValueError(f"the name of a folder must have no null characters; got {str(name)!r:.60}")
    return Path(name)


def open_managed(path: Path, mode: Literal["rb", "rb+", "ab", "ab+"]) -> IO[bytes]:
    """Open a file of a folder, unbuffered; ``ab`` and ``ab+`` create it if it does not exist.

    Args:
        path: the file.
        mode: as for `open`; none of these modes empties the file.

    Raises:
        OSError: the file cannot be opened; it is a link, or not a regular file (a pipe, a device); or it would be
            written and has a second name (a hard link), so that another file would change with it.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with open_managed(Path(folder) / "log", "ab") as file:
        ...         _ = file.write(b"one line")
        ...     read_managed(Path(folder) / "log")
        b'one line'
    """
    if path.is_symlink():
        raise OSError(0, _LINK, str(path))
    file = open(path, mode, buffering=0, opener=_open_without_link)  # noqa: SIM115
    try:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "it is no plain file", str(path))
        if mode != "rb" and status.st_nlink > 1:
            raise OSError(0, "it is another file too (a hard link), which would change with it", str(path))
    except OSError:
        file.close()
        raise
    return file


def _open_without_link(path: str, flags: int) -> int:
    """Open a file without following a link created in the meantime, and without waiting for the other end of a pipe."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o666)


def read_managed(path: Path) -> bytes:
    """Read a file of a folder; see `open_managed` and `qcluster.files.read_whole`.

    Raises:
        OSError: the file cannot be opened, or is not a regular file.
        ValueError: the file is larger than `MOST_BYTES`.
    """
    with open_managed(path, "rb") as file:
        return read_bounded(file.read, MOST_BYTES)


def lock_folder(path: Path, refusal: str, *inner: str) -> IO[bytes]:
    """Create a folder if needed, lock it for this process, and remove half-written files of processes that were killed.

    Args:
        path: the folder.
        refusal: message if another process holds the lock.
        inner: names of subfolders that are written to.

    Returns:
        The open lock file. The lock is released when it is closed, or when this process ends for any reason.

    Raises:
        StorageError: another process holds the lock, or the folder cannot be written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        linked = [path / name for name in inner if (path / name).is_symlink()]
        if linked:
            raise OSError(0, _LINK, str(linked[0]))
    except FileExistsError as error:
        why = "it is a link that leads nowhere" if path.is_symlink() and not path.exists() else "it is no folder"
        raise StorageError(f"cannot write {path}: {why}") from error
    except OSError as error:
        raise StorageError(f"cannot write {error.filename or path}: {error.strerror}") from error
    file = lock_file(path / ".lock", refusal)
    for folder in (path, *(path / name for name in inner)):
        if folder.is_dir():
            _sweep(folder)
    return file


def lock_file(path: Path, refusal: str) -> IO[bytes]:
    """Create a lock file, and its folder, if needed, and lock it until it is closed or this process ends.

    portalocker is used because it locks a file that is already open, on any system. filelock would open the file by
    name again, and might lock another file than the one checked here.

    Raises:
        StorageError: another process holds the lock (the message is `refusal`), or the file cannot be opened or locked.
    """
    from portalocker import LockFlags, lock
    from portalocker.exceptions import AlreadyLocked, LockException

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open_managed(path, "ab")
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
    try:
        lock(file, LockFlags.EXCLUSIVE | LockFlags.NON_BLOCKING)
    except AlreadyLocked as error:
        file.close()
        raise StorageError(refusal) from error
    except LockException as error:
        file.close()
        raise StorageError(f"cannot lock {path}: {error}") from error
    return file


def write_managed(path: Path, content: bytes | str) -> None:
    """Write a file of a folder completely or not at all; a link in its place is replaced, not followed.

    In text, half a character, as in names of files that are not in UTF-8, is written as its escape.

    Raises:
        StorageError: the file cannot be written. Its previous content is unchanged, and no partial file is left.
    """
    try:
        replace_whole(path, content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}; what was saved before is intact") from error


def write_once(path: Path, content: bytes | str) -> None:
    """Write a file as `write_managed` does, unless it exists already."""
    if path.is_symlink() or not path.exists():
        write_managed(path, content)


def _sweep(folder: Path) -> None:
    """Remove temporary files left by processes that were killed while writing; the folder must be locked."""
    for path in folder.iterdir():
        with contextlib.suppress(OSError):  # it is gone already, or stays, which does no harm
            if _TEMPORARY.fullmatch(path.name) and stat.S_ISREG(path.lstat().st_mode):
                path.unlink()
