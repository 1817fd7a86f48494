"""Every field of every settings class of the core has a range, and refuses in words what is outside of it."""

import copy
import pickle
from dataclasses import FrozenInstanceError, fields, replace
from fractions import Fraction
from math import inf, nan

import numpy as np
import pytest

import qcluster as qc
from qcluster.core.methods.registry import every
from qcluster.core.words import short_repr

CLASSES = (qc.MixtureSettings, qc.PaperSettings)
ENDS = {
    qc.MixtureSettings: {"max_clusters": (1, 4096), "prior_shots": (1e-6, 1e9), "rounds": (1, 200)},
    qc.PaperSettings: {"mul": (1e-300, 1e300), "tol": (1e-300, 1.0), "max_clusters": (1, 10**9)},
}
"""The smallest and the largest value that are tried of each field."""
BEYOND = {
    qc.MixtureSettings: {"max_clusters": (0, 4097), "prior_shots": (0.0, 2e9), "rounds": (0, -1)},
    qc.PaperSettings: {"mul": (0.0, inf), "tol": (0.0, np.nextafter(1.0, 2.0)), "max_clusters": (0, -1)},
}
"""Values out of range."""
FIELDS = [(kind, field.name) for kind in CLASSES for field in fields(kind)]
WHOLE = ("max_clusters", "rounds")


def named(part):
    return getattr(part, "__name__", part)


def test_the_settings_of_all_methods_are_among_these():
    assert {method.settings for method in every()} - {None} <= set(CLASSES)


@pytest.mark.parametrize(("kind", "name"), FIELDS, ids=named)
def test_what_does_not_fit_is_refused_in_words(kind, name):
    wrong = [*BEYOND[kind][name], nan, inf, -inf, "1", None, True, 1j, np.bool_(True), [1], (1,)]
    for value in wrong + ([1.5, 2.0] if name in WHOLE else []):
        with pytest.raises(ValueError, match=rf"^{name} must be a (whole|finite) number .*; got ") as caught:
            kind(**{name: value})
        assert str(caught.value).endswith(f"got {short_repr(value)}")


@pytest.mark.parametrize(("kind", "name"), FIELDS, ids=named)
@pytest.mark.parametrize("which", [0, 1])
def test_a_method_runs_at_the_ends_of_its_ranges(kind, name, which):
    counts = qc.Distribution.of({"000": 430, "001": 20, "010": 18, "100": 22, "111": 450, "011": 30, "110": 8})
    end = ENDS[kind][name][which]
    settings = kind(**{name: np.int64(end) if name in WHOLE else np.float64(end)})
    paper = kind is qc.PaperSettings
    noise, method = (0.05, "paper") if paper else (None, "mixture")
    fixed = qc.mitigate(counts, noise, method=method, guard=paper, settings=settings)
    assert fixed.distribution.shots == pytest.approx(counts.shots)


@pytest.mark.parametrize(("kind", "name"), FIELDS, ids=named)
def test_any_kind_of_number_is_kept_as_an_ordinary_one(kind, name):
    """Fractions are real numbers, and passed; arrays of them then ended in NumPy's own errors."""
    value = kind.__dataclass_fields__[name].default
    settings = kind(**{name: np.int64(value) if name in WHOLE else Fraction(value)})
    assert settings == kind()
    assert type(getattr(settings, name)) is type(value)


@pytest.mark.parametrize("kind", CLASSES)
def test_settings_are_values(kind):
    held = kind()
    assert held == kind() == copy.deepcopy(held) == pickle.loads(pickle.dumps(held)) == replace(held)
    assert hash(held) == hash(kind())
    with pytest.raises(FrozenInstanceError):
        setattr(held, fields(kind)[0].name, 1)
