"""The training of the decision: cases from seeds, tables in parts, a gate that learns, and the commands."""

import errno
import json
import os
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chisquare
from typer.testing import CliRunner

from qcluster.cli.main import app
from qcluster.core.counts.distribution import Distribution
from qcluster.core.counts.metrics import hellinger_fidelity
from qcluster.core.decision import circuit_candidates, circuit_features
from qcluster.core.decision.candidates import FIXED, NAMES, RAW
from qcluster.core.decision.circuit_candidates import NAMES as CIRCUITS
from qcluster.core.decision.circuit_decide import decide_circuit
from qcluster.core.decision.decide import decide_steps
from qcluster.core.decision.gate import shipped
from qcluster.core.lockstep import run_one
from qcluster.core.mitigate import mitigate
from qcluster.errors import StorageError
from qcluster.learn.decision import cases, circuits, clouds, ideals, noise, shares
from qcluster.learn.decision.gates import read_gate
from qcluster.learn.decision.ideals import bits_of
from qcluster.learn.decision.score import answers, balanced, raw, scores, weigh, wide_rows
from qcluster.learn.decision.table import (
    SOURCES,
    _gate_digests,
    build,
    build_part,
    joined,
    plan,
    read,
    read_all,
    recorded,
    tabulate,
    write,
)
from qcluster.learn.decision.train import Training, fidelity, inputs, train, write_gate


@pytest.fixture(scope="module")
def table():
    return tabulate(cases.full(seed) for seed in range(150))


@pytest.mark.parametrize("family", ideals.FAMILIES)
def test_ideals_are_distributions(family):
    for n in (1, 2, 5, 8):
        p = ideals.draw(np.random.default_rng(n), n, family)
        assert p.shape == (1 << n,)
        assert p.sum() == pytest.approx(1)
        assert p.min() >= 0


def test_half_of_the_states_that_circuits_make_stand_about_the_string_of_zeros():
    """Decay leads there: with their bits turned at random, the GHZ states that people run would hardly be drawn."""
    rng = np.random.default_rng(3)
    for family in ("ghz", "affine"):
        about = [ideals.draw(rng, 12, family)[0] > 0 for _ in range(200)]
        assert 0.4 < np.mean(about) < 0.7, family
    for kind in ("ghz", "ring"):
        sent = [cases.strings_of(rng, 30, kind, 1)[0] for _ in range(200)]
        assert 0.4 < np.mean([strings.sum(axis=1).min() <= 1 for strings in sent]) < 0.6, kind


def test_numbers_of_shots_reach_those_that_people_pay_for():
    rng = np.random.default_rng(4)
    small, wide = (np.array([draw(rng) for _ in range(2000)]) for draw in (noise.shots, noise.shots_of_wide))
    assert (small > 200_000).mean() > 0.02
    assert (wide > 100_000).mean() > 0.005
    assert small.min() < 300
    assert wide.min() < 200


@pytest.mark.parametrize("kind", noise.KINDS)
def test_noise_keeps_probability(kind):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        made = noise.draw(rng, 5, kind)
        seen = noise.read(rng, rng.dirichlet(np.ones(32)), made)
        assert seen.sum() == pytest.approx(1)
        assert seen.min() >= 0
        assert made.known.shape == (5, 2)


def test_flips_of_single_bits_and_of_patterns_are_what_they_say():
    rates, none = np.array([[[0.1, 0.2], [0.0, 0.0]]]), np.zeros(2)
    made = noise.Noise(rates, np.ones(1), np.array([[True, True]]), np.array([0.25]), 0.0, none + 0.5, 0.0)
    seen = noise.read(np.random.default_rng(0), np.array([1.0, 0, 0, 0]), made)
    np.testing.assert_allclose(seen, [0.9 * 0.75, 0.1 * 0.75, 0.1 * 0.25, 0.9 * 0.25], atol=1e-12)


@pytest.mark.parametrize("kind", ["walls", "blocks", "local"])
def test_probabilities_of_patterns_that_flip_are_those_of_all_their_combinations(kind):
    n, rng = 6, np.random.default_rng(5)
    all_strings = ideals.bits_of(n)
    for _ in range(20):
        patterns, mode = cases._patterns(rng, n, kind), rng.random(n) < 0.5
        chance = rng.random(len(patterns))
        chosen = ideals.bits_of(len(patterns))
        sent = mode ^ (chosen.astype(int) @ patterns.astype(int) % 2 == 1)
        weights = np.where(chosen, chance, 1 - chance).prod(axis=1)
        expected = np.bincount(sent @ (1 << np.arange(n)), weights, 1 << n)
        found = cases.product_of(rng, Distribution(all_strings, np.ones(1 << n)), mode, chance, patterns)
        rows = found.bits @ (1 << np.arange(n))
        np.testing.assert_allclose(np.bincount(rows, found.probabilities, 1 << n), expected, atol=1e-12)


def test_few_strings_are_expected_of_patterns_where_few_of_their_combinations_hold_nearly_all():
    rng = np.random.default_rng(6)
    expected, found = [], []
    for _ in range(60):
        chance = rng.uniform(0, rng.choice([0.02, 0.1, 0.5]), int(rng.integers(2, 13)))
        chosen = ideals.bits_of(len(chance))
        expected.append(cases.few_strings(np.where(chosen, chance, 1 - chance).prod(axis=1), 20))
        found.append(cases._few_combinations(chance))
    assert found == expected
    assert 10 < sum(found) < 50


