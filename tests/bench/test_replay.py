"""The replay of the published setting: its variants beside slow and obvious versions, and its table by hand."""

import numpy as np
import pytest

from benchmarks import replay
from qcluster.baselines.qbeep import poisson
from qcluster.core.counts.distribution import Distribution
from tests.conftest import DATA


def output(counts, expected, rate=0.1):
    held = Distribution.of(counts)
    return replay.Output("circuit", "ibm_brussels", held, held, rate, expected)


def drawn(n, shots, seed):
    rng = np.random.default_rng(seed)
    rows = (rng.random((shots, n)) < rng.uniform(0.05, 0.4, n)).astype(int)
    texts = ["".join(map(str, row)) for row in rows.tolist()]
    return {text: texts.count(text) for text in sorted(set(texts))}


def apart(left, right):
    return sum(a != b for a, b in zip(left, right, strict=True))


@pytest.mark.parametrize(("n", "expected"), [(4, 0.4), (5, 1.1), (6, 2.5)])
def test_whole_shots_flow_as_in_the_program(n, expected):
    held = drawn(n, 300, seed=n)
    weights = poisson(expected, n)
    first = next(k for k in range(n + 1) if weights[k] > 0.2)
    cut = next((k for k in range(first, n + 1) if weights[k] < 0.05), n + 1)
    found = replay.whole_shots(output(held, expected)).to_probs()
    for turn in range(1, 21):
        flows = {}
        for x in held:
            offers = {y: weights[apart(x, y)] * held[y] / held[x] for y in held if held[x] and 0 < apart(x, y) < cut}
            scale = max(1.0, sum(offers.values()))
            flows |= {(x, y): int(share / scale * held[x] / turn + 1e-12) for y, share in offers.items()}
        for (x, y), shots in flows.items():
            held[x] -= shots
            held[y] += shots
    total = sum(held.values())
    assert found == pytest.approx({text: shots / total for text, shots in held.items() if shots}, abs=0.01)


def test_where_the_program_stops_the_counts_are_left():
    for n, expected in ((16, 0.5), (8, 6.0)):
        counts = drawn(n, 50, seed=1)
        assert replay.whole_shots(output(counts, expected)).to_counts() == counts


def test_hammer_of_all_neighbours_by_hand():
    counts = drawn(5, 200, seed=3)
    total = sum(counts.values())
    share = {text: shots / total for text, shots in counts.items()}
    strength = [sum(share[y] for x in share for y in share if apart(x, y) == d) for d in range(2)]
    score = {
        x: (p + sum(share[y] / strength[apart(x, y)] for y in share if apart(x, y) < 2)) * p for x, p in share.items()
    }
    found = replay.hammer_of_all(output(counts, 0.0)).to_probs()
    assert found == pytest.approx({x: value / sum(score.values()) for x, value in score.items()})


def test_the_table_averages_in_four_ways():
    rows = [
        {"setting": "s", "circuit": c, "machine": "m", "method": method, "fidelity": value}
        for c, values in (("a", (0.1, 0.4, 0.2, 0.1)), ("b", (0.4, 0.4, 0.8, 0.4)))
        for method, value in zip(replay.METHODS, values, strict=True)
    ]
    (line,) = replay.table(rows).splitlines()[2:]
    assert line.split(" | ")[:4] == ["| s", "2", "2.00 / 2.50 / 2.50 / 1.60", "1.00 / 1.25 / 1.25 / 0.80"]


@pytest.mark.skipif(not DATA.exists(), reason="needs the published table")
def test_replayed_counts_have_the_published_share_of_the_likeliest_string():
    for made in replay.at_published_rates(20_000):
        if made.circuit in {"hs4_n4", "adder_n4", "lpn_n5"}:
            likeliest = max(made.ideal.to_probs().items(), key=lambda item: item[1])
            found = made.counts.to_probs()[likeliest[0]]
            kept = (1 - made.rate) ** made.counts.n_bits
            assert found >= kept * likeliest[1] - 0.015
            assert found == pytest.approx(kept * likeliest[1], abs=0.03 + (1 - kept) / 8)


@pytest.mark.skipif(not DATA.exists(), reason="needs the published table")
def test_stored_scores_are_of_the_rate_of_the_noise_and_machines_have_one_name(monkeypatch):
    known = {"case": "paper/bv_n14", "machine": "FakeTorino+reference", "ideal_entropy": "0.0", "status": "ok"}
    names = {"identity": 0.1, "paper": 0.2, "paper_given": 0.3, "reference": 0.9}
    scores = [known | {"method": name, "hellinger_fidelity": str(value)} for name, value in names.items()]
    monkeypatch.setattr(replay, "read_scores", lambda _: scores)
    found = {(row["machine"], row["method"]): row["fidelity"] for row in replay.stored()}
    assert found == {("FakeTorino", "raw"): 0.1, ("FakeTorino", "paper"): 0.3}
    same = [score | {"n_bits": "13", "success_probability": str(0.9**13)} for score in scores]
    monkeypatch.setattr(replay, "read_scores", lambda _: same)
    (drawn,) = replay.at_simulated_rates()
    assert (drawn.circuit, drawn.machine, drawn.rate) == ("bv_n14", "ibm_torino", pytest.approx(0.1))
