"""Every figure in README.md stands on a table of results, or is named here as none that was measured.

So do the times in the docstring of `twirl`.
"""

import csv
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import qcluster as qc
from qcluster.core.decision.candidates import WIDEST

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks" / "results"
README = (ROOT / "README.md").read_text(encoding="utf-8")


def rows(name: str) -> list[dict[str, str]]:
    with (RESULTS / name).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def ghz_unseen(shown: str) -> None:
    """Mean fidelity on the recorded GHZ circuits of a decision that was trained without them."""
    (row,) = (one for one in rows("decision.csv") if (one["left_out"], one["group"]) == ("the set", "ghz_compiled_dev"))
    assert float(row["answer"]) == pytest.approx(float(shown), abs=0.00051)


def milliseconds(shown: str) -> None:
    """Longest time of `mitigate` on counts of at most a thousand distinct strings."""
    times = [float(row["mixture_ms"]) for row in rows("speed.csv") if row["distinct"] and int(row["distinct"]) <= 1000]
    assert len(times) >= 5
    assert max(times) < float(shown)


def broad(shown: str) -> None:
    """Broad outputs gain from counts alone, and the width up to which they are deconvolved is the one in the code."""
    gains = []
    for suite in ("broad", "paper", "guard"):
        scored = {(row["task"], row["method"]): row for row in rows(f"{suite}/scores.csv")}
        for (task, method), row in scored.items():
            if method == "mixture" and float(row["ideal_entropy"]) > 0.6 and int(row["n_bits"]) <= int(shown):
                before = float(scored[task, "identity"]["hellinger_fidelity"])
                gains.append(float(row["hellinger_fidelity"]) - before)
    assert len(gains) > 100
    assert sum(gains) / len(gains) > 0.01
    assert int(shown) == WIDEST


TRACED: dict[str, Callable[[str], None]] = {
    r"without them, its mean fidelity is (0\.\d+)": ghz_unseen,
    r"under (\d+) ms up to a thousand strings": milliseconds,
    r"broad outputs up to (\d+) bits": broad,
}
"""What README.md says, the figure in brackets, and the check of it against the tables."""


def scored(*suites: str) -> list[dict[str, float]]:
    """Fidelities of each sample by method, with the entropy of its ideal."""
    found: dict[str, dict[str, float]] = {}
    for suite in suites:
        for row in rows(f"{suite}/scores.csv"):
            if row["hellinger_fidelity"]:
                sample = found.setdefault(row["task"], {"entropy": float(row["ideal_entropy"])})
                sample[row["method"]] = float(row["hellinger_fidelity"])
    return list(found.values())


def lead(samples: list[dict[str, float]], method: str, other: str) -> float:
    """Mean lead of a method over another."""
    return sum(one[method] - one[other] for one in samples) / len(samples)


SIMULATED = ("paper", "low_entropy", "guard", "broad")


def few_strings_come_back() -> None:
    assert lead([one for one in scored(*SIMULATED) if one["entropy"] <= 0.6], "mixture", "identity") > 0.1


def nothing_to_gain_is_left() -> None:
    guarded = scored("guard")
    assert min(one["mixture"] - one["identity"] for one in guarded) > -0.02
    assert sum(row["applied"] == "0" for row in rows("guard/scores.csv") if row["method"] == "mixture") > 0


def a_circuit_brings_broad_outputs() -> None:
    high = [one for one in scored(*SIMULATED) if one["entropy"] > 0.6]
    assert lead(high, "circuit", "mixture") > 0.01


def a_reference_is_for_deep_circuits_and_stale_calibrations() -> None:
    for told in ("@high", "@low", "@scattered"):
        assert lead(scored("broad"), f"reference{told}", f"circuit{told}") > 0
    hidden = [
        {key: float(row[key]) for key in ("run", "reference", "survival")} for row in rows("reference_hidden.csv")
    ]
    deep = [one for one in hidden if one["survival"] < 0.5]
    assert lead(deep, "reference", "run") > max(0.05, lead(hidden, "reference", "run")) > 0


