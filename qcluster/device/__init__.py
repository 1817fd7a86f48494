"""Circuits on backends: calibration, twirling, execution, saved jobs and a mitigated Sampler.

The only room that meets Qiskit; names load on first use, so that importing the room costs nothing. Functions that share
the name of their module (`execute`, `twirl`) are found there, and as `qcluster.execute` and `qcluster.twirl`.
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

_HOMES = {
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

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
