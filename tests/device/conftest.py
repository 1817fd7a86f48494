"""Machines that several tests share; each is built once, since a 130-qubit noise model takes seconds."""

import pytest
from qiskit import QuantumCircuit

from tests.device.oracle_dynamic import joined


@pytest.fixture(scope="session")
def torino():
    from qiskit_ibm_runtime.fake_provider import FakeTorino

    return FakeTorino()


@pytest.fixture(scope="session")
def ghz():
    def build(n: int, name: str = "ghz") -> QuantumCircuit:
        circuit = QuantumCircuit(n, name=name)
        circuit.h(0)
        for i in range(n - 1):
            circuit.cx(i, i + 1)
        circuit.measure_all()
        return circuit

    return build


@pytest.fixture
def feed_forward():
    """|000> or |111>: two qubits are turned if the first one, read in the middle, is 1."""
    return joined()


@pytest.fixture
def cloud(monkeypatch, tmp_path):
    """The runtime's own client over a mock of IBM's service."""
    from qiskit_ibm_runtime.fake_provider import FakeManilaV2

    from tests.device.cloud import Cloud

    monkeypatch.chdir(tmp_path)
    return Cloud(FakeManilaV2()).install(monkeypatch, tmp_path)


@pytest.fixture
def backend(cloud):
    """A machine of that service."""
    return cloud.account("mine").backend("ibm_manila")
