import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator

from qcluster import metrics
from qcluster.core.counts.distribution import Distribution
from qcluster.device import Calibration
from qcluster.device.machines.machine import find_machine
from qcluster.device.noise.frames import is_clifford, quarter_turns, sample_clifford
from qcluster.device.noise.simulate import simulate
from qcluster.device.prepare import Options, prepare

ONE = ("h", "s", "sdg", "sx", "sxdg", "x", "y", "z", "id")
TWO = ("cx", "cz", "ecr", "swap")


def random_clifford(seed, n=4, gates=25):
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(n, n + 1)
    for _ in range(gates):
        if rng.random() < 0.5:
            getattr(circuit, str(rng.choice(ONE)))(int(rng.integers(n)))
        elif rng.random() < 0.2:
            circuit.rz(np.pi / 2 * rng.integers(-3, 8) + 1e-10, int(rng.integers(n)))
        else:
            a, b = rng.choice(n, 2, replace=False)
            getattr(circuit, str(rng.choice(TWO)))(int(a), int(b))
    circuit.measure(0, n)
    if rng.random() < 0.5:
        circuit.reset(0)
    circuit.h(0)
    circuit.measure(range(n), range(n))
    return circuit


@pytest.mark.parametrize("seed", range(12))
def test_without_noise_frames_have_the_distribution_of_the_circuit(seed):
    """A wrong gate rule would put weight where there must be none: both have the same few equally likely strings."""
    circuit = random_clifford(seed)
    (mine,) = sample_clifford([circuit], [4000], Calibration.ideal(4), dt=None, seed=seed)
    theirs = Distribution.of(
        AerSimulator(method="statevector", seed_simulator=seed).run(circuit, shots=4000).result().get_counts()
    )
    assert set(mine.to_probs()) == set(theirs.to_probs())
    # multinomial noise of two samples over k equally likely strings
    assert metrics.total_variation(mine, theirs) < 1.5 * np.sqrt(mine.n_outcomes / (np.pi * 4000)) + 0.02


def test_under_noise_close_to_the_density_matrix(torino, ghz):
    """Bound: .02 for replacing relaxation by its Pauli twirl, plus the noise of two samples of 40,000 shots."""
    machine = find_machine(torino)
    request = prepare([ghz(5)], machine, Options(shots=40_000), seed=5)
    circuits = request.prepared[0].circuits
    exact, frames = (
        simulate(circuits, [40_000], machine.calibration, method=method, dt=request.dt, seed=3)[0]
        for method in ("density_matrix", "stabilizer")
    )
    assert metrics.total_variation(exact, frames) < 0.02 + np.sqrt(32 / (np.pi * 40_000))
    ideal = {"00000": 0.5, "11111": 0.5}
    assert metrics.total_variation(exact, ideal) > 0.05, "the noise must be there for this to mean anything"


def test_both_readout_errors_are_kept():
    calibration = Calibration.ideal(2)
    readout = np.array([[0.1, 0.4], [0.0, 0.0]])
    from dataclasses import replace

    circuit = QuantumCircuit(2, 2)
    circuit.measure([0, 1], [0, 1])
    flipped = QuantumCircuit(2, 2)
    flipped.x([0, 1])
    flipped.measure([0, 1], [0, 1])
    zero, one = sample_clifford(
        [circuit, flipped], [20_000] * 2, replace(calibration, readout=readout), dt=None, seed=1
    )
    assert zero.to_probs()["01"] == pytest.approx(0.1, abs=0.01)
    assert one.to_probs()["10"] == pytest.approx(0.4, abs=0.015)


def test_what_is_clifford():
    assert [quarter_turns(k * np.pi / 2) for k in range(-1, 5)] == [3, 0, 1, 2, 3, 0]
    assert quarter_turns(0.3) is None
    circuit = QuantumCircuit(2, 1)
    circuit.rz(np.pi, 0)
    assert is_clifford(circuit)
    circuit.t(0)
    assert not is_clifford(circuit)
    branching = QuantumCircuit(1, 1)
    with branching.if_test((branching.clbits[0], 1)):
        branching.x(0)
    assert not is_clifford(branching)


def test_a_fresh_qubit_may_wait_and_a_used_one_may_not(torino):
    """|0> does not relax; the Pauli twirl of relaxation would heat it."""
    calibration = find_machine(torino).calibration
    qubit = int(calibration.readout.max(axis=1).argmin())
    long = 5 * float(calibration.t1[qubit])
    circuit = QuantumCircuit(calibration.n_qubits, 3)
    circuit.delay(long, qubit, "s")
    circuit.x(qubit)
    circuit.measure(qubit, 0)
    circuit.reset(qubit)
    circuit.delay(long, qubit, "s")
    circuit.measure(qubit, 1)
    circuit.x(qubit)
    circuit.delay(long, qubit, "s")
    circuit.measure(qubit, 2)
    (counts,) = sample_clifford([circuit], [4000], calibration, dt=None, seed=1)
    ones = counts.probabilities @ counts.bits
    assert ones[0] > 0.9
    assert ones[1] < 0.1
    assert 0.4 < ones[2] < 0.6
