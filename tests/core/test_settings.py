"""Every field of every settings class of the core has a range, says it, and refuses what is outside of it."""

import ast
import copy
import inspect
import pickle
import textwrap
from math import inf, nan, nextafter

import attrs
import numpy as np
import pytest

import qcluster as qc
from qcluster.core.estimators.measured import MeasuredSettings
from qcluster.core.methods.registry import every
from qcluster.core.settings import Range

CLASSES = (qc.MixtureSettings, qc.PaperSettings, MeasuredSettings)
FIELDS = [(kind, field) for kind in CLASSES for field in attrs.fields(kind)]
RANGES = [(kind, field) for kind, field in FIELDS if isinstance(field.validator, Range)]


def named(part):
    return part.name if isinstance(part, attrs.Attribute) else getattr(part, "__name__", None)


def below(rule: Range):
    if rule.open_low:
        return int(rule.low) if rule.whole else rule.low
    return int(rule.low) - 1 if rule.whole else nextafter(rule.low, -inf)


def above(rule: Range):
    if rule.high == inf:
        return inf
    if rule.open_high:
        return rule.high
    return int(rule.high) + 1 if rule.whole else nextafter(rule.high, inf)


def docstrings(kind) -> dict[str, str]:
    """What stands under each field."""
    (cls,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    pairs = zip(cls.body, cls.body[1:], strict=False)
    return {
        field.target.id: " ".join(said.value.value.split())
        for field, said in pairs
        if isinstance(field, ast.AnnAssign) and isinstance(said, ast.Expr)
    }


def test_the_settings_of_all_methods_are_among_these():
    assert {method.settings for method in every()} - {None} <= set(CLASSES)


@pytest.mark.parametrize(("kind", "field"), FIELDS, ids=named)
def test_every_field_is_checked(kind, field):
    assert isinstance(field.validator, Range)
    kind(**{field.name: getattr(kind(), field.name)})


@pytest.mark.parametrize(("kind", "field"), RANGES, ids=named)
def test_a_value_out_of_range_is_refused_in_words(kind, field):
    rule = field.validator
    for wrong in (below(rule), above(rule), nan, inf, -inf):
        if rule.whole and isinstance(wrong, float):
            continue
        given = (getattr(kind(), field.name)[0], wrong) if rule.several else wrong
        with pytest.raises(ValueError, match=f"^{field.name} must be a.* in ") as caught:
            kind(**{field.name: given})
        assert rule.interval in str(caught.value)
        assert f"got {given!r}" in str(caught.value)
    if rule.several:
        with pytest.raises(ValueError, match=rf"^{field.name} must be a tuple of at least one .*; got \(\)"):
            kind(**{field.name: ()})


@pytest.mark.parametrize(("kind", "field"), RANGES, ids=named)
def test_another_type_is_refused_in_words(kind, field):
    rule = field.validator
    wrong = ["1", None, True, 1j, np.bool_(True), *([1.5, 2.0, nan, inf] if rule.whole else [])]
    for one in wrong:
        for given in [(one,), one, [0.1], "0.1"] if rule.several else [one, [1], (1,)]:
            with pytest.raises(TypeError, match=rf"^{field.name} must be a .*; got "):
                kind(**{field.name: given})


@pytest.mark.parametrize(("kind", "field"), RANGES, ids=named)
def test_the_ends_of_a_range_are_taken(kind, field):
    rule = field.validator
    ends = [] if rule.open_low else [rule.low]
    ends += [] if rule.open_high or rule.high == inf else [rule.high]
    for end in ends:
        given = int(end) if rule.whole else np.float64(end)
        given = (given,) if rule.several else given
        assert getattr(kind(**{field.name: given}), field.name) == given
    if rule.whole:
        given = np.int64(max(1, rule.low))
        kind(**{field.name: (given,) if rule.several else given})


@pytest.mark.parametrize(("kind", "field"), FIELDS, ids=named)
def test_the_range_is_told_under_the_field(kind, field):
    said = docstrings(kind)[field.name]
    if isinstance(field.validator, Range):
        assert field.validator.interval in said


@pytest.mark.parametrize("kind", CLASSES)
def test_settings_are_values(kind):
    held = kind()
    assert held == kind() == copy.deepcopy(held) == pickle.loads(pickle.dumps(held)) == attrs.evolve(held)
    assert hash(held) == hash(kind())
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(held, attrs.fields(kind)[0].name, 1)


def closed_ends():
    for kind, field in RANGES:
        rule = field.validator
        ends = ([] if rule.open_low else [rule.low]) + ([] if rule.open_high or rule.high == inf else [rule.high])
        for end in ends:
            given = int(end) if rule.whole else float(end)
            yield pytest.param(kind, {field.name: (given,) if rule.several else given}, id=f"{field.name}={given}")


@pytest.mark.parametrize(("kind", "given"), list(closed_ends()))
def test_a_method_runs_at_the_ends_of_its_ranges(kind, given):
    counts = qc.Distribution.of({"000": 430, "001": 20, "010": 18, "100": 22, "111": 450, "011": 30, "110": 8})
    settings = kind(**given)
    noise, method, guard = None, "mixture", False
    if kind is qc.PaperSettings:
        noise, method, guard = 0.05, "paper", True
    elif kind is MeasuredSettings:
        noise = qc.MeasuredNoise({"010": 850, "000": 40, "011": 60, "110": 50}, "010")
        method, guard = "measured", True
    fixed = qc.mitigate(counts, noise, method=method, guard=guard, settings=settings)
    assert fixed.distribution.shots == pytest.approx(counts.shots)