def m3_has_no_bias_from_readout() -> None:
    alone = [row for row in rows("bias.csv") if row["noise"] == "readout"]
    off = {name: [beyond_chance(row) for row in alone if row["method"] == name] for name in ("m3", "counts", "circuit")}
    assert max(off["m3"]) < 0.002
    assert max(off["counts"]) > 0.02
    assert max(off["circuit"]) > 0.02


def beyond_chance(row: dict[str, str]) -> float:
    """How much of a mean error three standard errors do not explain."""
    return abs(float(row["bias"])) - 3 * float(row["bias_sd"])


SAID: dict[str, Callable[[], None]] = {
    "expectation values without bias from readout errors": m3_has_no_bias_from_readout,
    "for unbiased expectation values": m3_has_no_bias_from_readout,
    "outputs of few bitstrings, recovered from the noise": few_strings_come_back,
    "Where there is nothing to gain, it returns the counts as they are": nothing_to_gain_is_left,
    "the same, and more on broad outputs": a_circuit_brings_broad_outputs,
    "the noise as measured, not as published: for deep circuits and stale calibrations": (
        a_reference_is_for_deep_circuits_and_stale_calibrations
    ),
}
"""What README.md says without a figure, and the check of it against the tables."""

NAMES = (
    r"in October 2025",
    r"Python 3\.11 or later",
    r"on more than 12 bits",
    r"arXiv:2504\.10801|abs/2504\.10801",
    r"Apache-2\.0",
    r"-n 2\b",
    r"\bM3\b|m3\.md",
)
"""Numbers that nobody measured: dates, versions, names, and the limit that `broad outputs` checks."""


def prose() -> str:
    """README.md on one line, without its code: blocks, spans, hidden blocks."""
    return " ".join(re.sub(r"<!--.*?-->|```.*?```|`[^`]*`", " ", README, flags=re.DOTALL).split())


@pytest.mark.parametrize("claim", TRACED)
def test_a_figure_of_the_readme_follows_from_its_table(claim):
    (shown,) = re.findall(claim, prose())
    TRACED[claim](shown)


@pytest.mark.parametrize("words", SAID)
def test_a_claim_of_the_readme_without_a_figure_follows_from_the_tables(words):
    assert words in " ".join(README.split())
    SAID[words]()


def test_no_figure_of_the_readme_is_without_its_table():
    left = re.sub("|".join([*TRACED, *NAMES]), " ", prose())
    assert re.findall(r"\S*\d\S*", left) == []


def test_a_stale_figure_is_seen():
    for claim, stale in zip(TRACED, ("0.999", "20", "14"), strict=True):
        with pytest.raises(AssertionError):
            TRACED[claim](stale)


@pytest.mark.parametrize(
    ("said", "chosen"),
    [
        (r"Some (\d+) ms per twirl of 200 two-qubit gates \(`", {"strategy": "active", "group": "pauli"}),
        (r"Some (\d+) ms per twirl of 200 two-qubit gates\.\n", {"strategy": "active", "group": "balanced_pauli"}),
        (r"Some (\d+) ms per twirl of 200 two-qubit\s+gates in 40", {"strategy": "active-accum", "group": "pauli"}),
        (r"on a machine of 133, some (\d+) ms", {"strategy": "all", "group": "pauli", "qubits": "133"}),
    ],
)
def test_the_times_of_a_twirl_are_those_of_the_benchmark(said, chosen):
    (shown,) = re.findall(said, qc.twirl.__doc__)
    chosen = {"two_qubit_gates": "200"} | chosen
    found = [float(row["ms_a_twirl"]) for row in rows("twirls.csv") if chosen.items() <= row.items()]
    assert found
    for one in found:
        assert 0.75 < float(shown) / one < 1.34
