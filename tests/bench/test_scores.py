"""What a score says: metrics by hand, methods that lack something, methods that fail."""

import gzip
import json
from dataclasses import replace

import numpy as np
import pytest

from qcluster.bench import methods, scores
from qcluster.bench.machines import run_task
from qcluster.bench.methods import METHODS, check_methods
from qcluster.bench.sample import Sample, pack_sample, unpack_sample
from qcluster.bench.scores import SCORE_COLUMNS, approximation_ratio, score, score_methods
from qcluster.bench.tasks import Task, find_case
from qcluster.core.counts.distribution import Distribution
from qcluster.core.mitigate import mitigate
from qcluster.device.noise.rates import estimate_rates
from qcluster.errors import StorageError


def sample(counts, ideal=None, **known):
    ideal = None if ideal is None else Distribution.of(ideal)
    return Sample("id", "case", "family", "machine", Distribution.of(counts), ideal, **known)


def test_metrics_by_hand():
    row, result = score(sample({"00": 50, "01": 30, "11": 20}, {"00": 0.5, "11": 0.5}), "identity")
    assert row["hellinger_fidelity"] == pytest.approx((np.sqrt(0.25) + np.sqrt(0.1)) ** 2)
    assert row["total_variation"] == pytest.approx(0.3)
    assert row["success_probability"] == pytest.approx(0.7)
    assert (row["rank"], row["correct"], row["applied"], row["status"]) == (1, 1, 0, "ok")
    assert row["expectation_error"] == pytest.approx((abs(0.0 - 0.0) + abs(0.6 - 0.0)) / 2)
    assert result.to_counts() == {"00": 50, "01": 30, "11": 20}
    assert set(row) <= set(SCORE_COLUMNS)


def test_an_answer_of_no_strings_has_no_figures():
    """Its cost was taken for 0, and .5 for its approximation ratio."""
    nothing = Sample("id", "qaoa:2", "qaoa", "machine", Distribution(np.zeros((0, 2), bool), np.zeros(0)))
    row, _ = score(replace(nothing, edges=((0, 1, 1.0),), ideal=Distribution.of({"01": 1})), "identity")
    assert row["status"] == "ok"
    assert not row.keys() & {"approximation_ratio", "hellinger_fidelity"}


def test_rank_counts_the_strings_above():
    row, _ = score(sample({"00": 50, "01": 30, "11": 20}, {"11": 1.0}), "identity")
    assert (row["rank"], row["correct"]) == (3, 0)
    row, _ = score(sample({"00": 50, "01": 30}, {"11": 1.0}), "identity")
    assert (row["rank"], row["correct"]) == (3, 0)


@pytest.mark.parametrize(
    ("method", "counts"),
    [
        ("identity", [13, 13]),
        ("m3", [13, 13]),
        ("em_uniform", [7, 2, 2, 7]),
        ("hammr_l", [10, 4, 6, 12, 12, 6, 4, 10]),
        ("qbeep", [3, 9, 2, 7, 11, 7, 2, 6, 6, 2, 7, 11, 7, 2, 9, 3]),
    ],
)
def test_strings_that_tie_share_a_rank(method, counts):
    """These counts do not change if all bits are flipped, so two strings tie; rounding decided which was right."""
    n_bits = len(counts).bit_length() - 1
    by_text = {format(value, f"0{n_bits}b"): shots for value, shots in enumerate(counts)}
    known = {"readout": np.full((n_bits, 2), 0.03), "expected_errors": 0.2, "rate": 0.03}
    tied = [text for text, shots in by_text.items() if shots == max(counts)]
    rows = [score(sample(by_text, {text: 1.0}, **known), method)[0] for text in tied]
    assert [(row["rank"], row["correct"]) for row in rows] == [(1, 1), (1, 1)]


def test_plurality_is_what_rank_says():
    row, _ = score(sample({"00": 50, "01": 30, "11": 20}, {"00": 1.0}), "plurality")
    assert row["hellinger_fidelity"] == 1.0
    assert row["applied"] == 1


@pytest.mark.parametrize("method", ["m3", "qbeep", "hammr_l", "paper_given", "circuit"])
def test_a_method_that_lacks_something_is_skipped(method):
    row, result = score(sample({"00": 5}, {"00": 1}), method)
    assert row["status"] == "skipped"
    assert "needs" in row["note"]
    assert result is None


@pytest.fixture(scope="module")
def complete():
    """A run on a recorded machine, of which everything is known."""
    circuit = find_case("ghz:5").fingerprint
    return run_task(Task("ghz:5", circuit, "FakeManila", shots=2000, twirls=2, dd="", seed=1))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_scores_a_sample_that_has_everything(complete, method):
    row, result = score(complete, method)
    if method in {"measured", "dem", "reference"}:  # no reference circuit ran on this machine
        assert (row["status"], row["note"]) == ("skipped", "needs the counts of a reference circuit")
        return
    assert row["status"] == "ok", row["note"]
    assert result.shots == pytest.approx(2000)
    if method not in {"identity", "plurality"}:
        raw, _ = score(complete, "identity")
        assert row["hellinger_fidelity"] > raw["hellinger_fidelity"] + 0.01


