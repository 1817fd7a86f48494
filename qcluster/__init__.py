"""Quantum error mitigation of Sampler counts: gate and readout errors, no calibration circuits, and a guard.

The core is imported at once and needs numpy only; everything else is imported on first use (PEP 562).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from qcluster.core import metrics
from qcluster.core.distribution import Distribution, Estimate
from qcluster.core.mitigate import Mitigation, mitigate
from qcluster.errors import AccountError, CalibrationError, JobError, QClusterError, StorageError

if TYPE_CHECKING:
    from qcluster.learn.hamming import HammingKMajority

__version__ = "0.1.0.dev0"

_LAZY = {
    "HammingKMajority": "qcluster.learn.hamming",
}
"""Public names that cost more than numpy, and where they live."""

__all__ = [
    "AccountError",
    "CalibrationError",
    "Distribution",
    "Estimate",
    "HammingKMajority",
    "JobError",
    "Mitigation",
    "QClusterError",
    "StorageError",
    "metrics",
    "mitigate",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = getattr(import_module(_LAZY[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'qcluster' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