@pytest.mark.parametrize(("draw", "family"), [(cases.near, "wide-near"), (clouds.wide, "wide-clouds")])
def test_strings_near_each_other_are_read_as_often_as_the_ideal_says(draw, family, monkeypatch):
    monkeypatch.setattr(cases, "read_shots", lambda rng, sent, channel: sent)
    rows = [draw(seed) for seed in range(80)]
    assert all(13 <= case.counts.n_bits <= 60 and case.family == family for case in rows)
    assert 0.2 < np.mean([case.sparse for case in rows]) < 0.8
    often = [case for case in rows if case.counts.n_outcomes < 0.05 * case.counts.shots]
    assert len(often) > 15
    for case in often:  # sampling takes (strings - 1) / 4 shots of the fidelity
        assert hellinger_fidelity(case.counts, case.ideal) > 1 - case.counts.n_outcomes / case.counts.shots


@pytest.mark.parametrize(("draw", "family"), [(cases.near_on_few, "near"), (clouds.on_few, "clouds")])
def test_strings_near_each_other_on_few_bits_come_with_their_exact_probabilities(draw, family, monkeypatch):
    monkeypatch.setattr(cases.noise, "read", lambda rng, p, channel: p)
    rows = [draw(seed) for seed in range(120)]
    assert {case.counts.n_bits for case in rows} == set(range(3, 13))
    assert {case.family for case in rows} == {family}
    assert 0.2 < np.mean([case.sparse for case in rows]) < 0.8
    for case in rows:
        assert hellinger_fidelity(case.counts, case.ideal) > 1 - case.ideal.n_outcomes / case.counts.shots


def test_strings_near_each_other_are_read_through_the_faults_of_circuits():
    rows = [clouds.of_circuit(seed) for seed in range(150)]
    assert {case.counts.n_bits for case in rows} == set(range(3, 12))
    assert {case.family for case in rows} == {"clouds"}
    assert 0.2 < np.mean([case.kind == "right" for case in rows]) < 0.5


def test_rotated_qubits_come_with_their_rotations():
    rng = np.random.default_rng(8)
    chances = np.array([[0.0, 0.04, 0.1], [0.0, 0.0, 0.0]])
    output = clouds.products(rng, np.zeros((2, 3), dtype=bool), np.array([0.5, 0.5]), chances)
    assert output.rotations == pytest.approx(0.14)  # sin^2 of half of each angle
    assert output.last_rotations is None, "no circuit ends with several rotations of one qubit"
    same = clouds.products(rng, np.zeros((2, 3), dtype=bool), np.array([0.5, 0.5]), chances[[0, 0]])
    assert same.last_rotations == pytest.approx(chances[0])
    assert output.vector(3).sum() == pytest.approx(1)


@pytest.mark.parametrize("activity", [0.05, 1.0, 5.0])
def test_atoms_in_a_blockade_follow_the_hard_core_lattice_gas(activity):
    rng = np.random.default_rng(5)
    output, strings = clouds.blockaded(rng, 6, activity), bits_of(6)
    expected = output.probabilities(strings)
    assert expected.sum() == pytest.approx(1)
    assert np.count_nonzero(expected) == 21  # the Fibonacci number of six atoms
    read = np.bincount(output.draw(100_000) @ (1 << np.arange(6)), minlength=64)
    assert chisquare(read[expected > 0], 100_000 * expected[expected > 0]).pvalue > 1e-4
    assert read[expected == 0].sum() == 0


def test_a_mixture_of_products_is_drawn_as_often_as_it_says():
    rng = np.random.default_rng(6)
    strings, chances = rng.random((3, 5)) < 0.5, rng.uniform(0.01, 0.4, (3, 5))
    output = clouds.products(rng, strings, np.array([0.5, 0.3, 0.2]), chances)
    expected = output.probabilities(bits_of(5))
    read = np.bincount(output.draw(100_000) @ (1 << np.arange(5)), minlength=32)
    assert chisquare(read, 100_000 * expected).pvalue > 1e-4


@pytest.mark.parametrize(
    "draw",
    [
        *(cases.full, cases.wide, cases.sharp, cases.loose, cases.near, cases.near_on_few, clouds.wide, clouds.on_few),
        clouds.of_circuit,
    ],
)
def test_a_seed_gives_the_same_case(draw):
    one, two = draw(7), draw(7)
    assert one.counts == two.counts
    assert one.ideal == two.ideal
    assert one.counts != draw(8).counts


def test_fidelity_of_a_blend_comes_from_the_gram_matrix(table):
    gram = table.gram[:5].astype(float)
    alone = np.zeros((5, len(NAMES)))
    alone[:, RAW] = 1
    reached, slope = fidelity(alone, gram)
    np.testing.assert_allclose(reached, raw(table)[:5], rtol=1e-5)
    step = 1e-6
    for candidate in (1, 2, 6):
        moved = alone.copy()
        moved[:, candidate] += step
        np.testing.assert_allclose((fidelity(moved, gram)[0] - reached) / step, slope[:, candidate], atol=1e-4)


