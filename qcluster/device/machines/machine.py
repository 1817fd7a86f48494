"""A backend, by name or by itself, becomes a `Machine`: what it is, and what was known about it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from qcluster.device.circuits.dead import living_target
from qcluster.device.machines.calibration import Calibration, read_calibration
from qcluster.device.machines.names import check_backend, is_real, open_named

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.transpiler import Target

Kind = Literal["simulator", "model", "backend", "hardware"]

_RECORDED = {"qiskit_ibm_runtime.FakeBackendV2", "qiskit.GenericBackendV2", "qiskit.BasicSimulator"}
"""Local backends that publish a noise, or have none, and whose own `run` gives no more than our simulation."""


@dataclass(frozen=True, eq=False)
class Machine:
    """Hold a backend and how circuits run on it."""

    backend: Any
    """The Qiskit backend."""
    kind: Kind
    """"simulator": an AerSimulator, run as it is. "model": a recorded or generic machine, of which we simulate the
    published noise. "backend": anybody else's backend, run as it is by its own `run`. "hardware": a real machine behind
    the runtime service."""
    calibration: Calibration
    """What it published when we looked."""
    session: Any = None
    """The open Session or Batch that jobs go to; it stays open."""

    @property
    def name(self) -> str:
        """Name of the backend."""
        return str(self.backend.name)

    @property
    def gates(self) -> Target | None:
        """The target that inserted gates must respect; None on a simulator that takes any gate anywhere."""
        anywhere = self.kind == "simulator" and getattr(self.backend, "coupling_map", None) is None
        inside = self.calibration.gates_2q or self.kind == "backend"
        return self.backend.target if inside and not anywhere else None

    @property
    def clock(self) -> float | None:
        """Seconds per unit of a delay given in "dt"; 0 on a simulator that has no clock, where waiting does nothing: a
        noise model of its own strikes at a delay as at a gate, whatever its length."""
        dt: float | None = getattr(self.backend, "dt", None)
        return 0.0 if dt is None and (self.noiseless or self.kind == "simulator") else dt

    def check_width(self, circuit: QuantumCircuit) -> None:
        """Raise ValueError where a circuit has more qubits than the machine; a simulator takes any number."""
        if circuit.num_qubits > self.calibration.n_qubits and self.kind != "simulator":
            raise ValueError(
                f"{circuit.name!r} needs {circuit.num_qubits} qubits; {self.name} has {self.calibration.n_qubits}"
            )

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


def check_machine(machine: Any) -> None:
    """Raise TypeError for what is no `Machine`, such as its name."""
    if not isinstance(machine, Machine):
        came = type(machine).__name__
        raise TypeError(f"machine must be a Machine, from qcluster.device.machines.machine.find_machine; got a {came}")


def find_machine(backend: Any, *, instance: str | None = None) -> Machine:
    """Find out what a backend is, by name or by itself.

    Args:
        backend: a Qiskit backend, an open Session or Batch of the runtime, or a name: "aer" (a noiseless simulator),
            "fake_torino" and the like (IBM's recorded machines, also "FakeTorino"), "least_busy" or the name of a real
            machine such as "ibm_torino" (needs an account).
        instance: name or CRN of the account's instance that a real machine is to be used by; a backend has its own.

    Raises:
        ValueError: no simulator and no recorded machine has this name, the message suggests near ones; or an instance
            is given for what is not the name of a real machine.
        TypeError: not a name and not a backend.
        AccountError: there is no account, the service refuses it, or it knows no such machine.

    Example:
        >>> machine = find_machine("fake_manila")
        >>> machine.kind, machine.calibration.readout.shape
        ('model', (5, 2))
    """
    if instance is not None and not (isinstance(backend, str) and is_real(backend)):
        raise ValueError(f"instance goes with the name of a real machine; got {instance!r} for {backend!r:.60}")
    if isinstance(backend, str):
        backend = open_named(backend, instance)
    session = backend if hasattr(backend, "session_id") and callable(getattr(backend, "backend", None)) else None
    if session is not None:
        # Publicly a session tells no more than the name of its backend, by which a local one is not found again.
        backend = getattr(session, "_backend", None) or session.service.backend(session.backend())
    check_backend(backend)
    kind = _kind(backend)
    return Machine(backend, kind, read_calibration(backend), session if kind == "hardware" else None)


def _kind(backend: Any) -> Kind:
    names = {base.__module__.split(".")[0] + "." + base.__name__ for base in type(backend).__mro__}
    if "qiskit_aer.AerBackend" in names:
        return "simulator"
    if "qiskit_ibm_runtime.IBMBackend" in names or hasattr(backend, "service"):
        return "hardware"
    return "model" if names & _RECORDED else "backend"
