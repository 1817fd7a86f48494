"""Quantum error mitigation of Sampler counts: gate and readout errors, no calibration circuits, and a guard.

The core is imported at once and needs numpy only; everything else is imported on first use (PEP 562).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from qcluster.core import metrics
from qcluster.core.distribution import Distribution, Estimate
from qcluster.core.interval import Interval
from qcluster.core.mitigate import Mitigation, mitigate
from qcluster.core.mixture import MixtureSettings
from qcluster.core.noise.measured import MeasuredNoise
from qcluster.core.paper import PaperSettings
from qcluster.core.verdict import GuardSettings
from qcluster.errors import AccountError, CalibrationError, JobError, QClusterError, StorageError

if TYPE_CHECKING:
    from qcluster import baselines
    from qcluster.batch import mitigate_many
    from qcluster.device.calibration import Calibration, read_calibration
    from qcluster.device.execute import execute
    from qcluster.device.profile import Profile, read_profile
    from qcluster.device.reference import reference_circuit
    from qcluster.device.run import Run
    from qcluster.device.sampler import MitigatedSampler
    from qcluster.device.twirl import twirl
    from qcluster.learn.hamming import HammingKMajority
    from qcluster.learn.rates import estimate_rates
    from qcluster.qnn import QNNClassifier

__version__ = "0.1.0"

_LAZY = {
    "Calibration": "qcluster.device.calibration",
    "HammingKMajority": "qcluster.learn.hamming",
    "MitigatedSampler": "qcluster.device.sampler",
    "Profile": "qcluster.device.profile",
    "QNNClassifier": "qcluster.qnn",
    "Run": "qcluster.device.run",
    "estimate_rates": "qcluster.learn.rates",
    "execute": "qcluster.device.execute",
    "mitigate_many": "qcluster.batch",
    "read_calibration": "qcluster.device.calibration",
    "read_profile": "qcluster.device.profile",
    "reference_circuit": "qcluster.device.reference",
    "twirl": "qcluster.device.twirl",
}
"""Public names that cost more than numpy, and where they live."""

__all__ = [
    "AccountError",
    "Calibration",
    "CalibrationError",
    "Distribution",
    "Estimate",
    "GuardSettings",
    "HammingKMajority",
    "Interval",
    "JobError",
    "MeasuredNoise",
    "MitigatedSampler",
    "Mitigation",
    "MixtureSettings",
    "PaperSettings",
    "Profile",
    "QClusterError",
    "QNNClassifier",
    "Run",
    "StorageError",
    "baselines",
    "estimate_rates",
    "execute",
    "metrics",
    "mitigate",
    "mitigate_many",
    "read_calibration",
    "read_profile",
    "reference_circuit",
    "twirl",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY or name == "baselines":
        value = getattr(import_module(_LAZY[name]), name) if name in _LAZY else import_module("qcluster.baselines")
        globals()[name] = value
        return value
    raise AttributeError(f"module 'qcluster' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, "baselines"})