def test_a_table_survives_its_file(table, tmp_path):
    write(table, tmp_path / "part.npz")
    again = read(tmp_path / "part.npz")
    assert again.digest == table.digest
    assert len(joined([table, again])) == 2 * len(table)


def damaged(path):
    path.write_bytes(path.read_bytes()[:-200])


def foreign(path):
    np.savez(path, a=np.arange(3))


def single(path):
    with path.open("wb") as stream:
        np.save(stream, np.arange(3))


def objects(path):
    np.savez(path, names=np.array([None, 3], dtype=object))


def encrypted(path):
    """Flip the flag that says so, as one wrong bit would."""
    content = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = content.find(mark)
        while start >= 0:
            content[start + place] |= 1
            start = content.find(mark, start + 4)
    path.write_bytes(content)


def older(path):
    with np.load(path) as held:
        np.savez(path, **{**held, "names": np.array(["raw", "another"])})


def shorter(path):
    with np.load(path) as held:
        np.savez(path, **{**held, "kind": held["kind"][1:]})


def flat(path):
    with np.load(path) as held:
        np.savez(path, **{**held, "features": held["features"][:, 0]})


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.unlink(), "there is no file"),
        (lambda path: path.write_bytes(b""), "damaged, or of another kind"),
        (damaged, "damaged, or of another kind"),
        (foreign, "damaged, or of another kind: KeyError"),
        (single, "damaged, or of another kind"),
        (objects, "damaged, or of another kind"),
        (encrypted, "damaged, or of another kind"),
        (older, "other candidates than there are now"),
        (shorter, "one row a case in every column"),
        (flat, "one row a case in every column"),
    ],
)
def test_what_is_no_part_of_a_table_is_named(table, tmp_path, spoil, words):
    path = tmp_path / "part.npz"
    write(table, path)
    spoil(path)
    with pytest.raises(StorageError, match=rf"part\.npz.*{words}|{words}.*part\.npz"):
        read(path)


def test_a_table_has_parts_of_one_kind_and_version(table, tmp_path):
    with pytest.raises(StorageError, match=r"must hold parts of a table.*; found no \.npz"):
        read_all(tmp_path)
    with pytest.raises(ValueError, match="equally many features"):
        joined([table, replace(table, features=table.features[:, :-1])])
    with pytest.raises(ValueError, match="at least one case"):
        tabulate([])


@pytest.mark.parametrize("source", ["records", "runs"])
@pytest.mark.parametrize("line", ["3", '{"counts": {"00": 1}, "ideal": {"0x": 1}, "faults": {}}', '{"counts": '])
def test_a_line_that_is_no_record_is_named(tmp_path, source, line):
    records = tmp_path / "mine.jsonl"
    records.write_text("\n" + line)
    with pytest.raises(StorageError, match=r"mine\.jsonl"):
        build_part((source, records, 0, tmp_path / "part.npz"))
    assert not (tmp_path / "part.npz").exists()


def test_ideals_beside_the_records_are_found(tmp_path):
    """Records of one circuit name its ideal; a record that names none is no case, one that is nowhere an error."""
    lines = [{"counts": {"00": 60, "11": 40}, "ideal_id": "bell"}, {"counts": {"00": 7}}]
    records, beside = tmp_path / "mine.jsonl", tmp_path / "mine_ideals.jsonl"
    records.write_text("".join(json.dumps(line) + "\n" for line in lines))
    beside.write_text(json.dumps({"ideal_id": "bell", "ideal": {"00": 0.5, "11": 0.5}}) + "\n")
    (case,) = recorded(records)
    assert case.ideal.to_probs() == {"00": 0.5, "11": 0.5}
    beside.unlink()
    with pytest.raises(StorageError, match=r"mine\.jsonl, line 1: lacks 'bell'"):
        list(recorded(records))


FAULTS = {"masks": [3], "rates": [0.02], "kind": [0], "readout": [[0.01, 0.02]] * 2}


@pytest.mark.parametrize("read", [recorded, circuits.recorded])
@pytest.mark.parametrize("number", [0, "bell"])
def test_ideals_beside_records_with_faults_are_found(tmp_path, read, number):
    line = {"circuit": "bell:2", "counts": {"00": 60, "11": 40}, "faults": FAULTS, "ideal_id": number}
    whole, records = tmp_path / "whole.jsonl", tmp_path / "mine.jsonl"
    whole.write_text(json.dumps(line | {"ideal": {"00": 0.5, "11": 0.5}}))
    records.write_text(json.dumps(line))
    (tmp_path / "mine_ideals.jsonl").write_text(json.dumps({"ideal_id": number, "ideal": {"00": 0.5, "11": 0.5}}))
    wanted, found = list(read(whole)), list(read(records))
    assert [(case.counts, case.ideal, case.kind) for case in found] == [(c.counts, c.ideal, c.kind) for c in wanted]
    assert len(found) > 1


