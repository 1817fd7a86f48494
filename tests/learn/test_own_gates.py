"""Gates of a user: what they weigh is the answer, wherever they are given, and those for other counts are refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
from qiskit import QuantumCircuit
from typer.testing import CliRunner

import qcluster as qc
from qcluster.cli.main import app
from qcluster.core.decision.candidates import HEAVIEST, NAMES, RAW
from qcluster.core.decision.circuit_candidates import NAMES as CIRCUIT
from qcluster.core.decision.gate import Gate, shipped
from qcluster.core.noise.faults import FaultMasks
from qcluster.errors import StorageError
from qcluster.learn.decision import cases
from qcluster.learn.decision.table import tabulate
from qcluster.learn.decision.train import Training, train, write_gate

COUNTS = {"000": 430, "001": 20, "010": 18, "100": 22, "111": 450}
WIDE = {"0" * 13: 400, "1" * 13: 380, "0" * 12 + "1": 20}
FAULTS = FaultMasks(
    3, np.array([[1], [2], [4]], dtype=np.uint64), np.full(3, 0.05), np.zeros(3, dtype=np.uint8), np.full((3, 2), 0.02)
)


def stubborn(names=NAMES, *, wide=False, candidate=HEAVIEST) -> Gate:
    """A gate that always takes one candidate, and is sure of it."""
    gate = shipped(names, wide=wide)
    bias = np.full_like(gate.layers[5], -30.0)
    bias[:, [candidate, -1]] = 30.0
    return replace(gate, layers=(*gate.layers[:4], 0 * gate.layers[4], bias))


@pytest.mark.parametrize(("counts", "wide"), [(COUNTS, False), (WIDE, True)])
def test_the_gate_given_decides_and_is_named(counts, wide):
    gate = stubborn(wide=wide)
    heaviest = max(counts, key=counts.get)
    for gates in ([gate], (stubborn(wide=not wide), gate, stubborn(CIRCUIT))):
        fixed = qc.mitigate(counts, gates=gates)
        assert fixed.distribution.to_probs() == {heaviest: 1.0}
        assert fixed.reason.endswith(f"; weighed by gate {gate.digest}")
    assert qc.mitigate(counts).distribution.to_probs() != {heaviest: 1.0}


def test_the_gate_that_leaves_the_counts_is_named():
    gate = stubborn(candidate=RAW)
    fixed = qc.mitigate(COUNTS, gates=[gate])
    assert not fixed.applied
    assert fixed.reason.endswith(f"; weighed by gate {gate.digest}")
    few = qc.mitigate({"00": 6, "11": 5}, gates=[gate])
    assert "gate" not in few.reason, "nothing was weighed"


@pytest.mark.parametrize("method", [None, "circuit"])
def test_faults_are_weighed_by_a_gate_for_circuits(method):
    gate = stubborn(CIRCUIT, candidate=RAW)
    fixed = qc.mitigate(COUNTS, FAULTS, method=method, gates=[gate])
    assert (fixed.method, fixed.applied) == ("circuit", False)
    assert fixed.reason.endswith(f"; weighed by gate {gate.digest}")
    assert qc.mitigate(COUNTS, FAULTS).applied


def test_the_gates_that_ship_give_the_same_answer_when_given():
    for counts, noise, gate in (
        (COUNTS, None, shipped()),
        (WIDE, None, shipped(wide=True)),
        (COUNTS, FAULTS, shipped(CIRCUIT)),
    ):
        given, plain = qc.mitigate(counts, noise, gates=[gate]), qc.mitigate(counts, noise)
        assert given == replace(plain, reason=f"{plain.reason}; weighed by gate {gate.digest}")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"gates": [shipped(wide=True)]}, "one gate for counts of up to 12 bits; got those for counts of more than 12"),
        ({"gates": [shipped(CIRCUIT)]}, "one gate for counts of up to 12 bits or .*; got those for counts of known"),
        ({"gates": [shipped()] * 2}, "one gate for counts of up to 12 bits; got those for counts of up to 12 bits, co"),
        ({"gates": [shipped()], "noise": FAULTS}, "one gate for counts of known circuits of up to 12 bits or .*; got"),
        ({"gates": [shipped()], "guard": False}, "'mixture' makes no use of gates: leave them out, or take"),
        ({"gates": [shipped()], "method": "hammer"}, "'hammer' makes no use of gates: leave them out, or take"),
        ({"gates": shipped()}, r"a list of gates, such as \[qc.read_gate\('gate.npz'\)\]; got Gate\(counts of up to"),
        ({"gates": ["gate.npz"]}, "a list of gates"),
        ({"gates": None}, "a list of gates.*; got None"),
    ],
)
def test_gates_that_cannot_be_used_are_refused(given, said):
    with pytest.raises((ValueError, TypeError), match=said):
        qc.mitigate(COUNTS, **given)
    with pytest.raises((ValueError, TypeError), match=said):
        list(qc.mitigate_many([COUNTS], given.pop("noise", None), workers=1, **given))


def test_counts_of_several_widths_take_the_gate_for_each():
    gates = [stubborn(), stubborn(wide=True)]
    many = list(qc.mitigate_many([COUNTS, WIDE, COUNTS], workers=1, gates=gates))
    assert [fixed.distribution.to_probs() for fixed in many] == [{"111": 1.0}, {"0" * 13: 1.0}, {"111": 1.0}]


def ghz(n):
    circuit = QuantumCircuit(n, name="ghz")
    circuit.h(0)
    for qubit in range(n - 1):
        circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    return circuit


def test_a_run_is_mitigated_by_the_method_that_its_gate_is_for():
    (run,) = qc.execute([ghz(3)], "fake_manila", shots=400, reference=True, seed=7)
    for gate, method in ((stubborn(), "mixture"), (stubborn(CIRCUIT, candidate=RAW), "circuit")):
        fixed = qc.mitigate(run, gates=[gate])
        assert fixed.method == method
        assert f"; weighed by gate {gate.digest}" in fixed.reason
        sampler = qc.MitigatedSampler("fake_manila", seed=7, shots=400, gates=[gate])
        (result,) = sampler.run([ghz(3)]).result()
        assert result.metadata["mitigations"].item().method == method


def test_a_sampler_refuses_gates_before_it_runs_anything():
    with pytest.raises(TypeError, match="a list of gates"):
        qc.MitigatedSampler("fake_manila", gates=shipped())
    with pytest.raises(ValueError, match="'hammer' makes no use of gates"):
        qc.MitigatedSampler("fake_manila", method="hammer", gates=[shipped()])
    with pytest.raises(ValueError, match=r"one gate for counts of up to 12 bits or .*; got those for counts of known"):
        qc.MitigatedSampler("fake_manila", method="mixture", gates=[shipped(CIRCUIT)])
    for given, kind in (
        ({"gates": [shipped()]}, "counts of more than 12 bits"),
        ({"gates": [shipped(CIRCUIT)]}, "counts of known circuits of more than 12 bits"),
        ({"gates": [shipped()], "method": "mixture", "noise": lambda run: 0.01}, "counts of more than 12 bits"),
    ):
        sampler = qc.MitigatedSampler("fake_torino", **given)
        with pytest.raises(ValueError, match=f"one gate for {kind}; got"):
            sampler.run([ghz(13)])


@pytest.mark.parametrize("given", [{"gates": [shipped(CIRCUIT)]}, {"method": "circuit"}])
def test_a_sampler_refuses_what_needs_faults_where_there_are_none_before_it_runs_anything(given, monkeypatch):
    """It ran the circuits, and then refused to mitigate their counts."""
    monkeypatch.setattr("qcluster.device.sampler.send", None)
    sampler = qc.MitigatedSampler("aer", shots=50, **given)
    with pytest.raises(ValueError, match=r"needs the faults of 'ghz', which are unknown: aer.* publishes no errors"):
        sampler.run([ghz(3)])


def test_a_sampler_takes_gates_of_both_kinds_where_there_are_no_faults():
    gates = [shipped(), shipped(CIRCUIT)]
    (result,) = qc.MitigatedSampler("aer", shots=50, seed=7, gates=gates).run([ghz(3)]).result()
    assert result.metadata["mitigations"].item().reason.endswith(f"weighed by gate {shipped().digest}")


@pytest.mark.parametrize("given", [{"gates": [shipped()]}, {"settings": qc.MixtureSettings()}])
def test_a_sampler_says_if_gates_or_settings_leave_a_reference_unused(given):
    sampler = qc.MitigatedSampler("fake_manila", seed=7, shots=50, reference=True, **given)
    with pytest.warns(UserWarning, match=f"mitigation with the {next(iter(given))} given uses no reference"):
        (result,) = sampler.run([ghz(3)]).result()
    assert result.metadata["mitigations"].item().method == "mixture"


def test_the_command_takes_the_files_of_gates(tmp_path):
    for name, gate in (("gate", stubborn()), ("wide", stubborn(wide=True))):
        write_gate(gate, tmp_path / f"{name}.npz")
    (tmp_path / "counts.json").write_text(json.dumps(COUNTS))
    call = ["mitigate", str(tmp_path / "counts.json"), "--json", "-"]
    both = "--gate", str(tmp_path / "wide.npz"), "--gate", str(tmp_path / "gate.npz")
    made = CliRunner().invoke(app, [*call, *both])
    assert made.exit_code == 0, made.output
    answer = json.loads(made.stdout)
    assert answer["mitigated"] == {"111": 1.0}
    assert answer["reason"].endswith(f"; weighed by gate {qc.read_gate(tmp_path / 'gate.npz').digest}")
    for wrong, error, said in (
        (both[:2], ValueError, "one gate for counts of up to 12 bits; got those for counts of more than 12 bits"),
        (("--gate", str(tmp_path / "counts.json")), StorageError, r"counts\.json must be an \.npz file of arrays"),
        ((*both, "--json", str(tmp_path / "gate.npz")), ValueError, r"--json must name a file of its own"),
    ):
        made = CliRunner().invoke(app, [*call, *wrong])
        assert isinstance(made.exception, error), made.output
        with pytest.raises(error, match=said):
            raise made.exception


def test_the_card_of_a_gate_says_its_widths():
    settings = Training(members=1, missed=0, epochs=200, batch=8, hidden=2)
    narrow = [cases.full(seed) for seed in range(3)]
    wide = [cases.wide(seed) for seed in range(3)]
    for many, expected in ((narrow, False), (wide, True), ([*narrow, *wide], False)):
        gate = train(tabulate(many), settings)
        assert (gate.wide, json.loads(gate.card)["wide"]) == (expected, expected)


def test_the_card_decides_about_the_widths_and_features_where_it_says_nothing(tmp_path):
    path = tmp_path / "gate.npz"
    for card, wide in (("{}", False), ('{"wide": true}', True), ('{"wide": false}', False)):
        write_gate(replace(shipped(), card=card), path)
        gate = qc.read_gate(path)
        assert (gate.names, gate.wide) == (NAMES, wide)
    write_gate(replace(shipped(), card='{"wide": 1}'), path)
    with pytest.raises(StorageError, match=r"gate\.npz .*the card of a gate must have true or false as wide; got 1"):
        qc.read_gate(str(path))


def test_a_gate_of_other_features_is_refused_when_it_is_read(tmp_path):
    gate = shipped()
    other = replace(gate, mean=gate.mean[1:], scale=gate.scale[1:], layers=(gate.layers[0][:, 1:], *gate.layers[1:]))
    write_gate(other, tmp_path / "gate.npz")
    n = len(gate.mean)
    with pytest.raises(StorageError, match=rf"gate\.npz must hold a gate: .* {n} features .*; got {n - 1}"):
        qc.read_gate(tmp_path / "gate.npz")
