"""Every setting outside the core is checked where it is made or first used: name, range and what came are told."""

import re

import numpy as np
import pytest

import qcluster as qc
from qcluster.bench.rate_plan import plan
from qcluster.bench.tasks import Campaign
from qcluster.core.checks import check_choice, check_flag, check_real, check_whole
from qcluster.device.prepare import Options
from qcluster.learn.forest import RateForest
from qcluster.learn.physics import PhysicalColumns
from qcluster.qnn import ContractedReadout, DeviceReadout
from qcluster.qnn.training.solvers import Settings

ROWS, RATES = np.random.default_rng(0).random((12, 21)), np.linspace(0.01, 0.2, 12)
BITS, LABELS = np.array([[0, 1], [1, 0], [1, 1], [0, 0]]), [0, 1, 1, 0]
COUNTS = {"00": 60, "11": 40}
GOOD = {"cases": ("ghz:2",), "machines": ("flips:0.1",)}

WHOLE = [0, -1, 1.5, True, "2", None, float("nan")]
GIVEN = [value for value in WHOLE if value is not None]
NO_FLAGS = ["no", 1, None]
POSITIVE = [0, -0.1, float("nan"), float("inf"), "1", True, 1j]


def options(**knobs):
    return Options(**knobs)


def classifier(**knobs):
    return qc.QNNClassifier(max_iter=knobs.pop("max_iter", 2), **knobs).fit(BITS, LABELS)


def forest(**knobs):
    return RateForest(**{"trees": 2, "folds": 2} | knobs).fit(ROWS, RATES)


def solver(**knobs):
    return Settings(**{"max_iter": 2, "learning_rate": 0.1, "batch_size": None} | knobs)


def campaign(**knobs):
    return Campaign("name", **GOOD | knobs)


def device(**knobs):
    return DeviceReadout("aer", **knobs)


MAKERS = {
    options: {
        **dict.fromkeys(("shots", "twirls", "max_circuits"), WHOLE),
        "measure_twirl": ["no", 1, None, 0.0],
        "optimization_level": [-1, 4, 2.0, True, None, "3"],
        "twirling": ["both", None, 1],
        "dd": ["YY", 1, "", True],
        "mode": ["", "jobs", None],
        "simulation": ["exact", 1],
    },
    device: {
        **dict.fromkeys(("twirls", "layouts"), WHOLE),
        "measure_twirl": ["yes", None],
        "dd": ["YY"],
        "mode": ["jobs"],
        "mitigation": ["full", None, True],
    },
    lambda contraction: ContractedReadout(contraction): {"contraction": [*POSITIVE, 1.01]},
    solver: {
        "max_iter": WHOLE,
        "batch_size": GIVEN,
        "learning_rate": [-0.1, float("nan"), float("inf"), "1", None],
    },
    classifier: {
        **dict.fromkeys(("n_init", "shots"), WHOLE),
        **dict.fromkeys(("max_iter", "batch_size"), GIVEN),
        "reps": [-1, 1.5, "2", None],
        "learning_rate": POSITIVE,
        "init_scale": [-0.1, float("nan"), "1", None],
        "threshold": [float("nan"), "1", [0.5]],
        **dict.fromkeys(("bias", "compress", "warm_start"), NO_FLAGS),
        "loss": ["cubic", None],
        "solver": ["newton", None],
        "encoding": ["bits", 1],
    },
    forest: {"trees": WHOLE, "folds": [1, *WHOLE], "leaf": WHOLE},
    lambda **knobs: PhysicalColumns(**knobs).fit(ROWS): {
        "idle_constant": [-0.1, float("nan"), "1"],
        "shots": POSITIVE,
    },
    lambda **knobs: qc.HammingKMajority(**knobs).fit(BITS): {
        "n_clusters": WHOLE,
        "max_iter": WHOLE,
        "radius": [-1, float("nan"), "2", True],
    },
    campaign: {
        "cases": [(), "ghz:3", ["ghz:3"], (1,)],
        "machines": [(), "flips:0.1", (None,)],
        "shots": [(), (0,), (1.5,), (True,), 100],
        "twirls": [(), (0,), ("1",)],
        "dd": [("YY",), (None,), "XX"],
        "seeds": [(), (-1,), (None,)],
        "methods": [("nothing",), "hammer"],
    },
    lambda **knobs: plan(("ghz:3",), **knobs): {"rows": [*WHOLE, 7], "rounds": WHOLE},
    lambda rounds: qc.baselines.em_uniform(COUNTS, 0.1, rounds=rounds): {"rounds": WHOLE},
    lambda rounds: qc.baselines.hammr_l(COUNTS, 0.1, rounds=rounds): {"rounds": WHOLE[1:]},
    lambda **knobs: qc.baselines.qbeep(COUNTS, **{"expected_errors": 0.5} | knobs): {
        "expected_errors": [-0.1, float("nan"), float("inf"), "1"],
        "rounds": WHOLE[1:],
        "floor": [-0.1, float("nan"), "1"],
    },
    lambda distance: qc.baselines.m3(COUNTS, [0.1, 0.1], distance=distance): {"distance": [-1, 1.5, True, "2"]},
}
CASES = [(make, name, value) for make, knobs in MAKERS.items() for name, values in knobs.items() for value in values]


