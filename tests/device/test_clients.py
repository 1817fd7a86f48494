"""Programs of others that take a Sampler, run with ours: each does its own work with it, and its answer is checked.

Those that are not installed are skipped: pip install 'qcluster[clients,mitiq]'.
"""

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit.library import real_amplitudes
from qiskit.quantum_info import SparsePauliOp

from qcluster.device import MitigatedSampler

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # their warnings are not ours to mend

MACHINES = ["aer", "fake_manila"]


def sampler(machine="aer", **options):
    return MitigatedSampler(machine, seed=7, **({"shots": 2048} | options))


def ising():
    """Least energy -2.2, of the state 11 alone."""
    return SparsePauliOp.from_list([("ZZ", -0.2), ("IZ", 1.0), ("ZI", 1.0)])


@pytest.mark.parametrize("machine", MACHINES)
def test_qaoa(machine):
    algorithms = pytest.importorskip("qiskit_algorithms")
    from qiskit_algorithms.optimizers import COBYLA

    algorithms.utils.algorithm_globals.random_seed = 7
    found = algorithms.QAOA(sampler(machine), COBYLA(maxiter=25), reps=1, initial_point=[0.5, 0.5])
    answer = found.compute_minimum_eigenvalue(ising())
    assert answer.best_measurement["bitstring"] == "11"


@pytest.mark.parametrize("machine", MACHINES)
def test_sampling_vqe(machine):
    algorithms = pytest.importorskip("qiskit_algorithms")
    from qiskit_algorithms.optimizers import COBYLA

    ansatz = real_amplitudes(2, reps=1)
    found = algorithms.SamplingVQE(sampler(machine), ansatz, COBYLA(maxiter=60), initial_point=[1.0] * 4)
    answer = found.compute_minimum_eigenvalue(ising())
    assert answer.eigenvalue.real == pytest.approx(-2.2, abs=0.25)
    assert answer.best_measurement["bitstring"] == "11"


@pytest.mark.parametrize("machine", MACHINES)
def test_phase_estimation(machine):
    algorithms = pytest.importorskip("qiskit_algorithms")
    unitary, state = QuantumCircuit(1), QuantumCircuit(1)
    unitary.p(2 * np.pi * 0.375, 0)
    state.x(0)
    answer = algorithms.PhaseEstimation(3, sampler(machine)).estimate(unitary, state)
    assert answer.phase == pytest.approx(0.375)
    iterative = algorithms.IterativePhaseEstimation(3, sampler(machine)).estimate(unitary, state)
    assert iterative.phase == pytest.approx(0.375)


def estimated():
    """The amplitude 0.2 of one qubit."""
    from qiskit_algorithms import EstimationProblem

    angle = 2 * np.arcsin(np.sqrt(0.2))
    state, grover = QuantumCircuit(1), QuantumCircuit(1)
    state.ry(angle, 0)
    grover.ry(2 * angle, 0)
    return EstimationProblem(state, objective_qubits=[0], grover_operator=grover)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", ["AmplitudeEstimation", "Iterative", "MaximumLikelihood", "Faster"])
def test_amplitude_estimation(name, machine):
    algorithms = pytest.importorskip("qiskit_algorithms")
    ours = sampler(machine)
    made = {
        "AmplitudeEstimation": lambda: algorithms.AmplitudeEstimation(3, sampler=ours),
        "Iterative": lambda: algorithms.IterativeAmplitudeEstimation(0.05, 0.05, sampler=ours),
        "MaximumLikelihood": lambda: algorithms.MaximumLikelihoodAmplitudeEstimation(3, sampler=ours),
        "Faster": lambda: algorithms.FasterAmplitudeEstimation(0.01, 3, sampler=ours, rescale=False),
    }[name]()
    answer = made.estimate(estimated())
    value = getattr(answer, "mle", answer.estimation)
    assert value == pytest.approx(0.2, abs=0.06)


@pytest.mark.parametrize("machine", MACHINES)
def test_grover(machine):
    algorithms = pytest.importorskip("qiskit_algorithms")
    oracle = QuantumCircuit(2)
    oracle.cz(0, 1)
    problem = algorithms.AmplificationProblem(oracle, is_good_state=["11"])
    answer = algorithms.Grover(iterations=1, sampler=sampler(machine)).amplify(problem)
    assert answer.top_measurement == "11"


def two_clouds():
    rng = np.random.default_rng(5)
    points = np.vstack([rng.normal((0.4, 0.4), 0.1, (10, 2)), rng.normal((2.2, 2.2), 0.1, (10, 2))])
    return points, np.repeat([0, 1], 10)


def test_a_variational_classifier():
    pytest.importorskip("qiskit_machine_learning")
    from qiskit.circuit.library import z_feature_map
    from qiskit_machine_learning.algorithms import VQC
    from qiskit_machine_learning.optimizers import COBYLA
    from qiskit_machine_learning.utils import algorithm_globals

    algorithm_globals.random_seed = 7
    points, labels = two_clouds()
    model = VQC(
        feature_map=z_feature_map(2, reps=1),
        ansatz=real_amplitudes(2, reps=1),
        optimizer=COBYLA(maxiter=40),
        sampler=sampler(shots=512),
    )
    model.fit(points, labels)
    assert model.score(points, labels) >= 0.8


