"""The description of circuits: what it accepts and what it knows about itself."""

import pytest

from qcluster.qnn.ansatz import Ansatz, Term, build, layers, reed_muller
from qcluster.qnn.explicit import reed_muller_angles


def test_presets_count_their_parameters():
    assert build("zx", 16).n_parameters == 17
    assert build("zx-xx", 16, reps=3, bias=False).n_parameters == 96
    assert build("tfq", 16, bias=False).n_parameters == 32
    assert build("reed-muller", 4, reps=2).n_parameters == 1 + 4 + 6
    assert build("reed-muller", 1, reps=3).n_parameters == 2
    assert build([("Y", "X")], 3).letters == ("Y", "Y", "Y", "")
    assert build(lambda n: reed_muller(n, 1), 3).n_parameters == 4


def test_properties():
    assert build("zx", 3).is_zx_with_bias
    assert build("zx", 3).is_sine
    assert not build("zx", 3, bias=False).is_zx_with_bias
    assert not build("zx", 3, reps=2).is_zx_with_bias
    assert build("zx-xx", 3, reps=2).is_sine
    assert not build("tfq", 3).is_sine
    assert not reed_muller(3, 1).is_sine
    assert not reed_muller(3, 2).is_one_body
    assert layers(2, [("Z", "X"), ("X", "Y")], bias=False).axis_runs == (("X", 0, 2), ("Y", 2, 4))
    assert Ansatz(2, ()).axis_runs == ()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Term((0, 0), "ZZ", "X"), "one letter per distinct qubit"),
        (lambda: Term((0,), "ZZ", "X"), "one letter per distinct qubit"),
        (lambda: Term((0, 1), "Z1", "X"), "data letters must be"),
        (lambda: Term((0,), "Z", "I"), "readout letter"),
        (lambda: Ansatz(0, ()), "n_data must be at least 1"),
        (lambda: Ansatz(2, (Term((2,), "Z", "X"),)), r"must lie in 0\.\.1"),
        (lambda: Ansatz(2, (), start="2"), "start must be"),
        (lambda: layers(2, [("Z", "X")], reps=0), "reps must be at least 1"),
        (lambda: reed_muller(2, 3), r"degree must lie in 0\.\.2"),
        (lambda: reed_muller_angles([True] * 3), r"2\*\*n entries"),
        (lambda: build("zz", 3), "ansatz must be one of"),
        (lambda: build(lambda n: build("zx", n + 1), 3), "must return an Ansatz on 3"),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_lists_of_gates_are_kept_as_tuples():
    """Circuits are kept by the ansatz that they belong to; one of lists had no hash, and failed after training."""
    listed = Ansatz(2, [Term([0], "Z", "X"), Term([1], "Z", "X"), Term([], "", "X")])
    assert listed == build("zx", 2)
    assert hash(listed) == hash(build("zx", 2))
