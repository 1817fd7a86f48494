"""What the Samplers of Qiskit, Aer and the runtime promise, asked of ours: their behaviours, and clients of theirs."""

import pickle

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Measure, Parameter
from qiskit.circuit.library import CXGate, RZGate, SXGate, XGate
from qiskit.primitives import BackendSamplerV2, StatevectorSampler
from qiskit.providers import BackendV2, JobStatus
from qiskit.providers import Options as BackendOptions
from qiskit.providers.basic_provider import BasicSimulator
from qiskit.transpiler import Target
from qiskit_aer import AerSimulator
from qiskit_aer.primitives import SamplerV2 as AerSampler

from qcluster.device import MitigatedSampler
from qcluster.device.execute import execute
from qcluster.device.jobs import collect
from qcluster.errors import JobError


class Foreign(BackendV2):
    """A machine of another provider: a line of three qubits that runs circuits its own way, and publishes nothing."""

    def __init__(self, *, misses: int = 0, most: int | None = None, breaks: bool = False) -> None:
        super().__init__(name="foreign", backend_version="1")
        self._target = Target(num_qubits=3)
        for gate in (XGate(), SXGate(), RZGate(Parameter("angle")), Measure()):
            self._target.add_instruction(gate, {(q,): None for q in range(3)})
        self._target.add_instruction(CXGate(), {(0, 1): None, (1, 2): None})
        self.misses, self.most, self.breaks, self.calls = misses, most, breaks, []

    @property
    def target(self):
        return self._target

    @property
    def max_circuits(self):
        return self.most

    @classmethod
    def _default_options(cls):
        return BackendOptions(shots=1024, seed_simulator=None)

    def run(self, run_input, shots=1024, seed_simulator=None):
        if self.breaks:
            raise RuntimeError("the laser is off")
        assert all(i.name in {"x", "sx", "rz", "cx", "measure", "barrier"} for c in run_input for i in c.data)
        self.calls.append((len(run_input), shots))
        return AerSimulator().run(run_input, shots=shots - self.misses, seed_simulator=seed_simulator)


def ghz(n=3):
    circuit = QuantumCircuit(n)
    circuit.h(0)
    for i in range(n - 1):
        circuit.cx(i, i + 1)
    circuit.measure_all()
    return circuit


def samplers():
    yield "statevector", StatevectorSampler(seed=1, default_shots=64)
    yield "backend", BackendSamplerV2(backend=AerSimulator(), options={"default_shots": 64, "seed_simulator": 1})
    yield "aer", AerSampler(default_shots=64, seed=1)


@pytest.mark.parametrize(("name", "theirs"), list(samplers()))
def test_results_have_the_form_of_theirs(name, theirs):
    """Every kind of PUB: plain, swept, empty sweeps, shots of its own, registers of any number, one without bits."""
    a, b = Parameter("a"), Parameter("b")
    swept = QuantumCircuit(QuantumRegister(2), ClassicalRegister(1, "one"), ClassicalRegister(1, "two"))
    swept.rx(b, 0)
    swept.rx(a, 1)
    swept.measure([0, 1], [0, 1])
    pubs = [
        ghz(),
        (swept, np.pi * np.array([[0, 1], [1, 0], [1, 1]])),
        (swept, {"a": [[0.0], [np.pi]], "b": [np.pi, 0.0]}),
        (swept, {("b", "a"): np.zeros((2, 1, 2))}, 17),
    ]
    if name == "statevector":  # the others fail on sweeps without points, in their own words
        pubs += [(swept, np.zeros((0, 2))), (swept, np.zeros((2, 0, 2)), 5)]
    mine = MitigatedSampler("aer", shots=64, seed=1, method="none").run(pubs).result()
    for i, (ours, other) in enumerate(zip(mine, theirs.run(pubs).result(), strict=True)):
        assert ours.data.shape == other.data.shape
        assert list(ours.data) == list(other.data)
        for register in other.data:
            left, right = ours.data[register], other.data[register]
            assert (left.shape, left.num_shots, left.num_bits) == (right.shape, right.num_shots, right.num_bits)
            if i:
                assert np.array_equal(left.array, right.array), "angles of 0 and pi leave nothing to chance"
        assert ours.metadata["shots"] == other.metadata["shots"]
        assert ours.metadata["circuit_metadata"] == other.metadata["circuit_metadata"]
    assert mine.metadata == {"version": 2}


