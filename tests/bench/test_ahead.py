"""The list of what others do better: who is held against whom, and that no table of results is left out."""

from pathlib import Path

import pytest

from benchmarks import ahead, data
from benchmarks.ahead import ERROR, FIDELITY, KNOWN, Comparison, compare_rows, means, summaries
from qcluster.core.methods.registry import every

ROOT = Path(__file__).parents[2]


def row(method, mean, n=10):
    return {"group": "all", "method": method, "mean": str(mean), "harm": "0.1", "n": str(n)}


def lost(*rows):
    return [(one.known, *pair) for one in summaries("mine", rows) for pair in one.lost()]


def test_a_method_is_held_against_ours_that_know_no_more():
    given = [row("identity", 0.5), row("mixture", 0.7), row("circuit", 0.8), row("hammer", 0.75), row("m3", 0.81)]
    assert lost(*given) == [
        ("counts", "hammer 0.750, 10% harmed", "mixture 0.700, 10% harmed"),
        ("calibration", "m3 0.810, 10% harmed", "circuit 0.800, 10% harmed"),
    ]
    assert lost(*given, row("reference", 0.9)) == lost(*given), "a reference is not given to m3"
    assert lost(*given, row("reference", 0.81)) == lost(*given)
    assert ("reference", "dem 0.950, 10% harmed", "reference 0.900, 10% harmed") in lost(
        *given, row("reference", 0.9), row("dem", 0.95)
    )


@pytest.mark.parametrize("known", ["counts", "calibration"])
def test_a_method_that_uses_the_counts_alone_is_compared_with_ours_that_do(known):
    """EM learns its flip rate from the counts, and was compared with our methods that know the calibration."""
    needs = {method.name: method.needs for method in every()} | {"paper_given": "rates"}
    _, others = KNOWN[known]
    assert {needs[name] for name in others} == {None if known == "counts" else "rates"}


def test_under_a_wrong_calibration_both_are_told_it():
    given = [row("mixture", 0.7), row("circuit", 0.99), row("m3", 0.98), row("circuit@low", 0.6), row("m3@low", 0.71)]
    assert lost(*given) == [("calibration@low", "m3@low 0.710, 10% harmed", "mixture 0.700, 10% harmed")]


def test_only_a_lead_on_all_samples_counts():
    assert not lost(row("mixture", 0.8), row("hammer", 0.804))
    assert not lost(row("mixture", 0.8), row("hammer", 0.99, n=9))
    assert lost(row("identity", 0.9), row("mixture", 0.8)) == [("counts", "raw 0.900", "mixture 0.800, 10% harmed")]


def test_less_error_is_better_and_harm_is_counted():
    rows = [{"model": name, "mae": str(value)} for name, value in (("ours", 0.02), ("theirs", 0.0195), ("best", 0.01))]
    found = compare_rows("set", ERROR, rows, "model", "mae", ("ours",))
    assert list(found.lost()) == [("best 0.0100", "ours 0.0200")]
    assert not list(Comparison("set", "", ERROR, {"ours": 0.02}, {"theirs": 0.0195}).lost())
    table = [{"raw": "0.5", "ours": "0.6", "theirs": value} for value in ("0.99", "0.47")]
    assert list(means("set", "", table, ["ours"], ["theirs"]).lost()) == [
        ("theirs 0.730, 50% harmed", "ours 0.600, 0% harmed")
    ]


def test_every_suite_and_every_method_of_a_campaign_is_compared():
    folders = {path.parent.name for path in data.RESULTS.glob("*/summary.csv")}
    assert folders == set(ahead.SUITES)
    known = {name for pair in KNOWN.values() for names in pair for name in names}
    for path in data.RESULTS.rglob("summary.csv"):
        methods = {row["method"].split("@")[0] for row in data.read_rows(path)}
        assert methods - {"mixture_unguarded"} <= known, path


OURS_ALONE = {
    *("ablations", "em_convergence", "redraws", "flip_rate_prior", "circuit_masks", "nonclifford"),
    *(
        "coverage",
        "report_coverage",
        "robustness",
        "twirls",
        "speed_scaling",
        "speed_many",
        "speed_device",
        "speed_qnn",
    ),
    *("qnn_boolean", "qnn_paper", "qnn_training", "qnn_sharpness", "qnn_machines", "qnn_peers_features"),
    "m3_twirled",  # M3 beside itself
    "qnn_reference",  # with and without the decision
    *("rates_clusters", "rates_importance", "rates_saturated", "rates_use", "rates_brussels"),
    "rates_transfer_first",  # a first look at the rows of "rates_transfer"
    *("speed_versions", "speed_qnn_versions"),  # beside an earlier version
    *("brussels", "circuit_brussels"),  # the records of real/ibm_brussels_2025
    "replay",  # others beside one another, in the published setting
}
"""Tables in which no method of others stands beside ours, or which repeat one that is compared."""


def test_a_table_is_compared_or_named(monkeypatch):
    read = set()
    monkeypatch.setattr(ahead, "read_rows", lambda name: read.add(name) or data.read_rows(name))
    for part in ahead.PARTS.values():
        list(part())
    there = {path.stem for path in data.RESULTS.glob("*.csv")}
    compared = {name.removesuffix(".csv") for name in read if "/" not in name}
    assert there == compared | OURS_ALONE
    assert not compared & OURS_ALONE


@pytest.mark.parametrize("part", ahead.PARTS)
def test_every_part_compares_and_stands_on_the_page(part):
    contests = [one for one in ahead.PARTS[part]() if one.others]
    assert contests
    assert all(one.ours for one in contests)
    assert f"### {part}\n" in ahead.markdown()
    assert "_generated/ahead.md" in (ROOT / "docs" / "results.md").read_text(encoding="utf-8")


def test_raw_counts_that_are_better_are_a_loss_too():
    (pair,) = Comparison("set", "counts", FIDELITY, {"mixture": 0.5}, {"identity": 0.6, "hammer": 0.55}).lost()
    assert pair == ("raw 0.600", "mixture 0.500")
