"""The registry: what a method declares is what users get, are told, and are refused."""

import json
import pickle
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import qcluster as qc
from qcluster.baselines.door import enter
from qcluster.core.methods import registry
from qcluster.core.methods.registry import Method, every, find, register
from qcluster.core.mitigation import Mitigation, left

COUNTS = {"000": 430, "001": 70, "110": 60, "111": 440}


@pytest.fixture
def apart(monkeypatch):
    """A registry of its own."""
    every()
    monkeypatch.setattr(registry, "_known", dict(registry._known))


def nothing(raw, noise, guard, settings):
    return left(raw, "mine", f"{noise} {guard} {settings}")


@pytest.mark.parametrize("method", every(), ids=lambda method: method.name)
def test_every_method_gives_what_it_declares(method):
    raw = qc.Distribution.of(COUNTS)
    noise = 0.05 if method.needs == "rates" else None
    if method.needs == "faults":
        patterns = np.array([[1], [2], [4]], dtype=np.uint64)
        from qcluster.core.noise.faults import FaultMasks

        noise = FaultMasks(3, patterns, np.full(3, 0.05), np.zeros(3), np.full((3, 2), 0.01))
    if method.needs == "measured":
        noise = qc.MeasuredNoise({"010": 850, "000": 40, "011": 60, "110": 50}, "010")
    fixed = qc.mitigate(raw, noise, method=method.name)
    assert isinstance(fixed, Mitigation)
    assert (fixed.method, fixed.raw) == (method.name, raw)
    assert fixed.distribution.shots == pytest.approx(raw.shots)
    assert fixed.rates.shape == (3, 2)
    assert np.isfinite(fixed.rates).all()
    assert fixed.confidence is None or 0 <= fixed.confidence <= 1
    assert fixed.applied or fixed.distribution == raw
    assert fixed.reason
    found = fixed.interval("ZZI", samples=20)
    assert found.low <= found.value <= found.high
    copy = pickle.loads(pickle.dumps(fixed))
    assert copy == fixed
    assert copy.interval("ZZI", samples=20) == found
    assert json.loads(fixed.to_json(), parse_constant=pytest.fail)["rates"] == fixed.rates.tolist()
    assert method.summary.endswith(".")
    with pytest.raises(TypeError, match=r"settings of method=.* must be"):
        qc.mitigate(raw, noise, method=method.name, settings=object())
    if not method.guarded:
        with pytest.raises(ValueError, match="has no guard"):
            qc.mitigate(raw, noise, method=method.name, guard=False)


def test_a_registered_method_is_offered_everywhere(apart):
    register(Method("mine", "Does nothing.", nothing, uses=("rates",)))
    assert qc.mitigate(COUNTS, method="mine").reason == "left as is: None True None"
    assert qc.mitigate(COUNTS, 0.1, method="mine").method == "mine"
    from qcluster.bench.methods import check_methods

    check_methods(("mine", "mixture_unguarded"))
    assert qc.MitigatedSampler("aer", method="mine").method == "mine"
    with pytest.raises(ValueError, match=r"method must be one of mixture, .*, mine; got 'yours'"):
        qc.mitigate(COUNTS, method="yours")


@pytest.mark.parametrize(
    ("returned", "error", "said"),
    [
        (None, TypeError, "method='mine' must return a distribution; got NoneType: counts must be"),
        (0.5, TypeError, "method='mine' must return a distribution; got float: counts must be"),
        (
            {"0": 1},
            ValueError,
            "method='mine' must return a distribution over strings of 3 bits; got 1 bit and 1 shot",
        ),
        (qc.Distribution.of(COUNTS).marginal([0, 1]), ValueError, "over strings of 3 bits; got 2 bits and 1000 shots"),
    ],
)
def test_what_a_short_method_returns_is_read(apart, returned, error, said):
    """It was handed on as the distribution of a Mitigation."""
    enter("mine", "Returns something.", lambda counts, noise: returned)
    with pytest.raises(error, match=re.escape(said)):
        qc.mitigate(COUNTS, method="mine")


@pytest.mark.parametrize(
    "answer",
    [
        {"000": 1, "111": 3},
        {"000": 0.25, "111": 0.75},
        qc.Distribution.of({"000": 100, "111": 300}),
        ["000", *3 * ["111"]],
    ],
)
def test_an_answer_of_a_short_method_has_as_many_shots_as_the_counts(apart, answer):
    enter("mine", "Returns something.", lambda counts, noise: answer)
    fixed = qc.mitigate(COUNTS, method="mine")
    assert fixed.distribution.to_counts() == {"000": 250, "111": 750}
    assert fixed.interval("111").value == 0.75


def test_a_method_that_returns_no_mitigation_is_named(apart):
    register(Method("mine", "Does nothing.", lambda raw, *_: raw))
    with pytest.raises(TypeError, match="method='mine' must return a Mitigation; got Distribution"):
        qc.mitigate(COUNTS, method="mine")