def test_default_shots_are_read_and_set():
    sampler = MitigatedSampler("aer", shots=100, seed=1, method="none")
    assert (sampler.default_shots, sampler.options.default_shots, sampler.options.shots) == (100, 100, 100)
    sampler.default_shots = 200
    assert sampler.run([ghz()]).result()[0].data.meas.num_shots == 200
    sampler.options.default_shots = 300
    assert sampler.run([ghz()]).result()[0].data.meas.num_shots == 300
    assert sampler.run([ghz()], shots=20).result()[0].data.meas.num_shots == 20
    assert sampler.run([(ghz(), None, 7)], shots=20).result()[0].data.meas.num_shots == 7
    with pytest.raises(ValueError, match="shots must be a whole number"):
        sampler.default_shots = 0
    assert sampler.default_shots == 300


def test_options_are_changed_between_runs():
    sampler = MitigatedSampler("fake_manila", shots=40, seed=1, method="none")
    assert len(sampler.run([ghz()]).result()[0].metadata["runs"].item().twirl_counts) == 1
    sampler.options.update(twirls=4, dd="XX", default_shots=80)
    run = sampler.run([ghz()]).result()[0].metadata["runs"].item()
    assert (len(run.twirl_counts), run.shots, run.options["dd"]) == (4, 80, "XX")
    sampler.options.dd = None
    assert sampler.options.dd is None
    before = repr(sampler.options)
    with pytest.raises(ValueError, match="dd must be one of"):
        sampler.options.update(twirls=2, dd="CPMG")
    assert repr(sampler.options) == before, "all or nothing"
    with pytest.raises(AttributeError, match=r"got 'max_execution_time'.*options.runtime = \{'max_execution_time'"):
        sampler.options.max_execution_time = 60
    with pytest.raises(AttributeError, match="options have no 'twirl'"):
        _ = sampler.options.twirl
    assert pickle.loads(pickle.dumps(sampler.options)) == sampler.options
    sampler.options = {"default_shots": 30, "twirls": 2}  # as the runtime's Sampler takes them
    assert sampler.run([ghz()]).result()[0].metadata["runs"].item().shots == 30
    with pytest.raises(AttributeError, match="got 'max_execution_time'"):
        sampler.options = {"max_execution_time": 60}
    with pytest.raises(TypeError, match="options must be SamplerOptions or a mapping; got int"):
        sampler.options = 3
    assert sampler.options.twirls == 2
    assert {"dd", "twirls", "default_shots", "update"} <= set(dir(sampler.options)), "what the shell completes"


def test_attributes_are_changed_between_runs():
    """Another backend had no effect after the first run, and a wrong method was found after the shots were taken."""
    sampler = MitigatedSampler("fake_manila", shots=40, seed=1, reference=True)
    references = []
    for name in ("fake_manila", "fake_lima", "fake_manila"):
        sampler.backend = name
        run = sampler.run([ghz()]).result()[0].metadata["runs"].item()
        assert (run.backend, run.reference.backend, sampler.backend) == (name, name, name)
        references.append(run.reference)
    assert references[2] is references[0] is not references[1], "measured once on each machine"
    for method, noise, said in (
        ("mixtrue", None, "method must be one of none, .*; got 'mixtrue'"),
        ("none", 0.1, 'method="none" mitigates nothing: omit noise'),
    ):
        sampler.method, sampler.noise = method, noise
        with pytest.raises(ValueError, match=said):
            sampler.run([ghz()])


def test_a_changed_level_compiles_anew():
    sampler = MitigatedSampler("fake_manila", shots=40, seed=1, method="none", optimization_level=0)
    circuit = QuantumCircuit(1)
    for _ in range(6):
        circuit.h(0)
    circuit.measure_all()
    sizes = []
    for level in (0, 3, 0):
        sampler.options.optimization_level = level
        sizes.append(sampler.run([circuit]).result()[0].metadata["runs"].item().profile.circuit.size())
    assert sizes[0] == sizes[2] > sizes[1]


