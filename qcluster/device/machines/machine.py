"""Names become backends; a backend becomes a `Machine`: what it is, and what was known about it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from qcluster.device.circuits.dead import living_target
from qcluster.device.machines.account import open_backend
from qcluster.device.machines.calibration import Calibration, read_calibration

if TYPE_CHECKING:
    from qiskit.transpiler import Target

Kind = Literal["simulator", "model", "hardware"]


@dataclass(frozen=True, eq=False)
class Machine:
    """Hold a backend and how circuits run on it."""

    backend: Any
    """The Qiskit backend."""
    kind: Kind
    """"simulator": an AerSimulator, run as it is. "model": any other local backend, of which we simulate the published
    noise. "hardware": a real machine behind the runtime service."""
    calibration: Calibration
    """What it published when we looked."""

    @property
    def name(self) -> str:
        """Name of the backend."""
        return str(self.backend.name)

    @property
    def gates(self) -> Target | None:
        """The target that inserted gates must respect; None on a simulator that takes any gate anywhere."""
        anywhere = self.kind == "simulator" and getattr(self.backend, "coupling_map", None) is None
        return self.backend.target if self.calibration.gates_2q and not anywhere else None

    @property
    def clock(self) -> float | None:
        """Seconds per unit of a delay given in "dt"; 0 on a simulator that has no clock, where waiting does nothing."""
        dt: float | None = getattr(self.backend, "dt", None)
        return 0.0 if dt is None and self.noiseless else dt

    @cached_property
    def noiseless(self) -> bool:
        """True for a simulator known to have no noise; one of published noise has none where none is published."""
        if self.kind == "simulator":
            noise = getattr(self.backend.options, "noise_model", None)
            return noise is None or bool(noise.is_ideal())
        return self.kind == "model" and self.calibration.harmless

    @cached_property
    def live(self) -> Target:
        """The target without what is dead: no circuit is laid out over an edge that the machine says is broken."""
        calibration = self.calibration
        errors = (calibration.errors_1q, calibration.errors_2q)
        flagged = calibration.dead_couplings.any() or calibration.dead_qubits.any()
        if not flagged and not any((error >= 1).any() for error in errors):
            return self.backend.target
        return living_target(self.backend.target, calibration)


def find_machine(backend: Any) -> Machine:
    """Find out what a backend is, by name or by itself.

    Args:
        backend: a Qiskit backend, or a name: "aer" (a noiseless simulator), "fake_torino" and the like (IBM's recorded
            machines), "least_busy" or the name of a real machine such as "ibm_torino" (needs an account).

    Raises:
        ValueError: no recorded machine has this name; the message suggests near ones.
        TypeError: not a name and not a backend.
        AccountError: there is no account, the service refuses it, or it knows no such machine.

    Example:
        >>> machine = find_machine("fake_manila")
        >>> machine.kind, machine.calibration.readout.shape
        ('model', (5, 2))
    """
    if isinstance(backend, str):
        backend = _by_name(backend)
    if not hasattr(backend, "target"):
        raise TypeError(f"backend must be a Qiskit backend or its name; got {type(backend).__name__}")
    return Machine(backend, _kind(backend), read_calibration(backend))


def _kind(backend: Any) -> Kind:
    names = {base.__module__.split(".")[0] + "." + base.__name__ for base in type(backend).__mro__}
    if "qiskit_aer.AerBackend" in names:
        return "simulator"
    return "hardware" if "qiskit_ibm_runtime.IBMBackend" in names or hasattr(backend, "service") else "model"


def _by_name(name: str) -> Any:
    if name == "aer":
        from qiskit_aer import AerSimulator

        return AerSimulator()
    if name.startswith("fake_"):
        return _recorded(name)
    return open_backend(name)


def _recorded(name: str) -> Any:
    from qiskit_ibm_runtime import fake_provider

    known = {cls.removesuffix("V2").lower(): cls for cls in dir(fake_provider) if cls.startswith("Fake")}
    cls = known.get(name.replace("_", "").lower())
    if cls is None:
        names = [f"fake_{other.removeprefix('fake')}" for other in known]
        near = difflib.get_close_matches(name, names, n=3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise ValueError(f"backend must name a recorded machine such as 'fake_torino'; got {name!r}{hint}")
    return getattr(fake_provider, cls)()
