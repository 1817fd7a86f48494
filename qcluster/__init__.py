"""Quantum error mitigation of Sampler counts: gate and readout errors, without calibration circuits, with a guard.

The core needs only NumPy and is imported at once; everything else is imported on first use (PEP 562).
"""

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from qcluster.core.counts import metrics
from qcluster.core.counts.distribution import Distribution, Estimate
from qcluster.core.estimators.q_cluster import PaperSettings
from qcluster.core.hooks import register_hook
from qcluster.core.methods.registry import register_later
from qcluster.core.mitigate import mitigate
from qcluster.core.mitigation import Mitigation
from qcluster.core.noise.measured import MeasuredNoise
from qcluster.core.sparse.fit import MixtureSettings
from qcluster.core.uncertainty.interval import Interval
from qcluster.errors import AccountError, CalibrationError, JobError, QClusterError, StorageError

if TYPE_CHECKING:
    from qcluster import baselines
    from qcluster import device as device
    from qcluster import qnn as qnn
    from qcluster.batch import mitigate_many
    from qcluster.device.circuits.profile import Profile, read_profile
    from qcluster.device.circuits.twirl import twirl
    from qcluster.device.execute import execute
    from qcluster.device.machines.calibration import Calibration, read_calibration
    from qcluster.device.noise.rates import estimate_rates
    from qcluster.device.noise.reference import reference_circuit
    from qcluster.device.run import Run
    from qcluster.device.sampler import MitigatedSampler
    from qcluster.learn.decision.gates import read_gate
    from qcluster.learn.hamming import HammingKMajority
    from qcluster.plot import plot
    from qcluster.qnn import QNNClassifier

__version__ = "0.2.0"

_LAZY = {
    "Calibration": "qcluster.device.machines.calibration",
    "HammingKMajority": "qcluster.learn.hamming",
    "MitigatedSampler": "qcluster.device.sampler",
    "Profile": "qcluster.device.circuits.profile",
    "QNNClassifier": "qcluster.qnn",
    "Run": "qcluster.device.run",
    "estimate_rates": "qcluster.device.noise.rates",
    "execute": "qcluster.device.execute",
    "mitigate_many": "qcluster.batch",
    "read_calibration": "qcluster.device.machines.calibration",
    "read_gate": "qcluster.learn.decision.gates",
    "read_profile": "qcluster.device.circuits.profile",
    "reference_circuit": "qcluster.device.noise.reference",
    "twirl": "qcluster.device.circuits.twirl",
}
"""Public names whose import needs more than NumPy, and their modules."""

_MODULES = ("baselines", "device", "plot", "qnn")
"""Modules that are imported on first use; `qcluster.plot` can be called."""

__all__ = [
    "AccountError",
    "Calibration",
    "CalibrationError",
    "Distribution",
    "Estimate",
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
    "plot",
    "read_calibration",
    "read_gate",
    "read_profile",
    "reference_circuit",
    "twirl",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"qcluster.{name}")
    if name in _LAZY:
        value = getattr(import_module(_LAZY[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'qcluster' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES, "__version__"})


def _call(module: str, function: str, *args: Any, **options: Any) -> Any:
    """Call a function of a module of this package, which is imported only now."""
    return getattr(import_module(f"qcluster.{module}"), function)(*args, **options)


# The core must not import these modules, so its methods call them through the functions registered here.
register_hook("plot", partial(_call, "plot", "plot_mitigation"))
for _name in ("show_distribution", "show_mitigation"):
    register_hook(_name, partial(_call, "notebook", _name))
for _name in ("to_bit_array", "to_quasi"):
    register_hook(_name, partial(_call, "handover", _name))
register_later(partial(import_module, "qcluster.baselines"))
