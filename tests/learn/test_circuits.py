"""Cases with circuits that the decision is trained on."""

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.compiled_records import written
from qcluster.core.counts.bits import unpack
from qcluster.core.decision.circuit_candidates import NAMES
from qcluster.core.noise.faults import FaultMasks
from qcluster.core.noise.kernel import Kernel
from qcluster.learn.decision import circuits
from qcluster.learn.decision.shares import of_circuits
from qcluster.learn.decision.table import build_part, plan, read, recorded, tabulate


def test_drawn_cases_are_what_they_say_and_the_same_every_time():
    for seed in range(30):
        case, again = circuits.drawn(seed), circuits.drawn(seed)
        assert case.counts.to_counts() == again.counts.to_counts()
        assert case.faults.n_bits == case.counts.n_bits == case.ideal.n_bits
        assert case.ideal.probabilities.sum() == pytest.approx(1)
        assert case.counts.n_bits in circuits.WIDTHS
        np.testing.assert_array_equal(case.faults.rates, again.faults.rates)


@pytest.mark.parametrize("seed", range(12))
def test_faults_flip_what_pauli_errors_flip(seed):
    """All patterns flip something, and together they are a channel."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 7))
    faults = circuits.faults(rng, n)
    assert unpack(faults.masks, n).any(axis=1).all()
    assert (faults.rates > 0).all()
    noisy = Kernel.of(faults).forward(np.eye(1 << n)[0])
    assert noisy.sum() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_what_is_read_back_at_the_start_commutes_and_is_independent(seed):
    """Z of the bits read, carried back by Clifford gates, are as many commuting Paulis."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 7))
    _, x, z = circuits.circuit(rng, n, working=0.5)
    assert not ((x.astype(int) @ z.T + z.astype(int) @ x.T) % 2).any()
    paulis = np.hstack([x, z])
    products = (np.array(list(np.ndindex(*[2] * n)))[1:] @ paulis) % 2
    assert products.any(axis=1).all()


@pytest.mark.parametrize("seed", range(8))
def test_the_output_of_a_clifford_circuit_is_even_over_the_span_of_what_is_read(seed):
    rng = np.random.default_rng(seed)
    spread = rng.random((4, 3)) < 0.4
    p = circuits.affine(rng, spread)
    sums = {tuple(row) for row in (spread @ np.array(list(np.ndindex(2, 2, 2))).T % 2).T.tolist()}
    span = {int(np.array(row) @ (1 << np.arange(4))) for row in sums}
    inside = np.flatnonzero(p)
    assert {int(one) ^ int(inside[0]) for one in inside} == span
    assert p[inside] == pytest.approx(1 / len(span))


def test_rotations_flip_what_faults_flip():
    rng = np.random.default_rng(3)
    start = np.eye(16)[5]
    base = FaultMasks(4, np.array([[3]], np.uint64), np.array([0.1]), np.array([0]), np.zeros((4, 2)))
    turned, much, last = zip(*(circuits.rotated(rng, start, base) for _ in range(20)), strict=True)
    assert [p[5] == 1 for p in turned] == [weight is None for weight in much]
    single = [(p[5 ^ 3], weight) for p, weight in zip(turned, much, strict=True) if p[5] < 1 and p[5 ^ 3] < 0.05]
    assert single
    assert all(chance <= weight * (1 + 1e-9) for chance, weight in single), "a tail is no more than what turned it"
    assert all(set(np.flatnonzero(p)) <= {5, 5 ^ 3} for p in turned)
    assert not any(part.any() for part in last if part is not None), "nothing flips a bit alone"
    alone = FaultMasks(4, np.array([[2]], np.uint64), np.array([0.1]), np.array([0]), np.zeros((4, 2)))
    turned, much, last = zip(*(circuits.rotated(rng, start, alone) for _ in range(20)), strict=True)
    shares = [part[1] / all_of_it for part, all_of_it in zip(last, much, strict=True) if part is not None]
    assert min(shares) >= 0
    assert max(shares) <= 1 + 1e-9
    assert 0.3 < np.mean(shares) < 0.7
    assert np.sum(turned, axis=1) == pytest.approx(1)
    assert 3 < sum(p[5] == 1 for p in turned) < 17, "some circuits have rotations, and some have none"


def test_the_output_of_a_circuit_often_stays_the_same_under_its_own_faults():
    """Which ideals that are drawn apart from their circuits hardly ever do."""

    def kept(case):
        p = np.zeros(1 << case.counts.n_bits)
        p[case.ideal.words[:, 0].astype(int)] = case.ideal.probabilities
        moved = p[np.arange(len(p)) ^ case.faults.masks[:, :1].astype(int)]
        whole = np.count_nonzero(p) == len(p)
        same = np.abs(moved - p).sum(axis=1) < 1e-9
        return np.nan if whole else float(case.faults.rates @ same / case.faults.rates.sum())

    mine, drawn = ([kept(source(seed)) for seed in range(200)] for source in (circuits.own, circuits.drawn))
    assert np.nanmean(mine) > 2 * np.nanmean(drawn)