@pytest.mark.parametrize("workers", [1, 2])
def test_other_processes_know_the_methods_of_the_caller(apart, workers):
    register(Method("mine", "Does nothing.", nothing))
    found = list(qc.mitigate_many([COUNTS, COUNTS], method="mine", workers=workers))
    assert [fixed.method for fixed in found] == ["mine", "mine"]


def test_what_came_before_an_error_of_a_method_is_answered(apart):
    """Small sets are one job; any error of one set is raised where it stands."""

    def picky(raw, *_):
        if raw.shots > 1000:
            raise RuntimeError("too many")
        return left(raw, "picky", "as asked")

    register(Method("picky", "Takes few shots.", picky))
    found = qc.mitigate_many([COUNTS, {"0": 9000}, COUNTS], method="picky", workers=1)
    assert next(found).method == "picky"
    with pytest.raises(RuntimeError, match="too many"):
        next(found)


def test_a_name_belongs_to_the_module_that_took_it(apart):
    register(Method("mine", "Does nothing.", nothing))
    again = register(Method("mine", "Does nothing, again.", nothing))
    assert find("mine") is again
    with pytest.raises(ValueError, match=r"'paper' is one of qcluster\.core\.methods\.paper"):
        register(Method("paper", "Mine.", nothing))
    with pytest.raises(TypeError, match="must be a Method; got function"):
        register(nothing)


@pytest.mark.parametrize(
    ("changed", "error", "said"),
    [
        ({"name": "my method"}, ValueError, "name must be letters, digits and underscores; got 'my method'"),
        ({"name": None}, ValueError, "got None"),
        ({"summary": " "}, ValueError, "summary must be a sentence"),
        ({"function": "mine"}, TypeError, "function must be callable; got 'mine'"),
        ({"unasked": "mine"}, TypeError, "unasked must be callable, or None; got 'mine'"),
        ({"settings": qc.PaperSettings()}, TypeError, "settings must be a class, or None; got PaperSettings"),
        ({"widest": 1.5}, ValueError, "widest must be a whole number of at least 1; got 1.5"),
        ({"needs": ["rates"]}, ValueError, r"needs and uses must be among rates, .*; got \['rates'\]"),
        ({"needs": "luck"}, ValueError, "needs and uses must be among rates, measured, faults; got 'luck'"),
        ({"uses": ("luck",)}, ValueError, "got 'luck'"),
    ],
)
def test_a_declaration_without_sense_is_refused(changed, error, said):
    with pytest.raises(error, match=said):
        Method(**{"name": "mine", "summary": "Does nothing.", "function": nothing} | changed)


def test_a_short_method_is_a_function():
    with pytest.raises(TypeError, match="answer must be callable; got 3"):
        enter("mine", "Does nothing.", 3)


def test_an_expectation_is_a_word():
    with pytest.raises(ValueError, match="expect must be 'sparse' or 'dense', or None; got array"):
        qc.mitigate(COUNTS, expect=np.array(["sparse", "dense"]))


def test_rates_of_another_shape_are_no_answer():
    raw = qc.Distribution.of(COUNTS)
    with pytest.raises(ValueError, match=r"rates must be \(3, 2\); got shape \(3,\)"):
        left(raw, "mine", "", np.zeros(3))


def test_the_methods_of_others_are_not_imported_before_they_are_asked_for():
    code = """
import sys, qcluster as qc
qc.mitigate({"00": 60, "11": 40}); qc.mitigate({"00": 60, "11": 40}, 0.1, method="paper")
print("qcluster.baselines" in sys.modules)
print(qc.mitigate({"00": 60, "01": 10, "11": 40}, method="hammer").method, "scipy" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "hammer", "False"]


class Told:
    """A noise model that is not there yet."""

    n_bits = 3


def test_another_kind_of_noise_joins_in_one_place(apart, monkeypatch):
    from qcluster.core.mitigate import DEFAULTS
    from qcluster.core.noise import noise_argument

    monkeypatch.setitem(noise_argument.KINDS, "told", Told)
    monkeypatch.setitem(noise_argument.DESCRIPTIONS, "told", "noise that was told (Told)")
    monkeypatch.setitem(noise_argument.RUN_ATTRIBUTES, "told", "teller.noise")
    monkeypatch.setitem(DEFAULTS, "told", "mine")
    register(Method("mine", "Does nothing.", nothing, needs="told"))
    noise = Told()
    run = SimpleNamespace(counts=qc.Distribution.of(COUNTS), teller=SimpleNamespace(noise=noise))
    for answer in (qc.mitigate(COUNTS, noise), qc.mitigate(run), qc.mitigate(run, method="mine")):
        assert answer.method == "mine"
        assert "Told object" in answer.reason
    assert qc.mitigate(run, guard=False).method == "mixture"
    with pytest.raises(ValueError, match=r"takes flip rates as its noise; got noise that was told \(Told\)"):
        qc.mitigate(COUNTS, noise, method="paper")
    with pytest.raises(ValueError, match=r"counts and noise that was told \(Told\) must have one width; got 2 and 3"):
        qc.mitigate({"00": 1}, noise)
    with pytest.raises(ValueError, match="needs noise that was told"):
        qc.mitigate(COUNTS, method="mine")
