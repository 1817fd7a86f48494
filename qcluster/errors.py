"""The errors of the world; the caller's own mistakes are ``ValueError`` and ``TypeError``.

::

    QClusterError            anything that went wrong outside the caller's hands
    ├── CalibrationError     a calibration lacks what was asked of it (a dead or unknown qubit)
    ├── JobError             a job failed, was cancelled, or its result is not there
    ├── AccountError         no IBM Quantum account, or one that the service refuses
    ├── StorageError         a file cannot be written or read, or is not what it should be
    └── MissingExtra         a library that only an extra brings is not installed; an ImportError as well
"""

from collections.abc import Iterator
from contextlib import contextmanager


class QClusterError(Exception):
    """Base of all errors that this package raises for failures outside the caller's hands."""


class CalibrationError(QClusterError):
    """A calibration lacks what was asked of it, such as a dead or unknown qubit."""


class JobError(QClusterError):
    """A job failed, was cancelled, or its result cannot be had."""


class AccountError(QClusterError):
    """There is no IBM Quantum account, or the service refuses it."""


class StorageError(QClusterError):
    """A file cannot be written or read, or does not hold what it should."""


class MissingExtra(QClusterError, ImportError):
    """A library that only an extra of this package brings is not installed."""


@contextmanager
def of_extra(extra: str) -> Iterator[None]:
    """Import what only an extra brings; MissingExtra says how to get it where it is not there.

    Example:
        >>> with of_extra("bench"):
        ...     import no_such_library
        Traceback (most recent call last):
        qcluster.errors.MissingExtra: no_such_library is not installed; in a checkout: pip install '.[bench]'
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtra(f"{error.name} is not installed; in a checkout: pip install '.[{extra}]'") from error