@pytest.mark.parametrize("read", [recorded, circuits.recorded])
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"ideal": {"000": 1}}, "the ideal must have strings of 2 bits, as the counts; got 3"),
        ({"faults": FAULTS | {"readout": [[0.01, 0.02]] * 3}}, "the readout of faults must have 2 pairs"),
        (
            {"faults": FAULTS | {"masks": [8]}},
            "the masks of faults must be integers of 2 bits, as the counts have; got 8",
        ),
        ({"faults": FAULTS | {"masks": [-1]}}, "the masks of faults must be integers of 2 bits, .*; got -1"),
    ],
)
def test_counts_ideal_and_faults_have_one_width(tmp_path, read, changed, said):
    """Strings of other widths were compared as numbers, and trained on."""
    line = {"circuit": "bell:2", "counts": {"00": 60, "11": 40}, "ideal": {"00": 1}, "faults": FAULTS}
    (tmp_path / "mine.jsonl").write_text("\n" + json.dumps(line | changed))
    with pytest.raises(StorageError, match=rf"mine\.jsonl, line 2: {said}"):
        list(read(tmp_path / "mine.jsonl"))


def test_training_gains_and_its_gate_survives_its_file(table, tmp_path):
    settings = Training(hidden=24, members=2, missed=1, epochs=60, batch=64)
    gate = train(table, settings, balanced(table, 0.1))
    reached, _, _ = answers(table, gate)
    assert reached.mean() > raw(table).mean() + 0.03
    write_gate(gate, tmp_path / "gate.npz")
    again = read_gate(tmp_path / "gate.npz")
    np.testing.assert_allclose(again.logits(inputs(table)), gate.logits(inputs(table)), atol=0.05)
    assert json.loads(again.card)["table"] == table.digest
    assert train(table, settings, balanced(table, 0.1)).layers[0] == pytest.approx(gate.layers[0])


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"harm": float("inf")}, "harm must be a finite number of at least 0; got inf"),
        ({"epochs": 0}, "epochs must be a whole number of at least 1; got 0"),
        ({"members": 0}, "members must be"),
        ({"dropout": 1.0}, r"dropout must be a finite number in \[0, 1\); got 1.0"),
        ({"rate": float("nan")}, "rate must be"),
        ({"mistaken": 2}, "mistaken must be"),
    ],
)
def test_settings_of_the_training_are_checked(setting, said):
    """An infinite harm gave a gate of nothing but NaN, which was written."""
    with pytest.raises(ValueError, match=said):
        Training(**setting)


def test_settings_are_kept_as_python_writes_numbers():
    """200 times some epochs overflowed as a byte, and the card of a gate, which is JSON, took no NumPy integers."""
    settings = Training(epochs=np.uint8(200), batch=np.int16(64), harm=Fraction(7, 2))
    assert (type(settings.epochs), type(settings.harm)) == (int, float)
    assert json.loads(json.dumps(vars(settings)))["harm"] == 3.5


def test_scores_by_width_are_in_order_of_width(table):
    *rows, last = scores(table, shipped(), "n_bits")
    assert [int(row.group) for row in rows] == sorted(set(table.n_bits.tolist()))
    assert (last.group, last.cases) == ("all", len(table))


def test_a_table_that_nothing_can_be_learned_from_is_refused(table):
    """Of fewer rows than one step has, the gate was written as it was drawn; of one family, it ended in NaN."""
    rows = np.flatnonzero(table.group == "qaoa")
    with pytest.raises(ValueError, match="training needs 512 cases or more for one step of 512, at 1 epochs"):
        train(table, Training(epochs=1))
    with pytest.raises(ValueError, match="a table of qaoa alone leaves none to those that never see a family"):
        train(table.take(rows), Training(hidden=4, batch=4))
    assert train(table.take(rows), Training(hidden=4, batch=4, missed=0, members=1)).names == NAMES


def test_a_gate_goes_to_a_file_outside_the_table(tmp_path):
    """Beside the parts it was read as one, and the table could be read no more."""
    run, table = CliRunner(), tmp_path / "table"
    assert (
        run.invoke(
            app, ["decision", "build", "--out", str(table), "--full", "3", "--wide", "0", "--sharp", "1"]
        ).exit_code
        == 0
    )
    before = sorted(table.iterdir())
    for out, said in ((table / "gate.npz", "must not go into the folder of the table"), (tmp_path, "is a folder")):
        call = ["decision", "train", "--table", str(table), "--out", str(out)]
        with pytest.raises(ValueError, match=said):
            run.invoke(app, call, catch_exceptions=False)
    call = ["decision", "train", "--table", str(table), "--out", str(tmp_path / "gate.npz"), "--members", "2"]
    with pytest.raises(ValueError, match=r"missed must be below members, .*; got 2 of 2"):
        run.invoke(app, call, catch_exceptions=False)
    assert sorted(table.iterdir()) == before


def test_tables_of_counts_and_of_circuits_have_folders_of_their_own(tmp_path):
    """They were built into one for hours, and then no command read it."""
    for mine, other in (({"sharp": 2}, {"circuit": 2}), ({"circuit": 2}, {"sharp": 2})):
        folder = tmp_path / next(iter(mine))
        for part in plan(folder, mine):
            build_part(part)
        with pytest.raises(ValueError, match=r"a table of (counts|circuits) needs a folder without one of .* is there"):
            plan(folder, other)
        assert plan(folder, mine) == []