def test_smooth_outputs_are_wide_and_know_the_probabilities_of_what_was_read():
    cases = [circuits.smooth(seed) for seed in range(12)]
    assert all(12 <= case.counts.n_bits <= 60 and not case.sparse for case in cases if case.family == "wide-smooth")
    wide = [case for case in cases if case.family == "wide-smooth"]
    assert 1 < len(wide) < 12
    for case in wide:
        read, known = ({row.tobytes() for row in one.words} for one in (case.counts, case.ideal))
        assert 1 <= len(known - read) <= 2, "one for all others, and the likeliest where it was not read"
        assert case.ideal.probabilities.sum() == pytest.approx(1)


def test_patterns_of_two_bits_are_all_that_there_are():
    rng = np.random.default_rng(5)
    seen = [circuits.faults(rng, 2) for _ in range(20)]
    patterns = {tuple(row) for one in seen for row in unpack(one.masks, 2).tolist()}
    assert patterns == {(True, False), (False, True), (True, True)}


def test_drawn_circuits_have_the_rotations_that_their_outputs_take():
    rng = np.random.default_rng(6)
    told = circuits.faults(rng, 3)
    even, uneven = (
        [circuits._with_rotations(rng, told, p).rotations for _ in range(300)]
        for p in (np.repeat(0.25, 4), np.array([0.9, 0.1]))
    )
    known = [[one for one in rotations if one is not None] for rotations in (even, uneven)]
    assert all(250 < len(rotations) < 290 for rotations in known), "of some circuits nothing is known"
    assert 0.4 < np.mean(np.array(known[0]) == 0) < 0.65, "what is even is often of a Clifford circuit"
    assert min(known[1]) >= -np.log(0.9) - 1e-9, "and what is not, never"


def test_of_the_last_rotations_of_drawn_outputs_it_is_known_only_where_there_are_none():
    rng = np.random.default_rng(6)
    told, clifford, inside = circuits.faults(rng, 3), circuits._CLIFFORD, circuits._INSIDE
    for p, share in (
        (np.repeat(0.25, 4), clifford + (1 - clifford) * inside[True]),
        (np.array([0.9, 0.1]), inside[False]),
    ):
        drawn = [circuits._with_rotations(rng, told, p) for _ in range(300)]
        last = [one.last_rotations for one in drawn if one.rotations is not None]
        known = [one for one in last if one is not None]
        assert not np.any(known)
        assert len(known) / len(last) == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / len(last)))
    given = [circuits._with_rotations(rng, told, np.array([0.9, 0.1]), 0.3, np.array([0, 0.3, 0])) for _ in range(99)]
    assert [one.last_rotations is None for one in given] == [one.rotations is None for one in given]


def test_rotations_are_read_back_from_records():
    rng = np.random.default_rng(7)
    faults = replace(circuits.faults(rng, 3), rotations=0.25, last_rotations=np.array([0.0, 0.1, 0.05]))
    read = circuits.read_faults(written(faults))
    assert (read.rotations, read.last_rotations.tolist()) == (0.25, [0.0, 0.1, 0.05])
    old = {name: part for name, part in written(faults).items() if not name.endswith("rotations")}
    assert (circuits.read_faults(old).rotations, circuits.read_faults(old).last_rotations) == (None, None)


def test_what_a_calibration_says():
    rng = np.random.default_rng(1)
    true = circuits.faults(rng, 4)
    assert circuits.misreported(rng, true, "right") is true
    worse = circuits.misreported(rng, true, "3 x too bad")
    assert worse.rates == pytest.approx(3 * true.rates)
    better = circuits.misreported(rng, true, "3 x too good")
    assert better.rates == pytest.approx(true.rates / 3)
    ratio = np.log(circuits.misreported(rng, true, "scattered").rates / true.rates)
    assert ratio.std() > 0.4
    ratio = np.log(circuits.misreported(rng, true, "other").rates / true.rates)
    assert 0.2 < ratio.std() < 0.9


