"""The errors of the world; the caller's own mistakes are ``ValueError`` and ``TypeError``.

::

    QClusterError            anything that went wrong outside the caller's hands
    ├── CalibrationError     a calibration lacks what was asked of it (a dead or unknown qubit)
    ├── JobError             a job failed, was cancelled, or its result is not there
    ├── AccountError         no IBM Quantum account, or one that the service refuses
    └── StorageError         a file cannot be written or read, or is not what it should be
"""


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
