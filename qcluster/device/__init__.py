"""Circuits on backends: calibration, twirling, execution, saved jobs and a mitigated Sampler.

Names are imported on first use, so importing this package costs nothing. A function that shares the name of its module
(`execute`, `twirl`) is not exported here: import it from that module, or as `qcluster.execute` and `qcluster.twirl`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qcluster.device.circuits.profile import Profile as Profile
    from qcluster.device.circuits.profile import read_profile as read_profile
    from qcluster.device.circuits.twirl import Twirls as Twirls
    from qcluster.device.machines.calibration import Calibration as Calibration
    from qcluster.device.machines.calibration import read_calibration as read_calibration
    from qcluster.device.noise.faults import fault_masks as fault_masks
    from qcluster.device.noise.measured import MeasuredReference as MeasuredReference
    from qcluster.device.noise.reference import Reference as Reference
    from qcluster.device.run import Run as Run
    from qcluster.device.sampler import MitigatedSampler as MitigatedSampler

_MODULES = {
    "Calibration": "machines.calibration",
    "read_calibration": "machines.calibration",
    "fault_masks": "noise.faults",
    "Profile": "circuits.profile",
    "read_profile": "circuits.profile",
    "MitigatedSampler": "sampler",
    "MeasuredReference": "noise.measured",
    "Reference": "noise.reference",
    "Run": "run",
    "Twirls": "circuits.twirl",
}
"""The module of each public name."""

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