@pytest.mark.parametrize("run_is_known", [True, False])
def test_a_method_that_needs_rates_gets_the_estimate_that_a_user_would_hand_over(complete, run_is_known):
    given = complete if run_is_known else replace(complete, run=None)
    rates = estimate_rates(given.run if run_is_known else given.counts)
    _, result = score(given, "paper")
    assert result == mitigate(given.counts, rates, method="paper").distribution
    assert result != mitigate(given.counts, rates.value, method="paper").distribution


@pytest.mark.parametrize("method", ["measured", "dem", "reference"])
def test_methods_that_need_a_reference_score_a_sample_that_has_one(method):
    circuit = find_case("ghz:5").fingerprint
    held = run_task(Task("ghz:5", circuit, "FakeManila+reference", shots=2000, twirls=2, dd="", seed=1))
    row, _ = score(held, method)
    raw, _ = score(held, "identity")
    assert row["status"] == "ok", row["note"]
    assert row["hellinger_fidelity"] > raw["hellinger_fidelity"]


def test_a_failing_method_is_a_row(monkeypatch):
    monkeypatch.setitem(methods.METHODS, "broken", lambda sample: 1 / 0)
    row, result = score(sample({"0": 1}, {"0": 1}), "broken")
    assert row["status"] == "failed"
    assert row["note"] == "ZeroDivisionError: division by zero"
    assert result is None


def test_a_mitigation_tells_its_verdict(monkeypatch):
    monkeypatch.setitem(methods.METHODS, "ours", lambda sample: mitigate(sample.counts, 0.05, method="paper"))
    row, _ = score(sample({"00": 90, "01": 10}, {"00": 1}), "ours")
    assert row["applied"] == 1
    assert "at flips of " in row["note"]


def test_without_an_ideal_only_what_needs_none_is_scored():
    row, _ = score(sample({"00": 1, "01": 3}, edges=((0, 1, 1.0),)), "identity")
    assert "hellinger_fidelity" not in row
    assert row["approximation_ratio"] == 0.75


def test_approximation_ratio_is_one_at_the_minimum():
    edges = ((0, 1, 1.0), (1, 2, -1.0), (0, 2, 1.0))
    values = {format(v, "03b"): approximation_ratio(Distribution.of({format(v, "03b"): 1}), edges) for v in range(8)}
    assert max(values.values()) == 1.0
    assert min(values.values()) == 0.0
    assert values["110"] == values["001"]
    wide = Distribution.of({"0" * 30: 1})
    assert approximation_ratio(wide, ((0, 29, 1.0),)) is None
    assert approximation_ratio(Distribution.of({"00": 1}), ((0, 1, 0.0),)) == 1.0


def test_bars_hold_the_likeliest_strings():
    counts = {format(v, "06b"): 64 - v for v in range(64)}
    _, (bars,) = score_methods(sample(counts, {"111111": 1.0}), ("plurality",))
    parts = [part.split(":") for part in bars["bars"].split()]
    assert len(parts) == scores._BARS
    assert parts[0][0] in {"111111", "000000"}
    table = {text: [float(v) for v in values] for text, *values in parts}
    total = sum(counts.values())
    assert table["111111"] == [1.0, pytest.approx(1 / total, rel=1e-3), 0.0]
    assert table["000000"] == [0.0, pytest.approx(64 / total, rel=1e-3), 1.0]


def test_samples_survive_the_file(tmp_path):
    given = sample(
        {"001": 5, "110": 2},
        readout=np.array([[0.1, 0.2]] * 3),
        expected_errors=0.3,
        rate=0.04,
        edges=((0, 1, -1.0),),
        facts={"p": 3},
    )
    back = unpack_sample(pack_sample(given), tmp_path, None)
    assert back.counts == given.counts
    assert np.array_equal(back.readout, given.readout)
    assert (back.rate, back.edges, back.facts, back.n_bits) == (0.04, given.edges, {"p": 3}, 3)
    assert pack_sample(given) == pack_sample(back)


def test_empty_samples_keep_their_width(tmp_path):
    empty = sample(Distribution(np.zeros((0, 4), dtype=bool), np.zeros(0)))
    assert unpack_sample(pack_sample(empty), tmp_path, None).n_bits == 4


def test_other_bytes_are_no_sample(tmp_path):
    for packed in (b"nonsense", gzip.compress(b"{}"), gzip.compress(b'{"format": "qcluster-shots", "version": 99}')):
        with pytest.raises(StorageError, match="no saved sample"):
            unpack_sample(packed, tmp_path, None)


@pytest.mark.parametrize(
    ("part", "value"), [("facts", None), ("case", 3), ("seconds", "x"), ("dt", []), ("n_bits", "")]
)
def test_a_part_of_another_kind_is_no_sample(tmp_path, part, value):
    content = json.loads(gzip.decompress(pack_sample(sample({"01": 1}))))
    with pytest.raises(StorageError, match="no saved sample"):
        unpack_sample(gzip.compress(json.dumps(content | {part: value}).encode()), tmp_path, None)


def test_unknown_methods_are_named():
    with pytest.raises(ValueError, match="no method 'nonsense'"):
        check_methods(("identity", "nonsense"))