@pytest.mark.parametrize(("source", "gain"), [("full", 0.03), ("wide", 0.2)])
def test_the_gates_that_ship_are_safe_on_fresh_cases(source, gain):
    fresh = tabulate(SOURCES[source](seed) for seed in range(900_000, 900_150))
    (*_, whole) = scores(fresh)
    assert whole.answer > whole.raw + gain
    assert whole.harmed <= 0.05


def test_counts_beyond_12_bits_are_weighed_by_a_gate_of_their_own():
    """In scores as in the decision itself, whose answers these are."""
    many = [*(SOURCES["full"](seed) for seed in range(3)), *(SOURCES["wide"](seed) for seed in range(9))]
    table, chosen = tabulate(many), [decide_steps(case.counts, case.known, None, None) for case in many]
    assert wide_rows(table).tolist() == [case.counts.n_bits > 12 for case in many]
    reached, confidence, applied = answers(table)
    for one, decided in enumerate(map(run_one, chosen)):
        answer = decided.answer
        if answer.applied:
            assert applied[one]
            assert confidence[one] == pytest.approx(answer.confidence, abs=1e-4)
            assert reached[one] == pytest.approx(hellinger_fidelity(answer.distribution, many[one].ideal), abs=1e-4)
    assert applied[:3].any()
    assert applied[3:].any()
    wide = wide_rows(table)
    for judge, rows in ({"gate": shipped(wide=True)}, ~wide), ({"wide": shipped()}, wide):
        other, _, _ = answers(table, **judge)
        assert (other != reached).any()
        assert (other != reached)[~rows].sum() == 0


@pytest.mark.parametrize("source", ["circuit-sharp", "circuit-wide", "circuit-smooth"])
def test_known_circuits_beyond_12_bits_are_weighed_by_a_gate_of_their_own(source):
    cases = [SOURCES[source](seed) for seed in range(5)]
    table = tabulate(cases)
    wide = wide_rows(table)
    reached, _, applied = answers(table)
    answered = [decide_circuit(case.counts, case.faults) for case in cases]
    for one in np.flatnonzero(applied & [answer.applied for answer in answered]):
        fidelity = hellinger_fidelity(answered[one].distribution, cases[one].ideal)
        assert reached[one] == pytest.approx(fidelity, abs=1e-3)
    other, _, _ = answers(table, gate=shipped(CIRCUITS, wide=True), wide=shipped(CIRCUITS))
    assert (other != reached).all()
    assert wide.any() or source == "circuit-sharp"
    assert applied.any()


def test_cases_with_measured_rates_are_weighed_as_their_runs_are():
    """Without the few strings if these need more noise than was measured, in the first two."""
    cases = [SOURCES["circuit-measured"](seed) for seed in (6, 34, 12)]
    table = tabulate(cases)
    assert table.present[:, circuit_candidates.STRINGS].tolist() == [False, False, True]
    reached, confidence, applied = answers(table)
    for one, case in enumerate(cases):
        answer = decide_circuit(case.counts, case.faults)
        assert answer.applied == applied[one]
        assert confidence[one] == pytest.approx(answer.confidence, abs=1e-4)
        assert reached[one] == pytest.approx(hellinger_fidelity(answer.distribution, case.ideal), abs=1e-5)


def test_counts_that_counts_alone_leave_are_kept_where_that_answer_has_the_weight():
    """In scores as in the decision: both candidates are then the counts."""
    case = SOURCES["circuit-measured"](348)
    table = tabulate([case])
    assert table.gram[0, circuit_candidates.RAW, circuit_candidates.ALONE] == 1
    _, weights, confidence = weigh(table)
    assert confidence[0] >= 0.5
    assert 1 - weights[0, circuit_candidates.RAW] >= 0.1  # the counts' own weight would not suffice
    assert not answers(table)[2][0]
    assert not decide_circuit(case.counts, case.faults).applied


def test_records_of_a_machine_called_measured_are_counts_like_others(tmp_path):
    """Only among the cases of circuits does that word mean that rates were measured."""
    record = {"machine": "measured", "counts": {"000": 430, "001": 20, "111": 450}, "ideal": {"000": 0.5, "111": 0.5}}
    (tmp_path / "mine.jsonl").write_text(json.dumps(record) + "\n")
    table = tabulate(recorded(tmp_path / "mine.jsonl"))
    assert table.kind.tolist() == ["measured"]
    fixed = mitigate(record["counts"])
    assert answers(table)[0] == pytest.approx(hellinger_fidelity(fixed.distribution, record["ideal"]), abs=1e-6)


def test_mitigating_a_wide_run_is_hardly_ever_worse_than_its_counts_alone():
    """Few strings whose noise is not the circuit's: the calibration's word must not cost what the counts say."""
    table = tabulate(SOURCES["circuit-foreign-wide"](seed) for seed in range(900_000, 900_120))
    table = table.take(wide_rows(table))
    reached, _, _ = answers(table)
    alone = table.gram[:, circuit_candidates.ALONE, -1].astype(float) ** 2
    assert reached.mean() > raw(table).mean() + 0.2
    assert reached.mean() > alone.mean() - 0.02


