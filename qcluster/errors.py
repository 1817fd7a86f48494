"""Errors that are not the caller's mistake; invalid arguments raise ``ValueError`` or ``TypeError``.

::

    QClusterError            base class: a failure outside the caller's control
    ├── CalibrationError     a calibration lacks a requested figure (dead or unknown qubit), or cannot be obtained
    ├── JobError             a job failed or was cancelled, or its result is not available
    ├── AccountError         there is no IBM Quantum account, or the service refuses it
    ├── StorageError         a file cannot be read or written, or has the wrong content
    └── MissingExtra         a library of an optional extra is not installed; also an ImportError
"""

from collections.abc import Iterator
from contextlib import contextmanager


class QClusterError(Exception):
    """Base class of all errors that this package raises for failures outside the caller's control."""


class CalibrationError(QClusterError):
    """A calibration lacks a requested figure, as for a dead or unknown qubit, or cannot be obtained."""


class JobError(QClusterError):
    """A job failed or was cancelled, or its result is not available."""


class AccountError(QClusterError):
    """There is no IBM Quantum account, or the service refuses it."""


class StorageError(QClusterError):
    """A file cannot be read or written, or has the wrong content."""


class MissingExtra(QClusterError, ImportError):
    """A library of an optional extra of this package is not installed."""


@contextmanager
def requiring_extra(extra: str) -> Iterator[None]:
    """Turn a failed import of a library of an extra into MissingExtra, which says how to install it.

    Example:
        >>> with requiring_extra("bench"):
        ...     import no_such_library
        Traceback (most recent call last):
        qcluster.errors.MissingExtra: no_such_library is not installed; in a checkout: pip install '.[bench]'
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtra(f"{error.name} is not installed; in a checkout: pip install '.[{extra}]'") from error
