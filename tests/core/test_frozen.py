"""Copies of frozen records: equal, and as read-only as what they are copies of."""

import copy
import pickle

import numpy as np
import pytest

import qcluster as qc
from qcluster.core.noise.faults import FaultMasks


def records():
    fixed = qc.mitigate({"000": 430, "001": 20, "010": 18, "100": 22, "111": 450})
    yield "distribution", fixed.distribution, ("bits", "weights")
    yield "mitigation", fixed, ("centroids", "weights", "rates")
    masks = np.array([[1], [2]], dtype=np.uint64)
    yield "faults", FaultMasks(2, masks, np.full(2, 0.1), np.zeros(2, np.uint8), np.full((2, 2), 0.02)), (
        "masks", "rates", "readout",
    )  # fmt: skip
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


def test_the_arrays_given_are_not_those_kept():
    masks, rates = np.array([[1]], dtype=np.uint64), np.array([0.1])
    faults = FaultMasks(1, masks, rates, np.zeros(1, np.uint8), np.zeros((1, 2)))
    rates[0] = masks[0] = 0
    assert (faults.rates[0], faults.masks[0, 0]) == (0.1, 1)