def test_a_table_is_built_in_parts_and_only_once(tmp_path):
    records = tmp_path / "mine.jsonl"
    records.write_text(json.dumps({"counts": {"00": 60, "11": 40}, "ideal": {"00": 0.5, "11": 0.5}}) + "\n")
    wanted = {"full": 3, "wide": 1, "sharp": 1, "loose": 0}
    parts = plan(tmp_path, wanted, [records])
    assert [part[0] for part in parts] == ["records", "full", "wide", "sharp"]
    for part in parts:
        build_part(part)
    assert plan(tmp_path, wanted, [records]) == []
    table = read_all(tmp_path)
    assert len(table) == 6
    assert (~table.drawn).sum() == 1


def test_parts_go_to_the_folder_that_was_named_wherever_they_are_built(tmp_path, monkeypatch):
    """The workers of a cluster have other current folders: their parts went there, and were reported as built."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    Path("mine.jsonl").write_text(json.dumps({"counts": {"00": 60, "11": 40}, "ideal": {"00": 0.5, "11": 0.5}}))
    built = build(Path("table"), {"sharp": 1}, [Path("mine.jsonl")])
    parts = [next(built)]
    monkeypatch.chdir("elsewhere")
    parts += built
    assert parts == [tmp_path / "table" / name for name in ("records-mine.npz", "sharp-0000000.npz")]
    monkeypatch.setattr("qcluster.learn.decision.table.build_part", lambda part: part[-1])
    with pytest.raises(StorageError, match=r"workers must see the same folder .*full-0000000\.npz is not there"):
        list(build(tmp_path / "table", {"full": 1}, []))


def test_a_table_of_more_cases_makes_the_last_part_of_a_smaller_one_again(tmp_path):
    for wanted in (2, 5, 3):
        for part in plan(tmp_path, {"sharp": wanted}):
            build_part(part)
        assert len(read_all(tmp_path)) == max(2, wanted, 5 * (wanted == 3))
    (tmp_path / "sharp-0000000.npz").write_bytes(b"PK")
    with pytest.raises(StorageError, match=r"sharp-0000000\.npz must be .*; it is damaged"):
        plan(tmp_path, {"sharp": 3})


@pytest.mark.parametrize("name", ["ghz.jsonl", "wide-runs.jsonl.gz", "chains.json"])
def test_no_recorded_set_is_named_as_drawn_cases_are(tmp_path, name):
    """Its rows counted as drawn: four times as much as others where it was called ghz, and not as a recorded set."""
    records = tmp_path / name
    records.write_bytes(b"")
    with pytest.raises(ValueError, match=f"must not be named as drawn cases are, .*; got .*{name}"):
        plan(tmp_path, {"full": 0}, [tmp_path / "mine.jsonl", records])
    ((*_, part),) = plan(tmp_path, {"circuit": 0}, [records])
    assert part.name == f"runs-{name.split('.')[0]}.npz"


@pytest.mark.parametrize("source", ["records", "runs"])
def test_a_recorded_set_that_has_changed_is_read_again(tmp_path, source):
    """The part that was there stayed, and more records of a set, or other ideals, were left out unsaid."""
    records, beside = tmp_path / "mine.jsonl", tmp_path / "mine_ideals.jsonl"
    line = json.dumps({"circuit": "bell:2", "counts": {"00": 60, "11": 40}, "faults": FAULTS, "ideal_id": 1}) + "\n"
    wanted = {"circuit": 0} if source == "runs" else {"full": 0}

    def build():
        parts = plan(tmp_path / "table", wanted, [records])
        for part in parts:
            build_part(part)
        return len(parts), read_all(tmp_path / "table") if parts else None

    records.write_text(line)
    beside.write_text('{"ideal_id": 1, "ideal": {"00": 1}}\n')
    _, first = build()
    assert build() == (0, None)
    beside.write_text('{"ideal_id": 1, "ideal": {"11": 1}}\n')
    built, other = build()
    assert (built, len(other)) == (1, len(first))
    assert not np.array_equal(other.gram, first.gram)
    records.write_text(line * 2)
    assert len(build()[1]) == 2 * len(first)
    write(first, tmp_path / "table" / f"{source}-mine.npz")
    assert build()[0] == 1, "a part of an earlier version, which does not tell what it was made of"
    records.unlink()
    with pytest.raises(StorageError, match=r"cannot read records from .*mine\.jsonl: No such file"):
        build()


def test_what_rests_on_another_gate_is_built_again(tmp_path, monkeypatch):
    """Parts of known circuits hold what the gate for counts says; they stayed when another shipped, unsaid."""
    records = tmp_path / "mine.jsonl"
    line = {"circuit": "bell:2", "counts": {"00": 60, "11": 40}, "faults": FAULTS, "ideal": {"00": 0.5, "11": 0.5}}
    records.write_text(json.dumps(line) + "\n")
    other = replace(shipped(), mean=shipped().mean + np.float32(0.5))
    assert other.digest != shipped().digest == replace(shipped(), card="{}").digest
    table, wanted = tmp_path / "runs", {"circuit-sharp": 1, "circuit": 0}
    for ships in (shipped(), other, shipped()):
        monkeypatch.setattr("qcluster.learn.decision.table.shipped", lambda *, wide=False, ships=ships: ships)
        parts = plan(table, wanted, [records])
        assert len(parts) == 2
        for part in parts:
            build_part(part)
        assert plan(table, wanted, [records]) == []
    for path in list(table.iterdir()):
        write(read(path), path, "")
    assert len(plan(table, wanted, [records])) == 2, "parts of an earlier version, which tell of no gate"
    (part,) = plan(tmp_path / "counts", {"sharp": 1})
    build_part(part)
    monkeypatch.setattr("qcluster.learn.decision.table.shipped", lambda **_: other)
    assert plan(tmp_path / "counts", {"sharp": 1}) == [], "counts alone rest on none"


def test_what_has_other_features_is_built_again(tmp_path):
    """A part of an earlier version stayed, and could not be joined with the new ones."""
    wanted = {"circuit-sharp": 2}
    (part,) = plan(tmp_path, wanted)
    table = read(build_part(part))
    before = replace(table, features=table.features[:, 1:])
    write(before, part[-1], "", _gate_digests(part[-1]))
    assert plan(tmp_path, wanted) == [part]
    write(table, part[-1], "", _gate_digests(part[-1]))
    assert plan(tmp_path, wanted) == []


def test_features_that_the_shipped_gate_does_not_know_yet_are_built_once(tmp_path, monkeypatch):
    """Their table is there before the gate is trained on it: its parts were built again and again, and those without
    the new feature stayed."""
    wanted = {"circuit-sharp": 2}
    (part,) = plan(tmp_path, wanted)
    build_part(part)
    monkeypatch.setattr(circuit_features, "features", lambda *known, of=circuit_features.features: np.r_[of(*known), 1])
    assert plan(tmp_path, wanted) == [part]
    build_part(part)
    assert plan(tmp_path, wanted) == []


def test_no_recorded_set_takes_the_place_of_another(tmp_path):
    """Once ``ibm.2024.jsonl`` and ``ibm.2025.jsonl.gz`` were one part, and the second was left out unsaid."""
    line = json.dumps({"counts": {"00": 60, "11": 40}, "ideal": {"00": 0.5, "11": 0.5}}) + "\n"
    records = [tmp_path / "ibm.2024.jsonl", tmp_path / "ibm.2025.jsonl", tmp_path / "else" / "ibm.2025.json"]
    records[-1].parent.mkdir()
    for path in records:
        path.write_text(line)
    for part in plan(tmp_path, {"full": 0}, records[:2]):
        build_part(part)
    assert read_all(tmp_path).group.tolist() == ["ibm.2024", "ibm.2025"]
    with pytest.raises(ValueError, match=r"must have names of their own.*ibm\.2025\.jsonl and .*ibm\.2025\.json"):
        plan(tmp_path, {"full": 0}, records)


def test_parts_and_gates_are_written_whole_and_through_no_link_of_others(table, tmp_path, monkeypatch):
    """A full disk leaves what was there, and no rest; a part replaces a link, whatever stands beside it."""
    theirs, part, gate = tmp_path / "theirs", tmp_path / "t" / "full-0000000.npz", tmp_path / "new" / "gate"
    theirs.write_text("of another")
    part.parent.mkdir()
    for name in (part.name, "full-0000000.new"):
        (part.parent / name).symlink_to(theirs)
    write(table, part)
    write_gate(shipped(), gate)
    assert theirs.read_text() == "of another"
    assert len(read(part)) == len(table)
    assert read_gate(gate).names == shipped().names, "the name that was given, with no ending put to it"

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    before = part.read_bytes(), gate.read_bytes()
    for save in (lambda: write(table, part), lambda: write_gate(shipped(), gate)):
        with pytest.raises(StorageError, match="No space left on device"):
            save()
    assert (part.read_bytes(), gate.read_bytes()) == before
    assert [path.name for path in gate.parent.iterdir()] == ["gate"]


@pytest.mark.parametrize("many", [["--full", "20", "--wide", "0", "--sharp", "4"], ["--circuits", "9"]])
def test_the_commands_build_train_and_score(tmp_path, many):
    run = CliRunner()
    table = str(tmp_path / "table")
    built = run.invoke(app, ["decision", "build", "--out", table, *many])
    assert built.exit_code == 0, built.output
    trained = run.invoke(app, ["decision", "train", "--table", table, "--out", str(tmp_path / "gate.npz")])
    assert trained.exit_code == 0, trained.output
    scored = run.invoke(app, ["decision", "score", "--table", table, "--gate", str(tmp_path / "gate.npz")])
    assert scored.exit_code == 0, scored.output
    assert "all" in scored.output


def test_the_gate_of_wide_counts_is_trained_and_scored_by_a_word(tmp_path):
    run, table = CliRunner(), str(tmp_path / "table")
    for call in (
        ["build", "--out", table, "--full", "20", "--wide", "12", "--sharp", "0"],
        ["train", "--table", table, "--wide", "--out", str(tmp_path / "wide.npz")],
        ["train", "--table", table, "--out", str(tmp_path / "gate.npz")],
        ["score", "--table", table, "--wide-gate", str(tmp_path / "wide.npz")],
    ):
        made = run.invoke(app, ["decision", *call])
        assert made.exit_code == 0, made.output
    rows = read_all(Path(table))
    for name, mine in ("wide", wide_rows(rows)), ("gate", ~wide_rows(rows)):
        gate = read_gate(tmp_path / f"{name}.npz", wide=name == "wide")
        assert json.loads(gate.card)["table"] == rows.take(mine).digest


def test_what_a_gate_would_not_weigh_is_refused(tmp_path):
    """Gates were scored in name only, on what another weighed, or could not be trained on 0 cases of a full table."""
    run, sources = CliRunner(), {"narrow": "full", "wide": "wide", "circuits": "circuit-sharp"}
    tables, gates = {name: tmp_path / name for name in sources}, {name: tmp_path / f"{name}.npz" for name in sources}
    for name, source in sources.items():
        write(tabulate(SOURCES[source](seed) for seed in range(3)), tables[name] / "part.npz")
    write_gate(shipped(), gates["narrow"])
    write_gate(shipped(wide=True), gates["wide"])
    for command, table, options, told in (
        (
            "train",
            "narrow",
            ["--wide", "--out", gates["circuits"]],
            r"narrow holds none of more than 12 bits",
        ),
        ("train", "circuits", ["--wide", "--out", gates["circuits"]], r"circuits holds none of more than"),
        ("train", "wide", ["--out", gates["circuits"]], r"wide holds only those of more than 12 bits: see --wide"),
        (
            "score",
            "wide",
            ["--gate", gates["narrow"]],
            r"--gate .* wide holds only those of more than 12 bits: see --wide-gate",
        ),
        (
            "score",
            "narrow",
            ["--wide-gate", gates["wide"]],
            r"--wide-gate .* narrow holds none of more than",
        ),
        ("score", "circuits", ["--wide-gate", gates["wide"]], r"--wide-gate .* circuits holds none of more"),
        (
            "score",
            "wide",
            ["--wide-gate", gates["narrow"]],
            r"narrow\.npz must .* more than 12 bits; got one for counts of up to 12 bits",
        ),
        ("score", "narrow", ["--gate", gates["wide"]], r"wide\.npz must .* up to 12 bits; got one for .* more than 12"),
    ):
        made = run.invoke(app, ["decision", command, "--table", str(tables[table]), *map(str, options)])
        assert isinstance(made.exception, (ValueError, StorageError)), (command, table, made.output)
        assert re.search(told, str(made.exception).replace(f"{tmp_path}/", "")), made.exception


def test_wide_rows_of_an_earlier_version_are_built_again(tmp_path):
    """They had no candidate with fixed bits set, and other deconvolutions, under the same names."""
    (part,) = plan(tmp_path, {"wide": 2})
    path, table = build_part(part), read(part[-1])
    assert plan(tmp_path, {"wide": 2}) == []
    before = table.present.copy()
    before[1, FIXED] = False
    write(replace(table, present=before), path)
    with pytest.raises(StorageError, match=r"wide-0000000\.npz holds other candidates than there are now"):
        read(path)
    assert plan(tmp_path, {"wide": 2}) == [part]
    write(replace(table, present=before, n_bits=np.array([13, 12])), path)
    assert len(read(path)) == 2, "up to 12 bits smoothed counts stand there, or nothing"


def test_a_table_has_cases_of_every_source_of_its_kind():
    of_runs = shares.of_circuits(240) | shares.of_circuits(0, 240) | shares.of_circuits(0, measured=240)
    of_either = shares.of_counts(240, 240, 240) | of_runs
    assert set(of_either) == set(SOURCES)
    assert min(of_either.values()) > 0
    assert not any(shares.of_counts(0, 0, 0).values())


@pytest.mark.parametrize("source", SOURCES)
def test_what_a_source_draws_is_no_recorded_set(source):
    """Its rows would share the weight of these, and be left out as one of them in judging."""
    assert tabulate(SOURCES[source](seed) for seed in range(2)).drawn.all()


def test_chains_weigh_as_a_recorded_set_does():
    """Of two sets of like size, each half of what such sets have."""
    table = tabulate([*(SOURCES["chains"](seed) for seed in range(3)), *(SOURCES["full"](seed) for seed in range(6))])
    kept = table.take(np.array([0, 1, 2, 0, 1, 2, *range(3, 9)]))
    mine = replace(kept, group=np.array(["chains"] * 3 + ["mine"] * 3 + ["product"] * 6))
    weight = balanced(mine, 0.4)
    assert [weight[:3].sum(), weight[3:6].sum(), weight[6:].sum()] == pytest.approx([0.2, 0.2, 0.6])


def test_recorded_sets_may_have_all_the_weight():
    """Few strings, whose share of nothing was divided by nothing, made every weight invalid."""
    table = tabulate(SOURCES["sharp"](seed) for seed in range(4))
    mine = replace(table, group=np.array(["sharp", "sharp", "mine", "product"]))
    assert balanced(mine, 1.0).tolist() == [0, 0, 1, 0]


def test_a_table_of_nothing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="a table needs cases: give --full"):
        CliRunner().invoke(
            app,
            ["decision", "build", "--out", str(tmp_path / "table"), "--full", "0", "--wide", "0", "--sharp", "0"],
            catch_exceptions=False,
        )
    assert not (tmp_path / "table").exists()
