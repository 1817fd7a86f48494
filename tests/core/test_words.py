"""What messages say: one thing in the singular, and numbers as everybody writes them."""

import json

import numpy as np
import pytest
from qiskit import QuantumCircuit
from typer.testing import CliRunner

import qcluster as qc
from qcluster.cli.main import app
from qcluster.core.checks import check_real, check_whole
from qcluster.core.noise.measured import MeasuredNoise
from qcluster.core.words import short_repr
from qcluster.notebook import show_distribution, show_mitigation
from qcluster.qnn import QNNClassifier
from qcluster.qnn.ansatz import Term


def test_one_thing_is_told_in_the_singular(tmp_path):
    one = qc.Distribution.of({"1": 1})
    circuit = QuantumCircuit(1)
    circuit.measure_all()
    (run,) = qc.execute([circuit], "aer", shots=1, seed=1)
    (tmp_path / "one.json").write_text(json.dumps({"1": 1}))
    done = CliRunner().invoke(app, ["mitigate", str(tmp_path / "one.json")])
    texts = [
        repr(one), repr(run), show_distribution(one), show_mitigation(qc.mitigate(one)), done.output,
        qc.mitigate(one).reason, *MeasuredNoise({"1": 1}, "1").doubts,
    ]  # fmt: skip
    for text in texts:
        assert not any(f"1 {noun}s" in text for noun in ("shot", "twirl", "bit", "string")), text
    assert repr(one) == "Distribution(1 string of 1 bit, 1 shot)"
    assert "1 shot, 1 twirl, aer" in repr(run)
    assert done.output.startswith("1 bit, 1 shot, 1 string\n")
    assert "1 shot is too few" in qc.mitigate(one).reason


def test_several_things_are_told_as_before():
    assert repr(qc.Distribution.of({"00": 600, "11": 400})) == "Distribution(2 strings of 2 bits, 1000 shots)"
    assert "the reference has only 300 shots" in MeasuredNoise({"01": 290, "11": 10}, "01").doubts


X, Y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([3, 3, 6, 6])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: check_whole("shots", np.int64(0), 1), "got 0"),
        (lambda: check_real("rate", np.float64(-0.5), 0), "got -0.5"),
        (lambda: QNNClassifier().fit(X, np.full(4, 6)), "got one class, 6"),
        (lambda: QNNClassifier(random_state=0).fit(X, Y).readout(np.int64(3)), "that of 6; got 3"),
        (lambda: QNNClassifier(class_weight={np.int64(9): 1.0}).fit(X, Y), r"among \[3, 6\]; got \[9\]"),
        (lambda: QNNClassifier(early_stopping=True).fit(X[1:], Y[1:]), "got 1 of 3 with"),
        (lambda: Term((np.int64(0), np.int64(0)), "ZZ", "X"), r"on \(0, 0\)"),
        (lambda: qc.Distribution.of({np.int64(5): 3}, num_bits=1), "for 1 bit; got 5"),
        (lambda: qc.Distribution.of({np.int64(5): 3, "1": 3}), "got '1' and 5"),
    ],
)
def test_numbers_of_numpy_are_told_as_numbers(wrong, said):
    with pytest.raises((ValueError, TypeError), match=said) as caught:
        wrong()
    assert "np." not in str(caught.value)


def test_what_is_long_is_cut():
    assert len(short_repr("x" * 1000)) == 60