def test_records_with_patterns_become_cases_of_every_kind(tmp_path):
    record = {
        "machine": "fake_somewhere",
        "circuit": "ghz:2",
        "counts": {"00": 480, "11": 470, "01": 30, "10": 20},
        "ideal": {"00": 0.5, "11": 0.5},
        "faults": {"masks": [1, 2, 3], "rates": [0.02, 0.02, 0.01], "kind": [0, 0, 0], "readout": [[0.01, 0.02]] * 2},
    }
    path = tmp_path / "runs.jsonl"
    path.write_text(json.dumps(record) + "\n" + json.dumps({**record, "faults": None, "ideal": None}) + "\n")
    found = list(circuits.recorded(path))
    assert [case.kind for case in found] == [*circuits.TOLD]
    assert found[0].faults.readout.tolist() == [[0.01, 0.02]] * 2
    assert unpack(found[0].faults.masks, 2).tolist() == [[True, False], [False, True], [True, True]]
    (part,) = plan(tmp_path, {"circuit": 0}, [path])
    table = read(build_part(part))
    assert (len(table), table.names) == (5, NAMES)
    assert plan(tmp_path, {"circuit": 0}, [path]) == []


def test_a_table_of_counts_draws_recorded_circuits_anew(tmp_path):
    record = {
        "machine": "fake_somewhere",
        "counts": {"00": 480, "11": 470, "01": 30, "10": 20},
        "ideal": {"00": 0.5, "11": 0.5},
    }
    noise = {"masks": [1, 2, 3], "rates": [0.02, 0.02, 0.01], "kind": [0, 0, 0], "readout": [[0.01, 0.02]] * 2}
    path = tmp_path / "runs.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in (record, {**record, "faults": noise}) * 40))
    found = list(recorded(path))
    drawn = [case for case in found if case.family == "redrawn-runs"]
    assert [case.family for case in found[:6]] == ["runs", "runs", *["redrawn-runs"] * 3, "runs"], (
        "only where faults are known"
    )
    assert all(case.faults is None and case.sparse and case.ideal == found[0].ideal for case in drawn)
    wrong = [1 - sum(case.counts[text] for text in ("00", "11")) for case in drawn]
    assert np.median(wrong) == pytest.approx(0.05, abs=0.03), "about as strong as recorded"
    assert min(wrong) < 0.03 < 0.1 < max(wrong), "at many strengths"
    assert tabulate(found[:5]).drawn.tolist() == [False, False, True, True, True]
    assert [case.counts for case in found] == [case.counts for case in recorded(path)]
    path.write_text(json.dumps({**record, "faults": None}) + "\n")
    assert [case.family for case in recorded(path)] == ["runs"], "nothing to draw from"


def test_a_table_of_circuits_holds_overlaps_with_the_ideal():
    table = tabulate(circuits.drawn(seed) for seed in range(6))
    overlap = table.gram[:, :-1, -1]
    assert ((overlap >= -1e-6) & (overlap <= 1 + 1e-5)).all()
    np.testing.assert_allclose(table.gram[:, np.arange(len(NAMES)), np.arange(len(NAMES))], table.present, atol=1e-5)
    assert np.isfinite(table.features).all()


def test_counts_that_calibrations_share_make_the_rows_that_each_would_make():
    case, other = (circuits.sharp(seed) for seed in (4, 5))
    told = [case._replace(faults=case.faults.scaled(scale), kind=f"{scale:g}") for scale in (0.3, 1, 3)]
    table, rows = tabulate([*told, other]), [tabulate([one]) for one in (*told, other)]
    np.testing.assert_allclose(table.features, np.concatenate([row.features for row in rows]), atol=1e-4)
    np.testing.assert_allclose(table.gram, np.concatenate([row.gram for row in rows]), atol=1e-4)
    assert len(np.unique(table.gram[:3, 0, 9:].round(6), axis=0)) == 3, "each under its own calibration"


def test_wide_cases_are_wide_and_some_decay():
    cases = [circuits.wide(seed) for seed in range(40)]
    assert min(case.counts.n_bits for case in cases) < 17
    assert all(case.counts.n_bits > 12 for case in cases)
    assert all(circuits.foreign_wide(seed).counts.n_bits > 12 for seed in range(20))
    assert all(circuits.foreign_wide(seed).kind == "foreign" for seed in range(5))


def test_a_table_of_wide_circuits_is_one_of_circuits(tmp_path):
    """Its parts were planned as those of counts alone, beside which no part of circuits may lie."""
    many = of_circuits(0, 10)
    assert many == {"circuit-wide": 10, "circuit-smooth": 4, "circuit-foreign-wide": 3}
    record = tmp_path / "mine.jsonl"
    record.touch()
    parts = plan(tmp_path, many, [record])
    assert parts[0][0] == "runs"
    (tmp_path / "circuit-wide-0000000.npz").write_bytes(b"")
    with pytest.raises(ValueError, match="a table of counts needs a folder without one of circuits"):
        plan(tmp_path, {"full": 10})
