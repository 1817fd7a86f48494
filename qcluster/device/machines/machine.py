"""A machine: a backend, how circuits run on it, and its calibration."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from qcluster.device.circuits.dead import target_without_dead_parts
from qcluster.device.machines.calibration import Calibration, read_calibration
from qcluster.device.machines.names import check_backend, may_be_real, open_named

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.transpiler import Target

Kind = Literal["simulator", "model", "backend", "hardware"]

_RECORDED = {"qiskit_ibm_runtime.FakeBackendV2", "qiskit.GenericBackendV2", "qiskit.BasicSimulator"}
"""Local backends that publish their noise or have none, so that our simulation can replace their own `run`."""


@dataclass(frozen=True, eq=False)
class Machine:
    """A backend, and how circuits run on it."""

    backend: Any
    """The Qiskit backend."""
    kind: Kind
    """"simulator": an AerSimulator, run with its own noise model. "model": a recorded or generic machine, whose
    published noise is simulated. "backend": a backend of another provider, run by its own `run`. "hardware": a real
    machine behind the runtime service."""
    calibration: Calibration
    """The figures it had published when this object was made."""
    session: Any = None
    """The open Session or Batch that jobs are sent to; it stays open."""

    @property
    def name(self) -> str:
        """Name of the backend."""
        return str(self.backend.name)

    @property
    def instance(self) -> str:
        """CRN of the account's instance through which a real machine is used; empty for others."""
        return str(getattr(self.backend, "_instance", None) or "")

    @property
    def gates(self) -> Target | None:
        """The target that inserted gates must respect; None for a simulator that takes any gate on any qubits."""
        unrestricted = self.kind == "simulator" and getattr(self.backend, "coupling_map", None) is None
        lists_gates = self.calibration.gates_2q or self.kind == "backend"
        return self.backend.target if lists_gates and not unrestricted else None

    @property
    def clock(self) -> float | None:
        """Seconds per unit of a delay given in "dt".

        It is 0 on a simulator without a clock, where the length of a delay has no effect: a noise model acts on a delay
        as on a gate, whatever its length.
        """
        dt: float | None = getattr(self.backend, "dt", None)
        return 0.0 if dt is None and (self.noiseless or self.kind == "simulator") else dt

    def check_width(self, circuit: QuantumCircuit) -> None:
        """Raise ValueError if a circuit has more qubits than the machine.

        Aer's simulators publish as many qubits as their method can hold in memory, and refuse more in obscure words.
        """
        if circuit.num_qubits > self.calibration.n_qubits:
            unrestricted = self.kind == "simulator" and self.gates is None
            cure = ": for a Clifford circuit, take AerSimulator(method='stabilizer')" if unrestricted else ""
            raise ValueError(
                f"{circuit.name!r} needs {circuit.num_qubits} qubits; {self.name} has {self.calibration.n_qubits}{cure}"
            )

    @cached_property
    def noiseless(self) -> bool:
        """True for a simulator known to have no noise, and for a recorded machine that publishes none."""
        if self.kind == "simulator":
            noise = getattr(self.backend.options, "noise_model", None)
            return noise is None or bool(noise.is_ideal())
        return self.kind == "model" and self.calibration.harmless

    @cached_property
    def live(self) -> Target:
        """The target without its dead qubits, couplings and gates, so that no circuit is laid out over them."""
        calibration = self.calibration
        errors = (calibration.errors_1q, calibration.errors_2q)
        flagged = calibration.dead_couplings.any() or calibration.dead_qubits.any()
        if not flagged and not any((error >= 1).any() for error in errors):
            return self.backend.target
        return target_without_dead_parts(self.backend.target, calibration)


def check_machine(machine: Any) -> None:
    """Raise TypeError for anything but a `Machine`, such as its name."""
    if not isinstance(machine, Machine):
        came = type(machine).__name__
        raise TypeError(f"machine must be a Machine, from qcluster.device.machines.machine.find_machine; got a {came}")


def find_machine(backend: Any, *, instance: str | None = None) -> Machine:
    """Make a `Machine` of a backend or the name of one.

    Args:
        backend: a Qiskit backend, an open Session or Batch of the runtime, or a name: "aer" (a noiseless simulator), a
            recorded IBM machine such as "fake_torino" (or "FakeTorino"), "least_busy", or a real machine such as
            "ibm_torino". The last two need an account.
        instance: name or CRN of the account's instance through which a real machine is used. Only for names: a backend
            has its own instance.

    Raises:
        ValueError: no simulator or recorded machine has this name (the message suggests similar ones); or an instance
            is given without the name of a real machine.
        TypeError: neither a name nor a backend.
        AccountError: there is no account, the service refuses it, or it has no such machine.

    Example:
        >>> machine = find_machine("fake_manila")
        >>> machine.kind, machine.calibration.readout.shape
        ('model', (5, 2))
    """
    if instance is not None and not (isinstance(backend, str) and may_be_real(backend)):
        raise ValueError(f"instance goes with the name of a real machine; got {instance!r} for {backend!r:.60}")
    if isinstance(backend, str):
        backend = open_named(backend, instance)
    session = backend if hasattr(backend, "session_id") and callable(getattr(backend, "backend", None)) else None
    if session is not None:
        # The public interface of a session gives only the name of its backend, which does not identify a local one.
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