@pytest.mark.parametrize(("make", "name", "value"), CASES, ids=lambda part: getattr(part, "__name__", repr(part)))
def test_a_setting_out_of_its_range_is_named(make, name, value):
    with pytest.raises(ValueError, match=rf"{name}|no method"):
        make(**{name: value})


def test_settings_within_their_ranges_are_taken():
    assert Options(np.int64(100), twirls=4, measure_twirl=np.True_, dd="XX").shots == 100
    assert device(twirls=2, layouts=1, mitigation="none").twirls == 2
    assert ContractedReadout(1).contraction == 1
    assert solver(learning_rate=0.0, batch_size=np.int32(3)).batch_size == 3
    assert classifier(reps=np.int64(2), threshold=0.5, learning_rate=1, solver="sgd", batch_size=2).n_iter_ == 2
    assert forest(leaf=2).predict(ROWS).shape == (12,)
    assert qc.HammingKMajority(1, radius=float("inf")).fit(BITS).n_iter_ >= 1
    assert len(list(campaign(dd=("", "XY4"), seeds=(0, 1)).tasks())) == 4


@pytest.mark.parametrize(
    ("solver", "name"),
    [("auto", "learning_rate"), ("auto", "batch_size"), *((one, "batch_size") for one in ("lbfgs", "cobyla", "spsa"))],
)
def test_a_setting_that_the_solver_does_not_use_is_refused(solver, name):
    with pytest.raises(ValueError, match=f"{name} has no effect with the solver"):
        classifier(solver=solver, **{name: 1})


def test_a_simulation_is_chosen_for_recorded_machines_only():
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(1)
    circuit.measure_all()
    with pytest.raises(ValueError, match=r"simulation='statevector' goes with recorded machines; .* is run as it is"):
        qc.execute([circuit], "aer", simulation="statevector", shots=10)


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (lambda: check_whole("n", 0, 1), "n must be a whole number of at least 1; got 0"),
        (lambda: check_whole("n", 9, 1, 6), "n must be a whole number from 1 to 6; got 9"),
        (lambda: check_real("x", -1, 0), "x must be a finite number of at least 0; got -1"),
        (lambda: check_real("x", 0, 0, open_low=True), "x must be a finite number above 0; got 0"),
        (lambda: check_real("x", 2, 0, 1, open_low=True), "x must be a finite number in (0, 1]; got 2"),
        (lambda: check_real("x", 2, 0, 1), "x must be a finite number in [0, 1]; got 2"),
        (lambda: check_real("x", 1, 0, 1, open_high=True), "x must be a finite number in [0, 1); got 1"),
        (
            lambda: check_real("x", 1.0, 0, 1, open_low=True, open_high=True, kind="one number"),
            "x must be one number in (0, 1); got 1.0",
        ),
        (lambda: check_real("x", 10**400, 0), "x must be a finite number of at least 0; got 1000"),
        (lambda: check_flag("f", "no"), "f must be True or False; got 'no'"),
        (lambda: check_choice("c", True, (None, "a")), "c must be one of None, a; got True"),
    ],
)
def test_the_range_is_told_in_words(check, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        check()