def test_a_sampler_network():
    pytest.importorskip("qiskit_machine_learning")
    from qiskit.circuit import ParameterVector
    from qiskit_machine_learning.neural_networks import SamplerQNN

    x, w = ParameterVector("x", 1), ParameterVector("w", 1)
    circuit = QuantumCircuit(1)
    circuit.ry(x[0], 0)
    circuit.ry(w[0], 0)
    network = SamplerQNN(circuit=circuit, sampler=sampler(shots=4096), input_params=list(x), weight_params=list(w))
    values = network.forward(np.array([[0.3], [1.2]]), np.array([0.5]))
    wanted = [[np.cos((v + 0.5) / 2) ** 2, np.sin((v + 0.5) / 2) ** 2] for v in (0.3, 1.2)]
    np.testing.assert_allclose(values, wanted, atol=0.04)
    _, gradient = network.backward(np.array([[0.3]]), np.array([0.5]))
    np.testing.assert_allclose(gradient[0, 1, 0], np.sin(0.8) / 2, atol=0.04)


@pytest.mark.parametrize("machine", MACHINES)
def test_a_fidelity_kernel(machine):
    pytest.importorskip("qiskit_machine_learning")
    from qiskit.circuit.library import z_feature_map
    from qiskit_machine_learning.kernels import FidelityQuantumKernel
    from qiskit_machine_learning.state_fidelities import ComputeUncompute

    kernel = FidelityQuantumKernel(feature_map=z_feature_map(2, reps=1), fidelity=ComputeUncompute(sampler(machine)))
    points = np.array([[0.1, 0.2], [0.5, 0.1], [1.0, 0.8]])
    wanted = np.prod(np.cos(points[:, None] - points[None]) ** 2, axis=2)  # H, then P(2x): phases 2x apart
    np.testing.assert_allclose(kernel.evaluate(points), wanted, atol=0.08)


def test_a_minimum_eigen_optimizer():
    optimization = pytest.importorskip("qiskit_optimization")
    pytest.importorskip("qiskit_algorithms")
    from qiskit_optimization.algorithms import MinimumEigenOptimizer
    from qiskit_optimization.minimum_eigensolvers import QAOA
    from qiskit_optimization.optimizers import COBYLA

    problem = optimization.QuadraticProgram()
    for name in "abc":
        problem.binary_var(name)
    problem.maximize(linear={"a": 1, "b": 2, "c": 1}, quadratic={("a", "b"): -3, ("b", "c"): -3})
    answer = MinimumEigenOptimizer(QAOA(sampler(), COBYLA(maxiter=20), reps=1, initial_point=[0.4, 0.4])).solve(problem)
    assert answer.fval == 2


def test_steps_of_sample_based_diagonalisation():
    """The addon's way from counts to an energy: bits, post-selection, subsampling, diagonalisation in the subspace."""
    pytest.importorskip("qiskit_addon_sqd")
    from qiskit_addon_sqd.configuration_recovery import post_select_by_hamming_weight
    from qiskit_addon_sqd.counts import counts_to_arrays
    from qiskit_addon_sqd.qubit import solve_qubit

    circuit = QuantumCircuit(4)
    circuit.x([0, 2])
    for a, b in ((0, 1), (2, 3)):  # superpositions of one particle in each half
        circuit.ry(0.9, b)
        circuit.cx(b, a)
    circuit.measure_all()
    (pub,) = sampler(shots=4000).run([circuit]).result()
    bits, shares = counts_to_arrays(pub.data.meas.get_counts())
    assert shares.sum() == pytest.approx(1)
    kept = post_select_by_hamming_weight(bits, hamming_right=1, hamming_left=1)
    assert kept.all()
    hopping = SparsePauliOp.from_list([("IIXX", -0.5), ("IIYY", -0.5), ("XXII", -0.5), ("YYII", -0.5), ("IIIZ", 0.3)])
    energies, _ = solve_qubit(bits[kept], hopping, k=1, which="SA")  # of +E and -E, -E
    wanted = -1.0 - np.sqrt(1 + 0.3**2)
    assert energies[0] == pytest.approx(wanted, abs=1e-6), "four strings span the ground state"


def test_executors_of_mitiq():
    """Zero-noise extrapolation and readout confusion inversion over bitstrings of ours."""
    mitiq = pytest.importorskip("mitiq")
    from collections.abc import Sequence

    from mitiq import MeasurementResult, Observable, PauliString
    from mitiq.executor import Executor

    ours = sampler("fake_manila", optimization_level=0)

    def run(circuits: Sequence[QuantumCircuit]) -> Sequence[MeasurementResult]:
        results = ours.run(circuits, shots=4096).result()
        return [
            MeasurementResult(pub.join_data().to_bool_array("little").astype(int).tolist(), qubit_indices=(0, 1))
            for pub in results
        ]

    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    value = mitiq.zne.execute_with_zne(circuit, Executor(run), Observable(PauliString("ZZ")))
    assert np.real(value) == pytest.approx(1, abs=0.1)
