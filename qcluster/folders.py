"""The files of a folder that this package keeps, such as a saved run or a campaign.

A folder may lie where others write. So its files are opened as what they are: never through a link, which may lead to
any file of the user's, and never emptied by the opening.
"""

import contextlib
import os
import re
import stat
from pathlib import Path
from typing import IO, Literal

from qcluster.errors import StorageError
from qcluster.files import MOST_BYTES, bounded, replace_whole

_LINK = "it is a link, and links are not followed here"
_BESIDE = re.compile(r"\..+\.[0-9a-f]{12}")
"""What `replace_whole` calls a file while it is being written."""


def open_own(path: Path, mode: Literal["rb", "rb+", "ab", "ab+"]) -> IO[bytes]:
    """Open a file of a folder, unbuffered; ``ab`` and ``ab+`` make it where there is none.

    Args:
        path: the file.
        mode: as of `open`; none of them empties the file.

    Raises:
        OSError: it cannot be opened; it is a link, or no file at all (a pipe, a device); or it is to be written and
            has a second name, so that another file would change with it.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with open_own(Path(folder) / "log", "ab") as file:
        ...         _ = file.write(b"one line")
        ...     read_own(Path(folder) / "log")
        b'one line'
    """
    if path.is_symlink():
        raise OSError(0, _LINK, str(path))
    file = open(path, mode, buffering=0, opener=_not_by_link)  # noqa: SIM115
    try:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise OSError(0, "it is no plain file", str(path))
        if mode != "rb" and facts.st_nlink > 1:
            raise OSError(0, "it is another file too (a hard link), which would change with it", str(path))
    except OSError:
        file.close()
        raise
    return file


def _not_by_link(path: str, flags: int) -> int:
    """Open without following a link that was put there since we looked, and without waiting for a pipe's other end."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o666)


def read_own(path: Path) -> bytes:
    """Read a file of a folder; see `open_own` and `qcluster.files.read_whole`.

    Raises:
        OSError: it cannot be opened, or is not what it should be.
        ValueError: it is larger than `MOST_BYTES`.
    """
    with open_own(path, "rb") as file:
        return bounded(file.read, MOST_BYTES)


def lock_folder(path: Path, refusal: str, *inner: str) -> IO[bytes]:
    """Make a folder where there is none, lock it for this process, and clear away what a killed one had half written.

    Args:
        path: the folder.
        refusal: what to say where another process holds it.
        inner: folders in it that are written to.

    Returns:
        The open lock file. The lock lasts until it is closed or this process ends, however it ends.

    Raises:
        StorageError: another process holds the lock, or the folder cannot be written to.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        linked = [path / name for name in inner if (path / name).is_symlink()]
        if linked:
            raise OSError(0, _LINK, str(linked[0]))
    except FileExistsError as error:
        what = "it is a link that leads nowhere" if path.is_symlink() and not path.exists() else "it is no folder"
        raise StorageError(f"cannot write {path}: {what}") from error
    except OSError as error:
        raise StorageError(f"cannot write {error.filename or path}: {error.strerror}") from error
    file = lock_file(path / ".lock", refusal)
    for folder in (path, *(path / name for name in inner)):
        if folder.is_dir():
            _sweep(folder)
    return file


def lock_file(path: Path, refusal: str) -> IO[bytes]:
    """Open a lock file and lock it, until it is closed or this process ends.

    portalocker locks a file that is open already, on any system; filelock opens one by its name, so that what was
    checked here need not be what it locks.

    Raises:
        StorageError: another process holds it, as `refusal` says, or the file cannot be opened or locked.
    """
    from portalocker import LockFlags, lock
    from portalocker.exceptions import AlreadyLocked, LockException

    try:
        file = open_own(path, "ab")
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


def write_own(path: Path, content: bytes | str) -> None:
    """Write a file of a folder so that a reader sees all of it or none; a link in its place is replaced, not followed.

    Raises:
        StorageError: it cannot be written; what stood there before is as it was, and nothing half-written is left.
    """
    try:
        replace_whole(path, content.encode("utf-8") if isinstance(content, str) else content)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}; what was saved before is intact") from error


def write_once(path: Path, content: bytes | str) -> None:
    """`write_own`, but a file that is there already stays as it is."""
    if path.is_symlink() or not path.exists():
        write_own(path, content)


def _sweep(folder: Path) -> None:
    """Remove what a process left that was killed while it wrote; to be called under the folder's lock."""
    for path in folder.iterdir():
        with contextlib.suppress(OSError):  # it does no harm, and takes no name that is needed; or it is gone already
            if _BESIDE.fullmatch(path.name) and stat.S_ISREG(path.lstat().st_mode):
                path.unlink()