def test_balanced_twirls_are_asked_for_like_any_option():
    sampler = MitigatedSampler("fake_manila", twirls=8, group="balanced_pauli", seed=1, method="none")
    run = sampler.run([ghz()], shots=800).result()[0].metadata["runs"].item()
    assert run.options["group"] == "balanced_pauli"
    assert sum(run.counts.to_probs()[key] for key in ("000", "111")) > 0.8


@pytest.mark.parametrize("shots", [1, 2, 3, 5])
def test_fewer_shots_than_twirls_take_fewer_twirls(shots):
    sampler = MitigatedSampler("fake_manila", twirls=4, seed=1, method="none")
    (pub,) = sampler.run([ghz()], shots=shots).result()
    assert pub.data.meas.num_shots == shots
    assert len(pub.metadata["runs"].item().twirl_counts) == min(4, shots)
    assert sampler.options.twirls == 4


def test_a_circuit_without_measurements_is_zeros_beside_others():
    silent = QuantumCircuit(1, 1)
    silent.x(0)
    mine = MitigatedSampler("aer", shots=9, seed=1, method="none").run([silent, ghz()]).result()
    theirs = StatevectorSampler(default_shots=9).run([silent, ghz()]).result()
    assert mine[0].data.c.get_counts() == theirs[0].data.c.get_counts() == {"0": 9}
    assert set(mine[1].data.meas.get_counts()) == {"000", "111"}


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("backend", ["aer", "fake_manila"])
def test_measurements_within_an_instruction_count(backend, depth):
    """The circuit was taken for one that measures nothing, whose registers read 0."""
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.measure([0, 1], [0, 1])
    for _ in range(depth):
        inner, circuit = circuit.to_instruction(), QuantumCircuit(2, 2)
        circuit.append(inner, [0, 1], [0, 1])
    (pub,) = MitigatedSampler(backend, seed=1).run([circuit], shots=200).result()
    assert max(pub.data.c.get_counts().items(), key=lambda item: item[1])[0] == "01"
    (run,) = execute([circuit], backend, shots=200, seed=1)
    assert list(run.counts.top(1)) == ["01"]


def test_a_job_behaves_as_qiskits_do():
    job = MitigatedSampler("aer", seed=1).run([ghz()], shots=10)
    result = job.result()
    assert (job.status(), job.done(), job.running(), job.cancelled(), job.in_final_state()) == (
        JobStatus.DONE,
        True,
        False,
        False,
        True,
    )
    again = pickle.loads(pickle.dumps(job))
    assert again.job_id() == job.job_id()
    assert np.array_equal(again.result()[0].data.meas.array, result[0].data.meas.array)
    assert not job.cancel(), "it is done"


def test_a_basic_simulator_is_taken():
    (pub,) = MitigatedSampler(BasicSimulator(), shots=100, seed=1).run([ghz()]).result()
    assert set(pub.data.meas.get_counts()) == {"000", "111"}
    assert not pub.metadata["mitigations"].item().applied


def test_a_backend_of_another_provider_runs_circuits_itself(tmp_path):
    backend = Foreign()
    (run,) = execute([ghz()], backend, shots=400, twirls=4, seed=1, directory=tmp_path / "kept")
    assert backend.calls == [(4, 100)]
    assert set(run.counts.to_counts()) == {"000", "111"}
    assert (run.method, run.backend, run.noiseless, run.faults) == ("backend", "foreign", False, None)
    (again,) = collect(tmp_path / "kept")
    assert again.counts == run.counts
    (pub,) = MitigatedSampler(backend, seed=1).run([ghz()], shots=50).result()
    assert set(pub.data.meas.get_counts()) == {"000", "111"}


def test_a_backend_takes_no_more_circuits_than_it_says():
    backend = Foreign(most=2)
    (run,) = execute([ghz()], backend, shots=50, twirls=5, seed=1)
    assert backend.calls == [(2, 10), (2, 10), (1, 10)]
    assert run.shots == 50


def test_a_backend_that_breaks_or_loses_shots_is_a_failed_job():
    with pytest.raises(JobError, match="foreign did not run the circuits: the laser is off"):
        execute([ghz()], Foreign(breaks=True), shots=10, seed=1)
    with pytest.raises(JobError, match="foreign must give 10 shots; it gave 9"):
        execute([ghz()], Foreign(misses=1), shots=10, seed=1)
