"""Copies of frozen records: equal, and as read-only as what they are copies of."""

import copy
import importlib
import pickle
import pkgutil
import re
from dataclasses import fields, is_dataclass
from functools import reduce
from typing import get_args, get_origin

import numpy as np
import pytest
from numpy.typing import NDArray

import qcluster as qc
from qcluster.core.noise.faults import FaultMasks
from qcluster.qnn import LabelledBits, Readouts


def records():
    fixed = qc.mitigate({"000": 430, "001": 20, "010": 18, "100": 22, "111": 450})
    yield "distribution", fixed.distribution, ("bits", "weights")
    yield "mitigation", fixed, ("centroids", "weights", "rates")
    masks = np.array([[1], [2]], dtype=np.uint64)
    yield "faults", FaultMasks(2, masks, np.full(2, 0.1), np.zeros(2, np.uint8), np.full((2, 2), 0.02)), (
        "masks", "rates", "readout",
    )  # fmt: skip
    yield "rates", qc.estimate_rates(counts={"000": 430, "001": 20, "111": 450}), ("per_bit", "clustering")
    yield "measured", qc.MeasuredNoise({"01": 90, "00": 10}, "01"), ("flips",)


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
@pytest.mark.parametrize(("name", "record", "arrays"), list(records()))
def test_copies_are_equal_and_read_only(name, record, arrays, how):
    again = how(record)
    assert type(again) is type(record)
    for field in arrays:
        one, other = getattr(again, field), getattr(record, field)
        np.testing.assert_array_equal(one, other)
        with pytest.raises(ValueError, match="read-only"):
            one.flat[0] = one.flat[0]
    if name in ("distribution", "mitigation"):
        assert again == record
    if name == "measured":
        assert (again.reference_counts, again.expected) == (record.reference_counts, record.expected)


@pytest.mark.parametrize("kind", ["counts", "circuit", "measured"])
def test_copies_do_not_carry_what_an_interval_computed(kind):
    """For 100,000 strings it is many times the answer."""
    counts = {"000": 430, "001": 20, "010": 18, "100": 22, "111": 450}
    masks = np.array([[1], [2], [4]], dtype=np.uint64)
    faults = FaultMasks(3, masks, np.full(3, 0.04), np.zeros(3, np.uint8), np.zeros((3, 2)))
    reference = qc.MeasuredNoise({"000": 880, "001": 40, "010": 36, "100": 44}, "000")
    fixed = qc.mitigate(counts, noise={"counts": None, "circuit": faults, "measured": reference}[kind])
    before = pickle.dumps(fixed)
    interval = fixed.interval("111")
    assert len(pickle.dumps(fixed)) == len(before)
    assert pickle.loads(before).interval("111") == interval


def test_the_arrays_given_are_not_those_kept():
    masks, rates = np.array([[1]], dtype=np.uint64), np.array([0.1])
    faults = FaultMasks(1, masks, rates, np.zeros(1, np.uint8), np.zeros((1, 2)))
    rates[0] = masks[0] = 0
    assert (faults.rates[0], faults.masks[0, 0]) == (0.1, 1)


def dataclasses_of_the_package():
    for module in pkgutil.walk_packages(qc.__path__, "qcluster."):
        if module.name.endswith("__main__"):
            continue
        room = importlib.import_module(module.name)
        yield from (
            (room, one) for one in vars(room).values() if is_dataclass(one) and vars(one)["__module__"] == module.name
        )


def holds_an_array(room, annotation):
    arrays = np.ndarray, NDArray  # from NumPy 2.5 on, NDArray[...] is an alias whose origin is NDArray
    if not isinstance(annotation, str):
        return get_origin(annotation) in arrays or any(holds_an_array(room, one) for one in get_args(annotation))
    names = re.findall(r"[A-Za-z_][\w.]*", annotation)
    known = [reduce(lambda place, part: getattr(place, part, None), name.split("."), room) for name in names]
    return any(one in arrays or get_origin(one) in arrays for one in known)


def test_what_holds_arrays_says_how_it_compares():
    """The comparison that a dataclass writes for itself ends in "the truth value of an array ... is ambiguous"."""
    found = [
        one
        for room, one in dataclasses_of_the_package()
        if any(holds_an_array(room, field.type) for field in fields(one))
    ]
    assert {"Run", "Mitigation", "Readouts", "Inputs", "Block"} <= {one.__name__ for one in found}
    assert [one.__qualname__ for one in found if one.__dataclass_params__.eq] == []


def answers():
    yield lambda shift: Readouts(np.array([0.1, 0.2 + shift]), np.array([0.01, 0.01]), 2, 200)
    yield lambda shift: Readouts(np.array([0.1]), np.array([0.01]), 2, 200, raw=np.array([0.3]) if shift else None)
    yield lambda shift: LabelledBits(np.array([[0.0, 1.0], [1.0, shift]]), np.array(["a", "b"]))
    yield lambda shift: qc.mitigate({"00": 600, "01": 30 + 10 * shift, "11": 400})


@pytest.mark.parametrize("make", list(answers()))
def test_answers_are_equal_where_their_numbers_are(make):
    assert make(0) == make(0)
    assert make(0) != make(1)
    assert make(0) != "an answer"
    with pytest.raises(TypeError, match="unhashable"):
        hash(make(0))
